//! Forgets what the inbox has kept for long enough, once an hour, in small statements.

use std::sync::Arc;

use kit::clock::Clock;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::{limits, observe};

/// Prunes at the start and then once an hour, until told to stop.
pub(crate) async fn run(pool: PgPool, clock: Arc<dyn Clock>, domain: &'static str, drain: CancellationToken) {
    loop {
        match drain.run_until_cancelled(prune(&pool, clock.as_ref())).await {
            None => return,
            Some(Ok(0)) => {}
            Some(Ok(rows)) => observe::pruned(domain, rows),
            Some(Err(error)) => tracing::warn!(domain, %error, "the inbox was not pruned; it is tried again"),
        }
        if drain.run_until_cancelled(tokio::time::sleep(limits::PRUNE_EVERY)).await.is_none() {
            return;
        }
    }
}

/// Deletes what is older than the retention; answers how many rows that were. Open intents stay: somebody still has
/// to find out what became of them.
pub(crate) async fn prune(pool: &PgPool, clock: &dyn Clock) -> Result<u64, sqlx::Error> {
    let oldest = clock.now() - limits::INBOX_RETENTION;
    let mut rows = 0;
    loop {
        let deleted = sqlx::query(
            "DELETE FROM runtime.inbox WHERE ctid = ANY (ARRAY(
                 SELECT ctid FROM runtime.inbox WHERE created_at < $1 AND state <> 'p' LIMIT $2
             ))",
        )
        .bind(oldest)
        .bind(limits::PRUNE_ROWS_MAX)
        .execute(pool)
        .await?
        .rows_affected();
        rows += deleted;
        if deleted < limits::PRUNE_ROWS_MAX.unsigned_abs() {
            return Ok(rows);
        }
    }
}
