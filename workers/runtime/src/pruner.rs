//! Rows that have ended are removed when they have been kept for long enough: one mechanism for the kit's own tables and
//! those of every domain. It works at the start and then on each new day, in small statements. Commands that were carried out go by whole partitions, see [`crate::inbox_partitions`].

use std::sync::Arc;

use chrono::NaiveDate;
use kit::{clock::Clock, settings::error_chain};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::{inbox_partitions, limits, new_day::on_each_new_day, observe, retention::Retention};

/// The name of this work in the log.
const PRUNING: &str = "pruning";

/// Commands that were carried out and are in no month's partition. Open intents stay: their calls still have to be cleared
/// up. A command's row comes after the start of its saga, so the primary key finds the old ones.
const INBOX: Retention = Retention {
    rows: "inbox rows",
    kept_for: limits::INBOX_RETENTION,
    batch_rows_max: limits::PRUNE_ROWS_MAX,
    delete: "DELETE FROM runtime.inbox_default WHERE ctid = ANY (ARRAY(
                 SELECT ctid FROM runtime.inbox_default
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

    /// Prunes at the start and then on each new day, until told to stop.
    pub(crate) async fn run(&self, drain: CancellationToken) {
        let today = self.clock.now().date_naive();
        let done_for = match drain.run_until_cancelled(self.prune_all()).await {
            None => return,
            Some(Ok(_)) => today,
            Some(Err(error)) => {
                tracing::warn!(
                    domain = self.domain,
                    error = error_chain(&error),
                    "not all is pruned; it is tried again"
                );
                NaiveDate::MIN
            }
        };
        let prune = |_| async { self.prune_all().await.map(drop) };
        on_each_new_day(PRUNING, self.clock.as_ref(), done_for, limits::PRUNE_LOOK_EVERY, drain, prune).await;
    }

    /// Removes everything that is due; answers how many rows were deleted. What cannot be removed keeps nothing else from
    /// being removed.
    pub(crate) async fn prune_all(&self) -> Result<u64, sqlx::Error> {
        let now = self.clock.now();
        let made = inbox_partitions::make(&self.pool, now).await;
        let dropped = inbox_partitions::drop_before(&self.pool, now - limits::INBOX_RETENTION).await;
        let mut all = made.and(dropped.map(|()| 0));
        for retention in &self.retentions {
            let removed = self.prune(retention).await;
            if let Ok(rows @ 1..) = removed {
                observe::pruned(self.domain, retention.rows, rows);
            }
            all = all.and_then(|all| Ok(all + removed?));
        }
        all
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
