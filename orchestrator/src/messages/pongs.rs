//! The answers to this process's pings, until the watch over a shard's owner looks for them.

use std::{
    collections::HashSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::wire::Pong;

/// The pongs that arrived and were not looked at yet: by shard, and whether this process sent it to itself.
#[derive(Debug, Default)]
pub(crate) struct Pongs(Mutex<HashSet<(u16, bool)>>);

impl Pongs {
    pub(crate) fn note(&self, pong: &Pong) {
        self.lock().insert((pong.shard, pong.own));
    }

    /// Whether one came since the last look.
    pub(crate) fn take(&self, shard: u16, own: bool) -> bool {
        self.lock().remove(&(shard, own))
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<(u16, bool)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
