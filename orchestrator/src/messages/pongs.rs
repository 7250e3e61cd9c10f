//! The answers to this process's pings, until the watch over a shard's owner looks for them.

use std::{
    collections::HashSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use super::wire::Pong;

/// The pongs that arrived and were not looked at yet: by shard, and whether this process sent it to itself.
#[derive(Debug, Default)]
pub(crate) struct Pongs {
    unseen: Mutex<HashSet<(u16, bool)>>,
    came: Notify,
}

impl Pongs {
    pub(crate) fn note(&self, pong: &Pong) {
        self.lock().insert((pong.shard, pong.own));
        self.came.notify_waiters();
    }

    /// Whether one came since the last look.
    pub(crate) fn take(&self, shard: u16, own: bool) -> bool {
        self.lock().remove(&(shard, own))
    }

    /// Waits for the next one that this process sent to itself.
    pub(crate) async fn own(&self, shard: u16) {
        loop {
            let came = self.came.notified();
            if self.take(shard, true) {
                return;
            }
            came.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<(u16, bool)>> {
        self.unseen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
