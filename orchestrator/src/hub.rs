//! Who in this process watches which saga. Lanes tell the hub of commits; the hub wakes the streams.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use contract::SagaId;
use tokio::sync::watch;

/// All watched sagas.
#[derive(Debug)]
pub(crate) struct Hub {
    watchers_max: usize,
    /// Beside the lock, so that a commit with nobody watching costs one load.
    watchers: AtomicUsize,
    sagas: Mutex<HashMap<SagaId, Watched>>,
}

#[derive(Debug)]
struct Watched {
    watchers: usize,
    /// Counts the notices; its value means nothing.
    notices: watch::Sender<u64>,
}

/// One stream's place in the hub.
#[derive(Debug)]
pub(crate) struct Watching {
    hub: Arc<Hub>,
    saga: SagaId,
    notices: watch::Receiver<u64>,
}

impl Hub {
    pub(crate) fn new(watchers_max: usize) -> Self {
        Self { watchers_max, watchers: AtomicUsize::new(0), sagas: Mutex::default() }
    }

    /// A place for one more stream, if there is one.
    pub(crate) fn watch(self: &Arc<Self>, saga: SagaId) -> Option<Watching> {
        let mut sagas = self.lock();
        if self.watchers.load(Ordering::Relaxed) >= self.watchers_max {
            return None;
        }
        let watched = sagas.entry(saga).or_insert_with(|| Watched { watchers: 0, notices: watch::Sender::new(0) });
        watched.watchers += 1;
        self.watchers.fetch_add(1, Ordering::Relaxed);
        Some(Watching { hub: Arc::clone(self), saga, notices: watched.notices.subscribe() })
    }

    /// Wakes the streams of one saga.
    pub(crate) fn notify(&self, saga: SagaId) {
        if self.watchers.load(Ordering::Relaxed) > 0
            && let Some(watched) = self.lock().get(&saga)
        {
            watched.notices.send_modify(|notices| *notices += 1);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SagaId, Watched>> {
        self.sagas.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watching {
    /// Waits for a notice that came since the last call. The hub outlives its watchers, so there is always one to come.
    pub(crate) async fn noticed(&mut self) {
        if self.notices.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let mut sagas = self.hub.lock();
        self.hub.watchers.fetch_sub(1, Ordering::Relaxed);
        if let Some(watched) = sagas.get_mut(&self.saga) {
            watched.watchers -= 1;
            if watched.watchers == 0 {
                sagas.remove(&self.saga);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn a_watcher_hears_of_its_saga_only_and_leaves_nothing_behind() {
        let hub = Arc::new(Hub::new(2));
        let saga = kit::ids::saga_id(0, 1);
        let mut first = hub.watch(saga).unwrap();
        let second = hub.watch(saga).unwrap();
        assert!(hub.watch(saga).is_none(), "only two places");
        hub.notify(kit::ids::saga_id(0, 1));
        assert!(first.noticed().now_or_never().is_none());
        hub.notify(saga);
        hub.notify(saga);
        assert!(first.noticed().now_or_never().is_some());
        assert!(first.noticed().now_or_never().is_none(), "two notices wake once");
        drop((first, second));
        assert!(hub.lock().is_empty());
        assert!(hub.watch(saga).is_some());
    }
}
