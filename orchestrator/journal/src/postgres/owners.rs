//! The owners of shards as other processes see them, and the end of one that does not serve its shard.

use sqlx::{Connection, Executor, PgConnection};

use super::session::{LOCK_CLASS_SHARD, unavailable};
use crate::port::{JournalError, Ownership};

const LAST: &str = "SELECT epoch FROM shard_owner WHERE shard = $1";

/// The locks of an append, which must be had before an owner is evicted. Where tables are held or commits stand still,
/// the next owner would be as silent as this one.
const LIKE_AN_APPEND: &str = "SET LOCAL lock_timeout = '2s'; LOCK TABLE saga, saga_journal IN ROW EXCLUSIVE MODE";

/// A write, for its commit.
const WRITE: &str = "UPDATE shard_owner SET since = since WHERE shard = $1 AND epoch = $2";

/// Ends the session that holds the shard's lock. Its epoch is noted right after it has the lock, so an owner that came
/// meanwhile is left in peace.
const EVICT: &str = "\
SELECT count(pg_terminate_backend(l.pid)) > 0 FROM pg_locks l JOIN shard_owner o ON o.shard = $2 AND o.epoch = $3 \
WHERE l.locktype = 'advisory' AND l.granted AND l.classid::bigint = $1 AND l.objid::bigint = $2 AND l.objsubid = 2 \
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())";

/// The last ownership of a shard, if it ever had one.
pub(super) async fn last(connection: &mut PgConnection, shard: u16) -> Result<Option<Ownership>, JournalError> {
    let found = sqlx::query_scalar(LAST).bind(i32::from(shard)).fetch_optional(connection).await;
    let epoch: Option<i64> = found.map_err(unavailable("looking for a shard's owner"))?;
    Ok(epoch.map(|epoch| Ownership { shard, epoch }))
}

/// Ends an ownership; true when it was still in force.
pub(super) async fn evict(connection: &mut PgConnection, ownership: Ownership) -> Result<bool, JournalError> {
    let failed = unavailable("evicting a shard's owner");
    prove_writing(connection, ownership).await.map_err(&failed)?;
    let Ownership { shard, epoch } = ownership;
    let evicted = sqlx::query_scalar(EVICT).bind(i64::from(LOCK_CLASS_SHARD)).bind(i32::from(shard)).bind(epoch);
    evicted.fetch_one(connection).await.map_err(failed)
}

async fn prove_writing(connection: &mut PgConnection, ownership: Ownership) -> Result<(), sqlx::Error> {
    let mut transaction = connection.begin().await?;
    transaction.execute(LIKE_AN_APPEND).await?;
    let write = sqlx::query(WRITE).bind(i32::from(ownership.shard)).bind(ownership.epoch);
    write.execute(&mut *transaction).await?;
    transaction.commit().await
}
