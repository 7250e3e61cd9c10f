//! The progress of a lane in taking over the sagas of its shard.

use std::{collections::HashSet, vec};

use contract::SagaId;

/// The progress of a takeover, and the sagas that are to be resumed afterwards as if they were taken over.
#[derive(Debug, Default)]
pub(super) struct Recovery {
    /// The sagas that were awake when the takeover began, and are still to be loaded: later ones are this lane's own.
    awake: Option<vec::IntoIter<SagaId>>,
    found: usize,
    done: bool,
    /// Sagas whose committed commands may not have been published by this lane.
    doubtful: HashSet<SagaId>,
}

impl Recovery {
    /// Begins with the sagas that are awake.
    pub(super) fn begin(&mut self, awake: Vec<SagaId>) {
        self.found = awake.len();
        self.awake = Some(awake.into_iter());
    }

    pub(super) const fn has_begun(&self) -> bool {
        self.awake.is_some()
    }

    /// The sagas to load next; none at the end.
    pub(super) fn next_page(&mut self, sagas_max: usize) -> Vec<SagaId> {
        self.awake.as_mut().map(|awake| awake.take(sagas_max).collect()).unwrap_or_default()
    }

    /// Nothing more is to be taken over.
    pub(super) fn stop(&mut self) {
        self.done = true;
    }

    pub(super) const fn is_done(&self) -> bool {
        self.done
    }

    /// The number of sagas that were awake.
    pub(super) const fn found(&self) -> usize {
        self.found
    }

    /// The saga's commands are to be sent again when it is loaded the next time.
    pub(super) fn doubt(&mut self, saga: SagaId) {
        self.doubtful.insert(saga);
    }

    /// Whether the commands of a saga that is being loaded must be sent again.
    pub(super) fn resumes(&mut self, saga: SagaId) -> bool {
        self.doubtful.remove(&saga) || !self.done
    }
}
