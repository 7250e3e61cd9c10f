//! The inbox of events in PostgreSQL: one row for each event that took effect, in the transaction of that effect.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use contract::event::CloudEvent;
use sqlx::PgConnection;
use uuid::Uuid;

/// The identity of an event: its id and its source.
pub(crate) type Key = (Uuid, String);

/// The identity under which the inbox knows an event.
pub(crate) fn key(event: &CloudEvent) -> Key {
    (event.id.uuid(), event.source.clone())
}

/// Claims events in one statement, and answers which of them had not been taken in before.
///
/// A copy that another transaction is just taking in is waited for: it is known when that one commits, and new when that
/// one rolls back. Claimed in the order of the key, so that two copies of a batch wait for each other instead of
/// deadlocking.
pub(crate) async fn claim<'a>(
    tx: &mut PgConnection,
    events: impl Iterator<Item = &'a CloudEvent>,
    now: DateTime<Utc>,
) -> Result<BTreeSet<Key>, sqlx::Error> {
    let rows: BTreeSet<(Uuid, &str, &str)> =
        events.map(|event| (event.id.uuid(), event.source.as_str(), event.kind.as_str())).collect();
    let ids: Vec<Uuid> = rows.iter().map(|(id, ..)| *id).collect();
    let sources: Vec<&str> = rows.iter().map(|(_, source, _)| *source).collect();
    let kinds: Vec<&str> = rows.iter().map(|(.., kind)| *kind).collect();
    let claimed: Vec<Key> = sqlx::query_as(
        "INSERT INTO runtime.event_inbox (event_id, source, kind, created_at)
         SELECT *, $4 FROM unnest($1::uuid[], $2::text[], $3::text[])
         ON CONFLICT DO NOTHING RETURNING event_id, source",
    )
    .bind(ids)
    .bind(sources)
    .bind(kinds)
    .bind(now)
    .fetch_all(tx)
    .await?;
    Ok(claimed.into_iter().collect())
}
