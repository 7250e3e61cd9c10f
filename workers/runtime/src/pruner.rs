//! Rows that have ended are removed when they have been kept for long enough: one mechanism for the kit's own tables and
//! those of every domain. It works at the start and then once an hour, in small statements.

use std::sync::Arc;

use kit::{clock::Clock, settings::error_chain};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::{limits, observe, retention::Retention};

/// Commands that were carried out. Open intents stay: their calls still have to be cleared up. A command's row comes
/// after the start of its saga, so the primary key finds the old ones.
const INBOX: Retention = Retention {
    rows: "inbox rows",
    kept_for: limits::INBOX_RETENTION,
    batch_rows_max: limits::PRUNE_ROWS_MAX,
    delete: "DELETE FROM runtime.inbox WHERE ctid = ANY (ARRAY(
                 SELECT ctid FROM runtime.inbox
                 WHERE saga_id < runtime.first_id_of($1) AND created_at < $1 AND state <> 'p'
                 ORDER BY saga_id LIMIT $2
             ))",
};

/// Events that were taken in. An event's row comes after the event.
const EVENT_INBOX: Retention = Retention {
    rows: "event inbox rows",
    kept_for: limits::INBOX_RETENTION,
    batch_rows_max: limits::PRUNE_ROWS_MAX,
    delete: "DELETE FROM runtime.event_inbox WHERE ctid = ANY (ARRAY(
                 SELECT ctid FROM runtime.event_inbox
                 WHERE event_id < runtime.first_id_of($1) AND created_at < $1
                 ORDER BY event_id LIMIT $2
             ))",
};

/// Removes the ended rows of one domain's database.
pub(crate) struct Pruner {
    pool: PgPool,
    clock: Arc<dyn Clock>,
    domain: &'static str,
    retentions: Vec<Retention>,
}

impl Pruner {
    /// For the kit's own rows and those that the domain has named.
    pub(crate) fn new(pool: PgPool, clock: Arc<dyn Clock>, domain: &'static str, named: Vec<Retention>) -> Self {
        let retentions = [INBOX, EVENT_INBOX].into_iter().chain(named).collect();
        Self { pool, clock, domain, retentions }
    }

    /// Prunes at the start and then once an hour, until told to stop. One kind of rows that cannot be removed keeps no
    /// other from being removed.
    pub(crate) async fn run(&self, drain: CancellationToken) {
        loop {
            for retention in &self.retentions {
                match drain.run_until_cancelled(self.prune(retention)).await {
                    None => return,
                    Some(Ok(0)) => {}
                    Some(Ok(removed)) => observe::pruned(self.domain, retention.rows, removed),
                    Some(Err(error)) => {
                        let (rows, error) = (retention.rows, error_chain(&error));
                        tracing::warn!(domain = self.domain, rows, error, "not pruned; it is tried again");
                    }
                }
            }
            if drain.run_until_cancelled(tokio::time::sleep(limits::PRUNE_EVERY)).await.is_none() {
                return;
            }
        }
    }

    /// Removes everything that is due; answers how many rows that were.
    #[cfg(feature = "testkit")]
    pub(crate) async fn prune_all(&self) -> Result<u64, sqlx::Error> {
        let mut removed = 0;
        for retention in &self.retentions {
            removed += self.prune(retention).await?;
        }
        Ok(removed)
    }

    async fn prune(&self, retention: &Retention) -> Result<u64, sqlx::Error> {
        let ended_before = self.clock.now() - retention.kept_for;
        let mut removed = 0;
        loop {
            let deleted = sqlx::query(retention.delete)
                .bind(ended_before)
                .bind(retention.batch_rows_max)
                .execute(&self.pool)
                .await?
                .rows_affected();
            removed += deleted;
            if deleted < retention.batch_rows_max.unsigned_abs() {
                return Ok(removed);
            }
        }
    }
}
