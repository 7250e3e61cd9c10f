//! This process's watchers: followers of sagas, and requests that wait for a saga's end. Lanes tell of commits, and the
//! very records are passed on, so that following a saga of an own shard costs no read.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use contract::{SagaId, saga::SagaStatus};
use journal::Record;
use tokio::sync::{broadcast, watch};

/// Notices that a slow follower may be behind. What it misses it reads from the journal.
const NOTICES_MAX: usize = 8;

/// All watchers of this process, by saga.
#[derive(Debug)]
pub(crate) struct Watchers {
    count_max: usize,
    /// Beside the lock, so that a commit without any watcher costs one load.
    count: AtomicUsize,
    sagas: Mutex<HashMap<SagaId, Watched>>,
}

/// A saga with at least one watcher.
#[derive(Debug)]
struct Watched {
    count: usize,
    records: Option<broadcast::Sender<Notice>>,
    rest: watch::Sender<Option<SagaStatus>>,
}

/// The news that a follower gets.
#[derive(Debug, Clone)]
pub(crate) enum Notice {
    /// This record was committed.
    Committed(Arc<Record>),
    /// The saga's last record has this number.
    Head(u64),
    /// Something may have been committed: look it up.
    Look,
}

/// A follower's place among the watchers.
#[derive(Debug)]
pub(crate) struct Following {
    place: Place,
    notices: broadcast::Receiver<Notice>,
}

/// The place of a request that waits for a saga to come to rest.
#[derive(Debug)]
pub(crate) struct Waiting {
    place: Place,
    rest: watch::Receiver<Option<SagaStatus>>,
}

/// One watcher, counted for as long as it lives.
#[derive(Debug)]
struct Place {
    watchers: Arc<Watchers>,
    saga: SagaId,
}

/// True when a saga does nothing more by itself.
pub(crate) const fn is_at_rest(status: SagaStatus) -> bool {
    status.is_final() || matches!(status, SagaStatus::NeedsAttention)
}

impl Watchers {
    pub(crate) fn new(count_max: usize) -> Self {
        Self { count_max, count: AtomicUsize::new(0), sagas: Mutex::default() }
    }

    /// A place for one more follower, if there is one.
    pub(crate) fn follow(self: &Arc<Self>, saga: SagaId) -> Option<Following> {
        self.enter(saga, |watched| {
            let records = watched.records.get_or_insert_with(|| broadcast::channel(NOTICES_MAX).0);
            records.subscribe()
        })
        .map(|(place, notices)| Following { place, notices })
    }

    /// A place for one more request that waits for the saga to come to rest, if there is one.
    pub(crate) fn wait(self: &Arc<Self>, saga: SagaId) -> Option<Waiting> {
        self.enter(saga, |watched| watched.rest.subscribe()).map(|(place, rest)| Waiting { place, rest })
    }

    /// Whether this saga's records are wanted.
    pub(crate) fn is_followed(&self, saga: SagaId) -> bool {
        self.count.load(Ordering::Relaxed) > 0
            && self.lock().get(&saga).is_some_and(|watched| watched.records.is_some())
    }

    /// Tells that a saga of this process was committed, and where it stands.
    pub(crate) fn committed(&self, saga: SagaId, status: SagaStatus, record: Option<Arc<Record>>) {
        if self.count.load(Ordering::Relaxed) == 0 {
            return;
        }
        if let Some(watched) = self.lock().get(&saga) {
            watched.tell(record.map_or(Notice::Look, Notice::Committed));
            if is_at_rest(status) {
                watched.rest.send_replace(Some(status));
            }
        }
    }

    /// Tells what was heard of a saga elsewhere.
    pub(crate) fn tell(&self, saga: SagaId, notice: Notice) {
        if let Some(watched) = self.lock().get(&saga) {
            watched.tell(notice);
        }
    }

