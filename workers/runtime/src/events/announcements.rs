//! The announcements of one transaction's handlers: stored in it, and told after its commit.

use chrono::{DateTime, Utc};
use contract::event::CloudEvent;
use sqlx::PgConnection;

use super::outbox::{self, Events};
use crate::{
    handler_error::HandlerError,
    side_effects::{Cause, SideEffects, Wake},
};

/// The events and wakes that all handlers of one transaction have asked for.
#[derive(Default)]
pub(crate) struct Announcements {
    events: Vec<CloudEvent>,
    wakes: Vec<Wake>,
}

impl Announcements {
    /// Takes over the side effects of one handler.
    ///
    /// # Errors
    /// When one of its events could not be written as JSON.
    pub(crate) fn add(
        &mut self,
        outbox: &Events,
        asked: SideEffects,
        now: DateTime<Utc>,
        cause: &Cause,
    ) -> Result<(), HandlerError> {
        if let Some(error) = asked.broken {
            return Err(error);
        }
        self.events.extend(asked.events.into_iter().map(|event| outbox.cloud_event(event, now, cause.clone())));
        self.wakes.extend(asked.wakes);
        Ok(())
    }

    /// Stores the events in the transaction that makes them true.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn store(&self, tx: &mut PgConnection) -> Result<(), HandlerError> {
        if self.events.is_empty() { Ok(()) } else { outbox::store(tx, &self.events).await }
    }

    /// The transaction has committed: wakes the relay, and runs the wakes.
    pub(crate) fn committed(self, outbox: &Events) {
        if !self.events.is_empty() {
            outbox.committed();
        }
        for wake in self.wakes {
            wake();
        }
    }
}
