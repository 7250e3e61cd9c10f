//! The progress of a lane in taking over the sagas of its shard.

use std::collections::HashSet;

use contract::SagaId;

/// The progress of a takeover, and the sagas that are to be resumed afterwards as if they were taken over.
#[derive(Debug, Default)]
pub(super) struct Recovery {
    /// The last saga of the page that was loaded last.
    pub(super) after: Option<SagaId>,
    done: bool,
    loaded: usize,
    /// Sagas whose committed commands may not have been published by this lane.
    doubtful: HashSet<SagaId>,
}

impl Recovery {
    /// Nothing more is to be taken over.
    pub(super) const fn stop(&mut self) {
        self.done = true;
    }

    pub(super) const fn is_done(&self) -> bool {
        self.done
    }

    /// Notes a page that ended with this saga.
    pub(super) const fn note_page(&mut self, last: SagaId, sagas: usize) {
        self.after = Some(last);
        self.loaded += sagas;
    }

    /// The number of open sagas that were found.
    pub(super) const fn loaded(&self) -> usize {
        self.loaded
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
