//! The lanes that this process runs, and the way of a start to one of them.

use std::sync::{
    Arc, PoisonError, RwLock,
    atomic::{AtomicUsize, Ordering},
};

use contract::{Document, SagaId, Traceparent, orchestrator_api::StartKey};
use journal::ExistingStart;
use machine::{Definition, StartError};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::admission::Permit;
use crate::names;

/// One admitted start on its way to a lane.
#[derive(Debug)]
pub(crate) struct StartRequest {
    pub(crate) saga_id: SagaId,
    pub(crate) definition: Arc<Definition>,
    pub(crate) key: Option<StartKey>,
    pub(crate) business_key: String,
    pub(crate) owner: Option<String>,
    pub(crate) traceparent: Traceparent,
    pub(crate) input: Document,
    pub(crate) answer: oneshot::Sender<LaneAnswer>,
    /// Given back when the start is answered.
    pub(crate) permit: Permit,
}

/// A lane's answer to a start.
#[derive(Debug)]
pub(crate) enum LaneAnswer {
    /// It is committed.
    Created,
    /// Its key was taken by an earlier start.
    KeyTaken(ExistingStart),
    /// The machine does not take this input.
    Refused(StartError),
    /// The journal broke off: it may or may not be committed.
    Unknown,
    /// The journal cannot store it.
    Unstorable(String),
    /// It was not begun: the lane lost its shard.
    NotTaken,
    /// It was not begun: a bug, named in the log.
    Failed,
}

/// A running lane, seen from outside.
#[derive(Debug)]
pub(crate) struct LaneHandle {
    pub(crate) shard: u16,
    pub(crate) starts: mpsc::Sender<StartRequest>,
    /// Ends the lane in order.
    pub(crate) release: CancellationToken,
}

/// All running lanes of this process.
#[derive(Debug)]
pub(crate) struct LaneTable {
    lanes: RwLock<Vec<LaneHandle>>,
    next: AtomicUsize,
    owned: watch::Sender<usize>,
}

/// The reason why a start found no lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoLane {
    /// This process owns no shard.
    NoShard,
    /// Every lane's queue is full.
    Full,
}

impl LaneTable {
    pub(crate) fn new() -> Self {
        Self { lanes: RwLock::default(), next: AtomicUsize::new(0), owned: watch::Sender::new(0) }
    }

    pub(crate) fn add(&self, lane: LaneHandle) {
        self.change(|lanes| lanes.push(lane));
    }

    pub(crate) fn remove(&self, shard: u16) {
        self.change(|lanes| lanes.retain(|lane| lane.shard != shard));
    }

    /// The number of owned shards, and every change of it.
    pub(crate) fn owned(&self) -> watch::Receiver<usize> {
        self.owned.subscribe()
    }

    pub(crate) fn owns(&self, shard: u16) -> bool {
        self.read().iter().any(|lane| lane.shard == shard)
    }

    /// Gives a start to the next lane in turn that has room; `request` is made for the shard that was found.
    pub(crate) fn place(&self, request: impl FnOnce(u16) -> StartRequest) -> Result<(), NoLane> {
        let lanes = self.read();
        if lanes.is_empty() {
            return Err(NoLane::NoShard);
        }
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        for offset in 0..lanes.len() {
            let lane = &lanes[first.wrapping_add(offset) % lanes.len()];
            if let Ok(place) = lane.starts.try_reserve() {
                place.send(request(lane.shard));
                return Ok(());
            }
        }
        Err(NoLane::Full)
    }

    /// Those of these shards whose lanes run here, the ones that began last before the others: a shard that was had by
    /// one who has enough goes on to the next who waits for it, and so reaches the one who lacks it.
    pub(crate) fn among(&self, shards: &[u16]) -> Vec<u16> {
        self.read().iter().rev().map(|lane| lane.shard).filter(|shard| shards.contains(shard)).collect()
    }

    /// Asks the lanes of these shards to end in order.
    pub(crate) fn release(&self, shards: &[u16]) {
        self.read().iter().filter(|lane| shards.contains(&lane.shard)).for_each(|lane| lane.release.cancel());
    }

    fn change(&self, change: impl FnOnce(&mut Vec<LaneHandle>)) {
        let mut lanes = self.lanes.write().unwrap_or_else(PoisonError::into_inner);
        change(&mut lanes);
        let count = lanes.len();
        // Told under the lock: of two lanes that end at once, the one that was counted last must be the last to tell.
        self.owned.send_replace(count);
        metrics::gauge!(names::SHARDS_OWNED).set(u32::try_from(count).map_or(f64::INFINITY, f64::from));
        drop(lanes);
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Vec<LaneHandle>> {
        self.lanes.read().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    const SHARDS: u16 = 8;
    const ROUNDS: usize = 500;

    fn lane(shard: u16) -> LaneHandle {
        LaneHandle { shard, starts: mpsc::channel(1).0, release: CancellationToken::new() }
    }

    #[test]
    fn lanes_that_begin_and_end_at_once_are_told_of_as_they_stand_in_the_end() {
        for _ in 0..ROUNDS {
            let table = LaneTable::new();
            thread::scope(|scope| {
                for shard in 0..SHARDS {
                    let table = &table;
                    scope.spawn(move || {
                        table.add(lane(shard));
                        if shard % 2 == 0 {
                            table.remove(shard);
                        }
                    });
                }
            });
            assert_eq!(*table.owned().borrow(), usize::from(SHARDS / 2));
        }
    }
}
