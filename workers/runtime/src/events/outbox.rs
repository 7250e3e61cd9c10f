//! The event outbox: events are stored in the transaction that made them true and published after its commit.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use contract::{
    SagaId,
    command::Route,
    event::{CloudEvent, Event},
};
use sqlx::PgConnection;
use tokio::sync::Notify;

use crate::{
    handler_error::HandlerError,
    side_effects::{Cause, NewEvent},
};

/// The version of CloudEvents.
pub(crate) const SPEC_VERSION: &str = "1.0";

/// A domain's event outbox, for work that no command causes.
#[derive(Debug, Clone)]
pub struct Events {
    route: Route,
    committed: Arc<Notify>,
}

impl Events {
    /// The outbox of a domain.
    #[must_use]
    pub fn new(route: Route) -> Self {
        Self { route, committed: Arc::new(Notify::new()) }
    }

    /// Stores an event within the caller's transaction, if it has a subscriber. `flow` is the saga that it belongs to,
    /// when there is one.
    ///
    /// # Errors
    /// When the database fails or the event cannot be written as JSON.
    pub async fn emit<E: Event>(
        &self,
        tx: &mut PgConnection,
        now: DateTime<Utc>,
        flow: Option<SagaId>,
        event: &E,
    ) -> Result<Emitted, HandlerError> {
        if E::SUBSCRIBERS.is_empty() {
            return Ok(Emitted(None));
        }
        let cause = Cause { flow: flow.map(|saga| saga.to_string()), ..Cause::default() };
        store(tx, &[self.cloud_event(NewEvent::of(event)?, now, cause)]).await?;
        Ok(Emitted(Some(Arc::clone(&self.committed))))
    }

    /// Wakes the relay.
    pub(crate) fn committed(&self) {
        self.committed.notify_one();
    }

    pub(crate) async fn wait_for_commit(&self) {
        self.committed.notified().await;
    }

    pub(crate) fn cloud_event(&self, event: NewEvent, now: DateTime<Utc>, cause: Cause) -> CloudEvent {
        CloudEvent {
            specversion: SPEC_VERSION.to_owned(),
            id: kit::ids::message_id(),
            source: format!("/sojourn/{}", self.route.as_str()),
            kind: event.kind.to_owned(),
            dataversion: event.version,
            subject: event.subject,
            time: now,
            datacontenttype: "application/json".to_owned(),
            correlationid: cause.flow,
            causationid: cause.message,
            traceparent: cause.traceparent,
            data: event.data,
        }
    }
}

/// An event that a transaction has stored, or one that has no subscriber.
#[derive(Debug)]
#[must_use = "the relay is to be woken after the commit"]
pub struct Emitted(Option<Arc<Notify>>);

impl Emitted {
    /// To be called after the commit; a forgotten call delays the event until the next.
    pub fn committed(self) {
        if let Some(relay) = self.0 {
            relay.notify_one();
        }
    }
}

/// Stores events in one statement. The text that is stored is the text that is published.
pub(crate) async fn store(tx: &mut PgConnection, events: &[CloudEvent]) -> Result<(), HandlerError> {
    let mut ids = Vec::with_capacity(events.len());
    let mut kinds = Vec::with_capacity(events.len());
    let mut bodies = Vec::with_capacity(events.len());
    for event in events {
        ids.push(event.id.uuid());
        kinds.push(event.kind.clone());
        bodies.push(
            serde_json::to_string(event)
                .map_err(|error| HandlerError::fault(format!("event `{}` cannot be written: {error}", event.kind)))?,
        );
    }
    sqlx::query(
        "INSERT INTO runtime.outbox (event_id, kind, body)
         SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[])",
    )
    .bind(ids)
    .bind(kinds)
    .bind(bodies)
    .execute(tx)
    .await?;
    Ok(())
}
