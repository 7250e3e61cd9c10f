//! The sagas that are left alone, kept for people and for the next owner of their shard.

use chrono::{DateTime, Utc};
use contract::SagaId;
use sqlx::{AssertSqlSafe, PgConnection};
use uuid::Uuid;

use super::session::unavailable;
use crate::port::{GivenUp, JournalError, Quarantined};

const LIST: &str =
    "SELECT saga_id, code, detail, since FROM saga_quarantine WHERE saga_id > $1 ORDER BY saga_id LIMIT $2";

const OF_SAGA: &str = "SELECT saga_id, code, detail, since FROM saga_quarantine WHERE saga_id = $1";

const OF_SHARD: &str = "SELECT saga_id FROM saga_quarantine WHERE shard = $1";

const ADD: &str = "\
INSERT INTO saga_quarantine (saga_id, shard, code, detail, since) \
SELECT q.saga_id, $1, q.code, q.detail, q.since \
FROM unnest($2::uuid[], $3::text[], $4::text[], $5::timestamptz[]) AS q (saga_id, code, detail, since) \
ON CONFLICT (saga_id) DO UPDATE SET code = excluded.code, detail = excluded.detail";

const REMOVE: &str = "DELETE FROM saga_quarantine WHERE saga_id = ANY($1)";

/// The row of a saga that is given up, with all that follows from that but the record.
const ABANDON: &str = "\
WITH ended AS ( \
    UPDATE saga SET status = 'abandoned', paused = false, updated_at = $2, finished_at = $2 \
    WHERE id = $1 AND status IN ('running', 'compensating', 'needs_attention') RETURNING id, parent \
), awake AS ( \
    DELETE FROM saga_sleep WHERE saga_id IN (SELECT id FROM ended UNION ALL SELECT parent FROM ended) \
), released AS (DELETE FROM saga_quarantine WHERE saga_id = $1)";

/// The records are not read, so it does not matter what is wrong with them.
const RECORD: &str = "\
, noted AS ( \
    INSERT INTO saga_journal (saga_id, seq, at, entries) \
    SELECT id, (SELECT coalesce(max(seq), 0) + 1 FROM saga_journal WHERE saga_id = $1), $2, $3::json FROM ended)";

const PARENT: &str = " SELECT parent FROM saga WHERE id = $1";

const GIVEN_UP: &str = "SELECT parent FROM saga WHERE id = $1 AND status = 'abandoned'";

/// The columns of one row, as the queries name them.
type Columns = (Uuid, String, String, DateTime<Utc>);

pub(super) async fn list(
    connection: &mut PgConnection,
    after: Option<SagaId>,
    limit: u32,
) -> Result<Vec<Quarantined>, JournalError> {
    let rows: Vec<Columns> = sqlx::query_as(LIST)
        .bind(after.map_or(Uuid::nil(), SagaId::uuid))
        .bind(i64::from(limit))
        .fetch_all(connection)
        .await
        .map_err(unavailable("listing the sagas that are left alone"))?;
    Ok(rows.into_iter().map(quarantined).collect())
}

pub(super) async fn of_saga(connection: &mut PgConnection, id: SagaId) -> Result<Option<Quarantined>, JournalError> {
    let row: Option<Columns> = sqlx::query_as(OF_SAGA)
        .bind(id.uuid())
        .fetch_optional(connection)
        .await
        .map_err(unavailable("reading a quarantine"))?;
    Ok(row.map(quarantined))
}

fn quarantined((saga_id, code, detail, since): Columns) -> Quarantined {
    Quarantined { saga_id: SagaId::from_uuid(saga_id), code, detail, since }
}

pub(super) async fn of_shard(connection: &mut PgConnection, shard: u16) -> Result<Vec<SagaId>, sqlx::Error> {
    let ids: Vec<Uuid> = sqlx::query_scalar(OF_SHARD).bind(i32::from(shard)).fetch_all(connection).await?;
    Ok(ids.into_iter().map(SagaId::from_uuid).collect())
}

pub(super) async fn add(connection: &mut PgConnection, shard: u16, sagas: &[Quarantined]) -> Result<(), sqlx::Error> {
    sqlx::query(ADD)
        .bind(i32::from(shard))
        .bind(sagas.iter().map(|saga| saga.saga_id.uuid()).collect::<Vec<_>>())
        .bind(sagas.iter().map(|saga| saga.code.as_str()).collect::<Vec<_>>())
        // A reason may quote anything, and PostgreSQL keeps no U+0000.
        .bind(sagas.iter().map(|saga| saga.detail.replace('\0', "\u{fffd}")).collect::<Vec<_>>())
        .bind(sagas.iter().map(|saga| saga.since).collect::<Vec<_>>())
        .execute(connection)
        .await
        .map(drop)
}

pub(super) async fn remove(connection: &mut PgConnection, sagas: &[SagaId]) -> Result<(), sqlx::Error> {
    let ids: Vec<_> = sagas.iter().map(|id| id.uuid()).collect();
    sqlx::query(REMOVE).bind(ids).execute(connection).await.map(drop)
}

/// Gives a saga up; with a record of it where there are entries.
pub(super) async fn abandon(
    connection: &mut PgConnection,
    saga: SagaId,
    at: DateTime<Utc>,
    entries: Option<&str>,
) -> Result<Option<GivenUp>, sqlx::Error> {
    let record = entries.map_or("", |_| RECORD);
    let statement = AssertSqlSafe(format!("{ABANDON}{record}{PARENT}"));
    let query = sqlx::query_scalar(statement).bind(saga.uuid()).bind(at);
    let query = match entries {
        Some(entries) => query.bind(entries),
        None => query,
    };
    let found: Option<Option<Uuid>> = query.fetch_optional(connection).await?;
    Ok(found.map(given_up_child))
}

pub(super) async fn given_up(connection: &mut PgConnection, saga: SagaId) -> Result<Option<GivenUp>, sqlx::Error> {
    let found: Option<Option<Uuid>> = sqlx::query_scalar(GIVEN_UP).bind(saga.uuid()).fetch_optional(connection).await?;
    Ok(found.map(given_up_child))
}

fn given_up_child(parent: Option<Uuid>) -> GivenUp {
    GivenUp { parent: parent.map(SagaId::from_uuid) }
}