    fn enter<T>(self: &Arc<Self>, saga: SagaId, subscribe: impl FnOnce(&mut Watched) -> T) -> Option<(Place, T)> {
        let mut sagas = self.lock();
        if self.count.load(Ordering::Relaxed) >= self.count_max {
            return None;
        }
        let unwatched = || Watched { count: 0, records: None, rest: watch::Sender::new(None) };
        let watched = sagas.entry(saga).or_insert_with(unwatched);
        watched.count += 1;
        self.count.fetch_add(1, Ordering::Relaxed);
        Some((Place { watchers: Arc::clone(self), saga }, subscribe(watched)))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SagaId, Watched>> {
        self.sagas.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watched {
    fn tell(&self, notice: Notice) {
        if let Some(records) = &self.records {
            // With no receiver left the notice is not needed.
            records.send(notice).ok();
        }
    }
}

impl Following {
    pub(crate) const fn saga(&self) -> SagaId {
        self.place.saga
    }

    /// The next notice since the last call.
    pub(crate) async fn next(&mut self) -> Notice {
        match self.notices.recv().await {
            Ok(notice) => notice,
            Err(broadcast::error::RecvError::Lagged(_)) => Notice::Look,
            // Cannot be: the sender stays while this place is held.
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }
}

impl Waiting {
    pub(crate) const fn saga(&self) -> SagaId {
        self.place.saga
    }

    /// The status in which the saga came to rest.
    pub(crate) async fn at_rest(&mut self) -> SagaStatus {
        let rest = self.rest.wait_for(Option::is_some).await.ok().and_then(|status| *status);
        match rest {
            Some(status) => status,
            // Cannot be, for the same reason.
            None => std::future::pending().await,
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut sagas = self.watchers.lock();
        self.watchers.count.fetch_sub(1, Ordering::Relaxed);
        if let Some(watched) = sagas.get_mut(&self.saga) {
            watched.count -= 1;
            if watched.count == 0 {
                sagas.remove(&self.saga);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use futures::FutureExt;

    use super::*;

    #[test]
    fn a_follower_hears_of_its_saga_only_and_leaves_nothing_behind() {
        let watchers = Arc::new(Watchers::new(2));
        let saga = kit::ids::saga_id(0, 1);
        let mut follower = watchers.follow(saga).unwrap();
        let mut waiting = watchers.wait(saga).unwrap();
        assert!(watchers.follow(saga).is_none(), "only two places");
        watchers.committed(kit::ids::saga_id(0, 1), SagaStatus::Completed, None);
        assert!(follower.next().now_or_never().is_none());

        let record = Arc::new(Record { seq: 2, at: DateTime::UNIX_EPOCH, entries: Vec::new() });
        watchers.committed(saga, SagaStatus::Running, Some(record));
        assert!(matches!(follower.next().now_or_never(), Some(Notice::Committed(record)) if record.seq == 2));
        assert!(waiting.at_rest().now_or_never().is_none());
        watchers.committed(saga, SagaStatus::Completed, None);
        assert!(matches!(follower.next().now_or_never(), Some(Notice::Look)));
        assert_eq!(waiting.at_rest().now_or_never(), Some(SagaStatus::Completed));

        drop((follower, waiting));
        assert!(watchers.lock().is_empty() && !watchers.is_followed(saga));
        assert!(watchers.follow(saga).is_some());
    }

    #[test]
    fn a_follower_that_is_too_slow_is_sent_to_the_journal() {
        let watchers = Arc::new(Watchers::new(1));
        let saga = kit::ids::saga_id(0, 1);
        let mut follower = watchers.follow(saga).unwrap();
        for seq in 1..=20 {
            let record = Arc::new(Record { seq, at: DateTime::UNIX_EPOCH, entries: Vec::new() });
            watchers.committed(saga, SagaStatus::Running, Some(record));
        }
        assert!(matches!(follower.next().now_or_never(), Some(Notice::Look)));
    }
}
