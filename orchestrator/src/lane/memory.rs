//! The sagas that a lane keeps between turns. Everything in here can be dropped and loaded again; it is bounded
//! by count, and what was not touched for longest goes first.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use contract::{SagaId, saga::SagaStatus};

use crate::{
    names,
    saga_instance::{Parked, SagaInstance},
    starts::admission::Admission,
};

/// Finished sagas kept for late duplicates: some batches' worth. Older ones are loaded when a duplicate comes.
const FINISHED_MAX: usize = 256;

/// Parked sagas remembered by reason. Past it the oldest is forgotten, and its reason found again at the next load.
const PARKED_MAX: usize = 10_000;

/// A lane's sagas.
#[derive(Debug)]
pub(super) struct Memory {
    sagas: HashMap<SagaId, Slot>,
    sagas_max: usize,
    /// Rises with each touch.
    tick: u64,
    finished: VecDeque<SagaId>,
    parked: HashMap<SagaId, Parked>,
    /// The keys of `parked`, oldest first.
    parked_order: VecDeque<SagaId>,
    open: Open,
}

#[derive(Debug)]
struct Slot {
    saga: SagaInstance,
    touched: u64,
}

impl Memory {
    pub(super) fn new(sagas_max: usize, admission: Arc<Admission>) -> Self {
        let open = Open { sagas: HashMap::new(), counts: [0; OPEN_STATUSES.len()], busy: 0, bytes: 0, admission };
        let (sagas, finished) = (HashMap::new(), VecDeque::new());
        Self { sagas, sagas_max, tick: 0, finished, parked: HashMap::new(), parked_order: VecDeque::new(), open }
    }

    /// Takes a saga out to work on it. It is put back after the commit, or was never changed.
    pub(super) fn take(&mut self, id: SagaId) -> Option<SagaInstance> {
        self.sagas.remove(&id).map(|slot| slot.saga)
    }

    /// Puts a saga in after its commit; one that fell asleep is let go, and loaded when it is due or spoken to.
    pub(super) fn put_committed(&mut self, saga: SagaInstance, held: bool) {
        if saga.asleep {
            self.open.set(saga.id(), saga.state.status, None);
        } else {
            self.put(saga, held);
        }
    }

    /// Counts a saga anew, after what a pause holds back of it has changed.
    pub(super) fn recount(&mut self, id: SagaId, held: bool) {
        if let Some(Slot { saga, .. }) = self.sagas.get(&id) {
            self.open.set(id, saga.state.status, taken(saga, held));
        }
    }

    /// Counts a saga that sleeps, without having it.
    pub(super) fn note_sleeper(&mut self, id: SagaId, status: SagaStatus) {
        self.open.set(id, status, None);
    }

    /// Puts a saga in as the journal holds it; `held` says that a pause holds back all that is under way of it.
    pub(super) fn put(&mut self, saga: SagaInstance, held: bool) {
        let (id, status) = (saga.id(), saga.state.status);
        self.open.set(id, status, taken(&saga, held));
        self.tick += 1;
        let known = self.sagas.insert(id, Slot { saga, touched: self.tick });
        if status.is_final() && known.is_none() && !self.finished.contains(&id) {
            self.finished.push_back(id);
            if self.finished.len() > FINISHED_MAX
                && let Some(oldest) = self.finished.pop_front()
            {
                self.sagas.remove(&oldest);
            }
        }
        self.evict();
    }

    pub(super) fn get(&self, id: SagaId) -> Option<&SagaInstance> {
        self.sagas.get(&id).map(|slot| &slot.saga)
    }

    pub(super) fn knows(&self, id: SagaId) -> bool {
        self.sagas.contains_key(&id) || self.parked.contains_key(&id)
    }

    /// Leaves a saga alone from now on, and says so.
    pub(super) fn park(&mut self, id: SagaId, parked: Parked) {
        tracing::error!(saga_id = %id, code = parked.code(), reason = %parked, "the saga is left alone");
        metrics::counter!(names::PARKED, "reason" => parked.code()).increment(1);
        self.sagas.remove(&id);
        self.open.forget(id);
        if self.parked.insert(id, parked).is_none() {
            self.parked_order.push_back(id);
            if self.parked_order.len() > PARKED_MAX
                && let Some(oldest) = self.parked_order.pop_front()
            {
                self.parked.remove(&oldest);
            }
        }
    }

