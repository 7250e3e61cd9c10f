//! The audit log: appended to under the lock of its head, read in both directions.

use chrono::{DateTime, Utc};
use contract::orchestrator_api::{AuditFact, AuditHead, AuditRecord, next_row};
use sqlx::{Connection as _, PgConnection};

use super::session::unavailable;
use crate::{audit::AuditFilter, port::JournalError};

const HEAD: &str = "SELECT number, hash FROM audit_head";

/// The rows get their order here. No saga's commit waits for this lock.
const LOCK_HEAD: &str = "SELECT number, hash FROM audit_head FOR UPDATE";

const APPEND: &str = "\
INSERT INTO audit_log \
    (number, at, actor, role, request_id, act, target, reason, outcome, answers, previous_hash, hash) \
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";

const MOVE_HEAD: &str = "UPDATE audit_head SET number = $1, hash = $2";

const FROM: &str = "SELECT * FROM audit_log WHERE number >= $1 ORDER BY number LIMIT $2";

const LIST: &str = "\
SELECT * FROM audit_log \
WHERE number < $1 AND ($3::text IS NULL OR actor = $3) AND ($4::text IS NULL OR target = $4) \
    AND ($5::text IS NULL OR act = $5) \
ORDER BY number DESC LIMIT $2";

#[derive(Debug, sqlx::FromRow)]
struct AuditColumns {
    number: i64,
    at: DateTime<Utc>,
    actor: String,
    role: String,
    request_id: String,
    act: String,
    target: String,
    reason: String,
    outcome: String,
    answers: Option<i64>,
    previous_hash: String,
    hash: String,
}

pub(super) async fn append(connection: &mut PgConnection, fact: &AuditFact) -> Result<AuditRecord, JournalError> {
    let failed = unavailable("writing the audit log");
    let mut transaction = connection.begin().await.map_err(&failed)?;
    let head: (i64, String) = sqlx::query_as(LOCK_HEAD).fetch_one(&mut *transaction).await.map_err(&failed)?;
    let row = next_row(&head_of(head), fact);
    let AuditRecord { number, fact, previous_hash, hash } = &row;
    sqlx::query(APPEND)
        .bind(signed(*number))
        .bind(fact.at)
        .bind(&fact.actor)
        .bind(&fact.role)
        .bind(&fact.request_id)
        .bind(&fact.act)
        .bind(&fact.target)
        .bind(&fact.reason)
        .bind(&fact.outcome)
        .bind(fact.answers.map(signed))
        .bind(previous_hash)
        .bind(hash)
        .execute(&mut *transaction)
        .await
        .map_err(&failed)?;
    sqlx::query(MOVE_HEAD).bind(signed(*number)).bind(hash).execute(&mut *transaction).await.map_err(&failed)?;
    transaction.commit().await.map_err(&failed)?;
    Ok(row)
}

pub(super) async fn head(connection: &mut PgConnection) -> Result<AuditHead, JournalError> {
    let head = sqlx::query_as(HEAD).fetch_one(connection).await;
    head.map(head_of).map_err(unavailable("reading the audit log's head"))
}

pub(super) async fn from(
    connection: &mut PgConnection,
    number: u64,
    limit: u32,
) -> Result<Vec<AuditRecord>, JournalError> {
    let query = sqlx::query_as(FROM).bind(signed(number)).bind(i64::from(limit));
    let rows: Vec<AuditColumns> = query.fetch_all(connection).await.map_err(unavailable("reading the audit log"))?;
    Ok(rows.into_iter().map(AuditColumns::into_record).collect())
}

pub(super) async fn list(
    connection: &mut PgConnection,
    filter: &AuditFilter,
    before: Option<u64>,
    limit: u32,
) -> Result<Vec<AuditRecord>, JournalError> {
    let query = sqlx::query_as(LIST)
        .bind(before.map_or(i64::MAX, signed))
        .bind(i64::from(limit))
        .bind(&filter.actor)
        .bind(&filter.target)
        .bind(&filter.act);
    let rows: Vec<AuditColumns> = query.fetch_all(connection).await.map_err(unavailable("listing the audit log"))?;
    Ok(rows.into_iter().map(AuditColumns::into_record).collect())
}

fn head_of((number, hash): (i64, String)) -> AuditHead {
    AuditHead { number: unsigned(number), hash }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

impl AuditColumns {
    fn into_record(self) -> AuditRecord {
        let Self { number, at, actor, role, request_id, act, target, reason, outcome, answers, previous_hash, hash } =
            self;
        let answers = answers.map(unsigned);
        let fact = AuditFact { at, actor, role, request_id, act, target, reason, outcome, answers };
        AuditRecord { number: unsigned(number), fact, previous_hash, hash }
    }
}
