//! The requests of a handler beside its writes: events, which are stored in its transaction, and wakes after the commit.

use contract::{Traceparent, event::Event};
use serde_json::Value;

use crate::handler_error::HandlerError;

/// Work for after the commit. Lost in a crash.
pub(crate) type Wake = Box<dyn FnOnce() + Send + Sync>;

/// An event on its way into the outbox.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct NewEvent {
    pub(crate) kind: &'static str,
    pub(crate) version: u16,
    pub(crate) subject: String,
    pub(crate) data: Value,
}

impl NewEvent {
    /// # Errors
    /// When the event cannot be written as JSON.
    pub(crate) fn of<E: Event>(event: &E) -> Result<Self, HandlerError> {
        let data = serde_json::to_value(event)
            .map_err(|error| HandlerError::fault(format!("event `{}` cannot be written as JSON: {error}", E::NAME)))?;
        Ok(Self { kind: E::NAME, version: E::VERSION, subject: event.subject(), data })
    }
}

/// Where an event comes from.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cause {
    /// The whole flow, such as a saga's id.
    pub(crate) flow: Option<String>,
    /// The message that was being handled.
    pub(crate) message: Option<String>,
    /// The trace that it belongs to.
    pub(crate) traceparent: Option<Traceparent>,
}

/// The requests of one run of a handler.
#[derive(Default)]
pub(crate) struct SideEffects {
    pub(crate) events: Vec<NewEvent>,
    pub(crate) wakes: Vec<Wake>,
    /// An event could not be written as JSON.
    pub(crate) broken: Option<HandlerError>,
}

impl SideEffects {
    /// Keeps an event that has a subscriber.
    pub(crate) fn emit<E: Event>(&mut self, event: &E) {
        if E::SUBSCRIBERS.is_empty() {
            return;
        }
        match NewEvent::of(event) {
            Ok(event) => self.events.push(event),
            // Reported by the runtime as this run's fault: a handler has no use for it.
            Err(error) => self.broken = Some(error),
        }
    }

    pub(crate) fn after_commit(&mut self, wake: impl FnOnce() + Send + Sync + 'static) {
        self.wakes.push(Box::new(wake));
    }
}
