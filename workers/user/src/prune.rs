//! Forgets sessions that are long over, with all their refresh tokens: at the start, then once an hour.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use kit::settings::error_chain;
use sqlx::PgPool;
use worker_runtime::Resources;

/// How often ended sessions are looked for: they harm nobody, they only take room.
const PRUNE_EVERY: Duration = Duration::from_secs(3600);
/// How long a session is kept after its end: until no refresh that began before it can still be under way.
const KEPT_FOR: TimeDelta = TimeDelta::days(1);
/// Sessions that one statement deletes; each may have thousands of tokens.
const SESSIONS_PER_BATCH: i64 = 100;

/// Runs until the token of the resources is cancelled.
pub(crate) async fn run(resources: Resources) {
    loop {
        if let Err(error) = forget_ended_sessions(&resources.pool, resources.clock.now()).await {
            tracing::warn!(error = error_chain(&error), "ended sessions were not forgotten; it is tried again");
        }
        if resources.token.run_until_cancelled(tokio::time::sleep(PRUNE_EVERY)).await.is_none() {
            return;
        }
    }
}

/// Deletes all sessions that ended more than a day before `now`; returns how many.
///
/// # Errors
/// When the database fails; what was deleted until then stays deleted.
pub async fn forget_ended_sessions(pool: &PgPool, now: DateTime<Utc>) -> Result<u64, sqlx::Error> {
    let mut forgotten = 0;
    loop {
        let deleted = sqlx::query(
            "DELETE FROM session WHERE session_id IN (
                 SELECT session_id FROM session WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)",
        )
        .bind(now - KEPT_FOR)
        .bind(SESSIONS_PER_BATCH)
        .execute(pool)
        .await?
        .rows_affected();
        forgotten += deleted;
        if deleted < SESSIONS_PER_BATCH.unsigned_abs() {
            return Ok(forgotten);
        }
    }
}
