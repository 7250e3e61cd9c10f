//! The storage of pauses of domains, definitions and steps: part of the port. They are few, and every lane knows all of them.

use async_trait::async_trait;
use contract::orchestrator_api::{Pause, PauseScope};
use tokio::sync::watch;

use crate::error::JournalError;

/// The outcome of beginning a pause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PauseBegun {
    /// It is in force.
    Begun,
    /// There is one of this scope already.
    Known(Pause),
    /// There are as many as there may be. Nothing has changed.
    TooMany,
}

/// The pauses as one process sees them.
#[async_trait]
pub trait Pauses: Send + Sync {
    /// Begins a pause.
    async fn begin_pause(&self, pause: &Pause) -> Result<PauseBegun, JournalError>;

    /// Ends a pause; the answer is the pause that ended, if there was one.
    async fn end_pause(&self, scope: &PauseScope) -> Result<Option<Pause>, JournalError>;

    /// The pauses in force, by their scopes' words.
    async fn pauses(&self) -> Result<Vec<Pause>, JournalError>;

    /// Changes when a pause begins or ends, in any process, and when such a change may have been missed.
    fn pauses_changed(&self) -> watch::Receiver<u64>;
}
