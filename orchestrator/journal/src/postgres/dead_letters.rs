//! Dead letters: kept whole, once each, so that they can be looked at and sent again.

use chrono::{DateTime, Utc};
use contract::{CommandId, SagaId, orchestrator_api::DeadLetterView};
use sqlx::PgConnection;
use uuid::Uuid;

use super::session::unavailable;
use crate::{
    dead_letters,
    port::{JournalError, KeptDeadLetter, NewDeadLetter},
};

const KEEP: &str = "\
INSERT INTO dead_letter \
    (message_id, saga_id, command_id, queue, exchange, routing_key, reason, kind, body, received_at) \
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (message_id, queue) DO NOTHING";

const LIST: &str = "SELECT * FROM dead_letter WHERE id < $1 ORDER BY id DESC LIMIT $2";

const LIST_OF_SAGA: &str = "SELECT * FROM dead_letter WHERE id < $1 AND saga_id = $3 ORDER BY id DESC LIMIT $2";

const GET: &str = "SELECT * FROM dead_letter WHERE id = $1";

const MARK: &str = "UPDATE dead_letter SET redriven_at = $2 WHERE id = $1";

#[derive(Debug, sqlx::FromRow)]
struct LetterColumns {
    id: i64,
    message_id: String,
    saga_id: Option<Uuid>,
    command_id: Option<String>,
    queue: String,
    exchange: Option<String>,
    routing_key: String,
    reason: String,
    kind: String,
    body: Vec<u8>,
    received_at: DateTime<Utc>,
    redriven_at: Option<DateTime<Utc>>,
}

pub(super) async fn keep(connection: &mut PgConnection, letter: &NewDeadLetter) -> Result<(), JournalError> {
    let letter = dead_letters::fit(letter);
    sqlx::query(KEEP)
        .bind(letter.message_id)
        .bind(letter.saga_id.map(SagaId::uuid))
        .bind(letter.command_id.map(|id| id.to_string()))
        .bind(letter.queue)
        .bind(letter.exchange)
        .bind(letter.routing_key)
        .bind(letter.reason)
        .bind(letter.kind)
        .bind(letter.body)
        .bind(letter.received_at)
        .execute(connection)
        .await
        .map_err(unavailable("keeping a dead letter"))?;
    Ok(())
}

pub(super) async fn list(
    connection: &mut PgConnection,
    saga: Option<SagaId>,
    before: Option<i64>,
    limit: u32,
) -> Result<Vec<DeadLetterView>, JournalError> {
    let before = before.unwrap_or(i64::MAX);
    let query = match saga {
        Some(saga) => sqlx::query_as(LIST_OF_SAGA).bind(before).bind(i64::from(limit)).bind(saga.uuid()),
        None => sqlx::query_as(LIST).bind(before).bind(i64::from(limit)),
    };
    let found: Vec<LetterColumns> = query.fetch_all(connection).await.map_err(unavailable("listing dead letters"))?;
    Ok(found.into_iter().map(|columns| columns.into_kept().view).collect())
}

pub(super) async fn get(connection: &mut PgConnection, id: i64) -> Result<Option<KeptDeadLetter>, JournalError> {
    let found: Option<LetterColumns> =
        sqlx::query_as(GET).bind(id).fetch_optional(connection).await.map_err(unavailable("reading a dead letter"))?;
    Ok(found.map(LetterColumns::into_kept))
}

pub(super) async fn mark_redriven(
    connection: &mut PgConnection,
    id: i64,
    at: DateTime<Utc>,
) -> Result<(), JournalError> {
    let marked = sqlx::query(MARK).bind(id).bind(at).execute(connection).await;
    marked.map_err(unavailable("noting that a dead letter was sent again"))?;
    Ok(())
}

impl LetterColumns {
    fn into_kept(self) -> KeptDeadLetter {
        let letter = NewDeadLetter {
            message_id: self.message_id,
            saga_id: self.saga_id.map(SagaId::from_uuid),
            // A command that cannot be read names no work; the letter's body still shows it.
            command_id: self.command_id.and_then(|id| id.parse::<CommandId>().ok()),
            queue: self.queue,
            exchange: self.exchange,
            routing_key: self.routing_key,
            reason: self.reason,
            kind: self.kind,
            body: self.body,
            received_at: self.received_at,
        };
        dead_letters::kept(self.id, self.redriven_at, letter)
    }
}
