//! The surroundings of a command: facts that its handler needs, and requests that it may make beside its transaction.

use std::fmt;

use chrono::{DateTime, Utc};
use contract::{CommandId, SagaId, event::Event};

use crate::side_effects::SideEffects;

/// One command's surroundings. Fresh for every run of a handler.
pub struct Context {
    /// Which piece of a saga's work this is, stable over retries.
    pub command_id: CommandId,
    /// Which sending of it.
    pub attempt: u16,
    /// The time that counts for this command.
    pub now: DateTime<Utc>,
    /// For a compensation whose action was prepared but never recorded: that action, under whose key somebody outside
    /// was or will be asked; see [`crate::OutsideHandler`].
    pub action_in_doubt: Option<CommandId>,
    pub(crate) side_effects: SideEffects,
}

impl Context {
    /// The surroundings of one command, as the runtime and tests make them.
    #[must_use]
    pub fn new(command_id: CommandId, attempt: u16, now: DateTime<Utc>) -> Self {
        Self { command_id, attempt, now, action_in_doubt: None, side_effects: SideEffects::default() }
    }

    /// The saga that asks.
    #[must_use]
    pub const fn saga_id(&self) -> SagaId {
        self.command_id.saga
    }

    /// The command's id as text, by which a request to somebody outside is known however often it is sent.
    #[must_use]
    pub fn idempotency_key(&self) -> String {
        self.command_id.to_string()
    }

    /// Announces that something has happened. The event is stored in the transaction of the handler and published
    /// after its commit, so it is true whenever a subscriber hears of it.
    pub fn emit<E: Event>(&mut self, event: &E) {
        self.side_effects.emit(event);
    }

    /// Runs `wake` once the transaction has committed. Lost in a crash: good for waking a sweeper, never for work.
    pub fn after_commit(&mut self, wake: impl FnOnce() + Send + Sync + 'static) {
        self.side_effects.after_commit(wake);
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("command_id", &self.command_id)
            .field("attempt", &self.attempt)
            .field("now", &self.now)
            .field("action_in_doubt", &self.action_in_doubt)
            .field("events", &self.side_effects.events.len())
            .finish_non_exhaustive()
    }
}