    /// Forgets that a saga is left alone; true when it was.
    pub(super) fn unpark(&mut self, id: SagaId) -> bool {
        let was_parked = self.parked.remove(&id).is_some();
        if was_parked {
            self.parked_order.retain(|parked| *parked != id);
        }
        was_parked
    }

    /// True when the saga has not ended, wherever it is.
    pub(super) fn is_open(&self, id: SagaId) -> bool {
        self.open.sagas.contains_key(&id) || self.parked.contains_key(&id)
    }

    pub(super) fn parked(&self, id: SagaId) -> Option<&Parked> {
        self.parked.get(&id)
    }

    /// When the bound is passed, an eighth goes at once, so that the cost of finding the oldest is shared by many puts.
    fn evict(&mut self) {
        if self.sagas.len() <= self.sagas_max {
            return;
        }
        let mut touched: Vec<_> = self.sagas.values().map(|slot| slot.touched).collect();
        let count = (touched.len() / 8).max(1);
        let (_, newest_to_go, _) = touched.select_nth_unstable(count - 1);
        let newest_to_go = *newest_to_go;
        self.sagas.retain(|_, slot| slot.touched > newest_to_go);
    }
}

/// The bytes that a saga takes at admission: none while nothing of it is on its way to a domain.
fn taken(saga: &SagaInstance, held: bool) -> Option<usize> {
    (saga.is_busy() && !held).then(|| saga.bytes())
}

/// The statuses in which a saga is not final.
const OPEN_STATUSES: [SagaStatus; 3] = [SagaStatus::Running, SagaStatus::Compensating, SagaStatus::NeedsAttention];

/// Every open saga, evicted and sleeping ones too: its status, and its bytes while a command of it is under way.
#[derive(Debug)]
struct Open {
    sagas: HashMap<SagaId, (SagaStatus, Option<usize>)>,
    counts: [isize; OPEN_STATUSES.len()],
    busy: isize,
    bytes: isize,
    admission: Arc<Admission>,
}

impl Open {
    fn set(&mut self, id: SagaId, status: SagaStatus, busy: Option<usize>) {
        if status.is_final() {
            return self.forget(id);
        }
        let before = self.sagas.insert(id, (status, busy));
        if before != Some((status, busy)) {
            if let Some(before) = before {
                self.count(before, -1);
            }
            self.count((status, busy), 1);
        }
    }

    fn forget(&mut self, id: SagaId) {
        if let Some(before) = self.sagas.remove(&id) {
            self.count(before, -1);
        }
    }

    fn count(&mut self, (status, busy): (SagaStatus, Option<usize>), change: isize) {
        if let Some(place) = OPEN_STATUSES.iter().position(|open| *open == status) {
            self.counts[place] += change;
            show(status, change);
        }
        // What only waits takes no room: it may wait for days.
        if let Some(bytes) = busy {
            self.busy += change;
            self.admission.count_busy(change);
            let bytes = bytes.cast_signed() * change;
            self.bytes += bytes;
            self.admission.count_bytes(bytes);
        }
    }
}

fn show(status: SagaStatus, change: isize) {
    let gauge = metrics::gauge!(names::OPEN, "status" => status.as_str());
    let amount = f64::from(i32::try_from(change.abs()).unwrap_or(i32::MAX));
    if change >= 0 { gauge.increment(amount) } else { gauge.decrement(amount) }
}

impl Drop for Open {
    /// The lane ends: the next owner of the shard counts them.
    fn drop(&mut self) {
        OPEN_STATUSES.into_iter().zip(self.counts).for_each(|(status, count)| show(status, -count));
        self.admission.count_busy(-self.busy);
        self.admission.count_bytes(-self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Limits;

    #[test]
    fn the_reason_of_the_saga_that_was_parked_last_is_always_known() {
        let (_broker, state) = tokio::sync::watch::channel(messaging::BrokerState::Connected);
        let mut memory = Memory::new(10, Admission::new(&Limits::default(), state));
        for _ in 0..PARKED_MAX + 3 {
            let id = kit::ids::saga_id(0, 1);
            memory.park(id, Parked::BrokenRow("by the test".to_owned()));
            assert!(memory.parked(id).is_some() && memory.knows(id));
        }
        assert_eq!((memory.parked.len(), memory.parked_order.len()), (PARKED_MAX, PARKED_MAX));
    }
}
