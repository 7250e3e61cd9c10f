//! Takes events from the outbox to the broker: woken by each commit, once at the start, and never by a clock.
//!
//! A relay claims the rows that it publishes, and passes over those that another replica's has claimed. An event that is
//! not taken keeps none behind it waiting.

use std::sync::Arc;

use contract::{envelope::KIND_EVENT, event::CONTENT_TYPE};
use messaging::{Broker, Message, Outgoing, PublishError};
use sqlx::{FromRow, PgPool};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{events::outbox::Events, failure, limits, observe};

/// The header in which CloudEvents say how they are written.
const CONTENT_TYPE_HEADER: &str = "content-type";

/// One domain's relay. An event whose publishing was confirmed, but not its removal, is published twice; receivers tell by
/// (source, id).
pub(crate) struct Relay {
    pub(crate) pool: PgPool,
    pub(crate) events: Events,
    pub(crate) broker: Arc<dyn Broker>,
    pub(crate) domain: &'static str,
    /// Cancelled when the last command has committed: what is in the outbox is still published.
    pub(crate) drain: CancellationToken,
    /// Cancelled when nothing is worth waiting for any more.
    pub(crate) stop: CancellationToken,
}

#[derive(FromRow)]
struct Row {
    position: i64,
    event_id: Uuid,
    kind: String,
    body: String,
}

/// Why a pass ended early.
#[derive(Debug, thiserror::Error)]
enum RelayError {
    #[error("the outbox cannot be read or cleared: {0}")]
    Database(#[from] sqlx::Error),
    #[error("{failed} events were not taken by the broker: {first}")]
    Publish { failed: usize, first: PublishError },
}

impl Relay {
    pub(crate) async fn run(&self) {
        loop {
            let last = self.drain.is_cancelled();
            self.publish_all().await;
            if last {
                return;
            }
            tokio::select! {
                () = self.drain.cancelled() => {}
                () = self.events.wait_for_commit() => {}
            }
        }
    }

    /// Until the outbox is empty, however long broker or database are gone.
    async fn publish_all(&self) {
        let mut pauses = failure::pauses();
        loop {
            let passed = tokio::select! {
                () = self.stop.cancelled() => return,
                passed = self.pass() => passed,
            };
            match passed {
                Ok(()) => return,
                Err(error) => {
                    tracing::warn!(domain = self.domain, %error, "events wait in the outbox");
                    let pause = pauses.next().unwrap_or(limits::RECONNECT_PAUSE_MAX);
                    tokio::select! {
                        () = self.stop.cancelled() => return,
                        () = tokio::time::sleep(pause) => {}
                    }
                }
            }
        }
    }

    /// Publishes all events, oldest first, and forgets those that were taken.
    async fn pass(&self) -> Result<(), RelayError> {
        let (mut after, mut failed) = (0, Vec::new());
        while let Some(last) = self.publish_after(after, &mut failed).await? {
            after = last;
        }
        let failures = failed.len();
        match failed.into_iter().next() {
            None => Ok(()),
            Some(first) => Err(RelayError::Publish { failed: failures, first }),
        }
    }

    /// Publishes the oldest events after a position that no other relay has claimed; answers the last one's position.
    async fn publish_after(&self, after: i64, failed: &mut Vec<PublishError>) -> Result<Option<i64>, RelayError> {
        let mut claim = self.pool.begin().await?;
        let rows = sqlx::query_as::<_, Row>(
            "SELECT position, event_id, kind, body FROM runtime.outbox WHERE position > $1
             ORDER BY position LIMIT $2 FOR UPDATE SKIP LOCKED",
        )
        .bind(after)
        .bind(limits::OUTBOX_BATCH_EVENTS_MAX)
        .fetch_all(&mut *claim)
        .await?;
        let Some(last) = rows.last().map(|row| row.position) else { return Ok(None) };
        let mut positions = Vec::with_capacity(rows.len());
        let mut batch = Vec::with_capacity(rows.len());
        for row in rows {
            positions.push(row.position);
            let id = contract::MessageId::from_uuid(row.event_id).to_string();
            let message = Message::new(id, KIND_EVENT, row.body).with_header(CONTENT_TYPE_HEADER, CONTENT_TYPE);
            batch.push(Outgoing::event(row.kind, message));
        }
        let results = self.broker.publish(batch).await;
        let mut taken = Vec::with_capacity(positions.len());
        for (position, result) in positions.into_iter().zip(results) {
            match result {
                // An event without a subscriber has been told.
                Ok(()) | Err(PublishError::Unroutable { .. }) => taken.push(position),
                Err(error @ PublishError::TooLarge { .. }) => {
                    tracing::error!(domain = self.domain, position, %error, "an event can never be published");
                    taken.push(position);
                }
                Err(error @ (PublishError::NotConfirmed { .. } | PublishError::Unavailable { .. })) => {
                    failed.push(error)
                }
            }
        }
        sqlx::query("DELETE FROM runtime.outbox WHERE position = ANY($1)").bind(&taken).execute(&mut *claim).await?;
        claim.commit().await?;
        observe::published(self.domain, taken.len());
        Ok(Some(last))
    }
}
