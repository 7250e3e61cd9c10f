//! The side of a subscription that a domain writes: a handler for each event that it wants to hear of.

use std::{collections::BTreeMap, fmt, future::Future, marker::PhantomData, sync::Arc};

use chrono::{DateTime, Utc};
use contract::{
    MessageId,
    event::{CloudEvent, Event},
};
use serde_json::Value;
use sqlx::PgConnection;

use crate::{
    erased::Run,
    handler_error::HandlerError,
    side_effects::{Cause, SideEffects},
};

/// Does what one kind of event calls for, within a transaction that the runtime begins and commits together with the
/// inbox row that keeps the event from taking effect twice (S26).
///
/// Events come in no order, and an event may come long after it was announced. The handler may be run more than once
/// for one event (after a rollback), and other events are handled in the same transaction: so nothing outside of `tx`
/// may be changed, and time comes from `context.now`.
///
/// An event has happened, so there is no answer to it. A fault ([`HandlerError::fault`], an error of the database) rolls
/// everything back and the event is tried again, later and a bounded number of times. An event that this domain can
/// never take ([`HandlerError::refused`]) goes to the dead letters at once.
pub trait EventHandler<E: Event>: Send + Sync + 'static {
    /// Does the work.
    fn handle(
        &self,
        tx: &mut PgConnection,
        event: E,
        context: &mut EventContext,
    ) -> impl Future<Output = Result<(), HandlerError>> + Send;
}

/// One event's surroundings. Fresh for every run of a handler.
pub struct EventContext {
    /// The domain that announced it, such as `/sojourn/order`. Source and id together are the event's identity.
    pub source: String,
    /// Unique within the source.
    pub event_id: MessageId,
    /// The thing that it is about, such as an order's id.
    pub subject: String,
    /// When it was committed.
    pub happened_at: DateTime<Utc>,
    /// The time that counts for this handler.
    pub now: DateTime<Utc>,
    pub(crate) side_effects: SideEffects,
}

impl EventContext {
    pub(crate) fn of(event: &CloudEvent, now: DateTime<Utc>) -> Self {
        Self {
            source: event.source.clone(),
            event_id: event.id,
            subject: event.subject.clone(),
            happened_at: event.time,
            now,
            side_effects: SideEffects::default(),
        }
    }

    /// Announces that something has happened in turn; see [`crate::Context::emit`].
    pub fn emit<E: Event>(&mut self, event: &E) {
        self.side_effects.emit(event);
    }

    /// Runs `wake` once the transaction has committed. Lost in a crash: good for waking a sweeper, never for work.
    pub fn after_commit(&mut self, wake: impl FnOnce() + Send + Sync + 'static) {
        self.side_effects.after_commit(wake);
    }
}

impl fmt::Debug for EventContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventContext")
            .field("source", &self.source)
            .field("event_id", &self.event_id)
            .field("subject", &self.subject)
            .field("now", &self.now)
            .finish_non_exhaustive()
    }
}

/// The origin of everything that the handler of an event announces: the same flow, the same trace.
pub(crate) fn cause_of(event: &CloudEvent) -> Cause {
    Cause { flow: event.correlationid.clone(), message: Some(event.id.to_string()), traceparent: event.traceparent }
}

/// One kind of event that a domain has subscribed to.
pub(crate) struct RegisteredEvent {
    pub(crate) name: &'static str,
    pub(crate) version: u16,
    pub(crate) handler: Box<dyn AnyEventHandler>,
}

/// The subscriptions of a domain by the event's name on the wire.
pub(crate) type Subscriptions = BTreeMap<&'static str, Arc<RegisteredEvent>>;

impl RegisteredEvent {
    pub(crate) fn of<E: Event>(handler: impl EventHandler<E>) -> Self {
        Self { name: E::NAME, version: E::VERSION, handler: Box::new(Erased(handler, PhantomData::<fn() -> E>)) }
    }
}

/// An [`EventHandler`] of any event.
pub(crate) trait AnyEventHandler: Send + Sync {
    /// Whether the data is that of the event.
    fn check(&self, data: &Value) -> Result<(), serde_json::Error>;

    /// Reads the data and does the work.
    fn handle<'a>(&'a self, tx: &'a mut PgConnection, data: &'a Value, context: &'a mut EventContext) -> Run<'a, ()>;
}

/// A handler and the event that it is for.
struct Erased<E, H>(H, PhantomData<fn() -> E>);

impl<E: Event, H: EventHandler<E>> AnyEventHandler for Erased<E, H> {
    fn check(&self, data: &Value) -> Result<(), serde_json::Error> {
        E::deserialize(data).map(drop)
    }

    fn handle<'a>(&'a self, tx: &'a mut PgConnection, data: &'a Value, context: &'a mut EventContext) -> Run<'a, ()> {
        Box::pin(async move {
            let event = E::deserialize(data)
                .map_err(|error| HandlerError::fault(format!("the event's data is not readable: {error}")))?;
            self.0.handle(tx, event, context).await
        })
    }
}
