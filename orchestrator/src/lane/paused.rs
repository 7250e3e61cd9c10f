//! The sagas of a lane that are paused, for its metric: a pause that was forgotten is seen.

use std::collections::HashSet;

use contract::SagaId;

use crate::names;

/// The paused sagas of a shard, sleeping ones too.
#[derive(Debug)]
pub(super) struct Paused {
    shard: u16,
    sagas: HashSet<SagaId>,
}

impl Paused {
    pub(super) fn new(shard: u16) -> Self {
        Self { shard, sagas: HashSet::new() }
    }

    /// Those that a new owner finds.
    pub(super) fn begin(&mut self, sagas: Vec<SagaId>) {
        self.sagas.extend(sagas);
        self.show(self.sagas.len());
    }

    /// Notes whether a saga is paused.
    pub(super) fn set(&mut self, saga: SagaId, paused: bool) {
        let changed = if paused { self.sagas.insert(saga) } else { self.sagas.remove(&saga) };
        if changed {
            self.show(self.sagas.len());
        }
    }

    fn show(&self, sagas: usize) {
        let sagas = u32::try_from(sagas).unwrap_or(u32::MAX);
        metrics::gauge!(names::PAUSED, "shard" => self.shard.to_string()).set(sagas);
    }
}

impl Drop for Paused {
    /// The lane ends: the next owner of the shard shows them.
    fn drop(&mut self) {
        self.show(0);
    }
}
