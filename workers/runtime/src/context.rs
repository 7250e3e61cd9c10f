//! What a handler knows besides its command, and what it may ask for beside its transaction.

use std::fmt;

use chrono::{DateTime, Utc};
use contract::{CommandId, SagaId};
use serde::Serialize;
use serde_json::Value;

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
    pub(crate) events: Vec<NewEvent>,
    pub(crate) after_commit: Vec<Box<dyn FnOnce() + Send + Sync>>,
    pub(crate) broken_event: Option<serde_json::Error>,
}

/// An event on its way into the outbox.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct NewEvent {
    pub(crate) kind: &'static str,
    pub(crate) subject: String,
    pub(crate) data: Value,
}

impl Context {
    /// The surroundings of one command, as the runtime and tests make them.
    #[must_use]
    pub fn new(command_id: CommandId, attempt: u16, now: DateTime<Utc>) -> Self {
        Self {
            command_id,
            attempt,
            now,
            action_in_doubt: None,
            events: Vec::new(),
            after_commit: Vec::new(),
            broken_event: None,
        }
    }

    /// The saga that asks.
    #[must_use]
    pub const fn saga_id(&self) -> SagaId {
        self.command_id.saga
    }

    /// What makes a request to somebody outside recognisable however often it is sent: the command's id as text.
    #[must_use]
    pub fn idempotency_key(&self) -> String {
        self.command_id.to_string()
    }

    /// Announces that something has happened. The event is stored in the transaction of the handler and published
    /// after its commit, so it is true whenever anybody hears of it. `kind` is its name and topic, such as
    /// `order.confirmed`; `subject` what it is about, such as the order's id.
    pub fn emit(&mut self, kind: &'static str, subject: impl Into<String>, data: &impl Serialize) {
        match serde_json::to_value(data) {
            Ok(data) => self.events.push(NewEvent { kind, subject: subject.into(), data }),
            // Reported by the runtime as this command's fault: a handler has no use for it.
            Err(error) => self.broken_event = Some(error),
        }
    }

    /// Nothing is announced of what was undone.
    pub(crate) fn forget(&mut self) {
        self.events.clear();
        self.after_commit.clear();
        self.broken_event = None;
    }

    /// Runs `wake` once the transaction has committed. Lost in a crash: good for waking a sweeper, never for work.
    pub fn after_commit(&mut self, wake: impl FnOnce() + Send + Sync + 'static) {
        self.after_commit.push(Box::new(wake));
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("command_id", &self.command_id)
            .field("attempt", &self.attempt)
            .field("now", &self.now)
            .field("action_in_doubt", &self.action_in_doubt)
            .field("events", &self.events.len())
            .finish_non_exhaustive()
    }
}
