//! The weekly pieces of the two large tables, made ahead of time.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, PgPool};
use uuid::Uuid;

use super::session::{LOCK_CLASS_TABLES, unavailable};
use crate::port::JournalError;

/// The tables that are cut by time, and the column that carries it.
const TABLES: [(&str, &str); 2] = [("saga", "id"), ("saga_journal", "saga_id")];

const WEEK_MS: i64 = 7 * 24 * 60 * 60 * 1000;
/// 1970 began on a Thursday; weeks begin on Monday.
const FIRST_MONDAY_MS: i64 = 4 * 24 * 60 * 60 * 1000;

/// Weeks that exist before they begin: the daily call may fail for this long before rows land in the default piece.
const WEEKS_AHEAD: i64 = 4;

/// How often the locks for attaching a piece are tried for. They wait for running statements and hold up new ones, so
/// each attempt is short.
const ATTEMPTS_MAX: u32 = 5;
/// See [`ATTEMPTS_MAX`].
const LOCK_TIMEOUT: &str = "SET LOCAL lock_timeout = '2s'";
/// PostgreSQL's code for a lock that was not had in time.
const LOCK_NOT_AVAILABLE: &str = "55P03";

/// One week: its place in the ids, and its name.
#[derive(Debug, PartialEq, Eq)]
struct Week {
    from: Uuid,
    to: Uuid,
    suffix: String,
}

impl Week {
    /// The week that starts `offset` weeks after the one of `now`; none before 1970.
    fn around(now: DateTime<Utc>, offset: i64) -> Option<Self> {
        let number = (now.timestamp_millis() - FIRST_MONDAY_MS).div_euclid(WEEK_MS) + offset;
        let start = number * WEEK_MS + FIRST_MONDAY_MS;
        let day = DateTime::from_timestamp_millis(start)?;
        Some(Self { from: first_id(start)?, to: first_id(start + WEEK_MS)?, suffix: day.format("%Y%m%d").to_string() })
    }
}

/// The lowest id of a moment: a UUIDv7 starts with 48 bits of milliseconds.
pub(super) fn first_id(ms: i64) -> Option<Uuid> {
    let ms = u128::try_from(ms).ok().filter(|ms| *ms < 1 << 48)?;
    Some(Uuid::from_u128(ms << 80))
}

/// Makes the pieces for the week of `now` and those after it.
pub(super) async fn prepare(pool: &PgPool, now: DateTime<Utc>) -> Result<(), JournalError> {
    let failed = unavailable("preparing partitions");
    let mut connection = pool.acquire().await.map_err(&failed)?;
    let existing: Vec<String> = sqlx::query_scalar(
        "SELECT c.relname::text FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid \
         WHERE i.inhparent IN ('saga'::regclass, 'saga_journal'::regclass)",
    )
    .fetch_all(&mut *connection)
    .await
    .map_err(&failed)?;
    let existing: HashSet<_> = existing.into_iter().collect();
    for week in (0..=WEEKS_AHEAD).filter_map(|offset| Week::around(now, offset)) {
        for (table, column) in TABLES {
            if !existing.contains(&format!("{table}_{}", week.suffix)) {
                attach(&mut connection, table, column, &week).await.map_err(&failed)?;
            }
        }
    }
    Ok(())
}

/// Makes one piece, in a few short attempts.
async fn attach(connection: &mut PgConnection, table: &str, column: &str, week: &Week) -> Result<(), sqlx::Error> {
    let mut attempt = 1;
    loop {
        match try_attach(connection, table, column, week).await {
            Err(error) if attempt < ATTEMPTS_MAX && is_lock_timeout(&error) => attempt += 1,
            result => return result,
        }
    }
}

/// Makes one piece beside the table, moves there what landed in the default piece meanwhile, and attaches it.
async fn try_attach(connection: &mut PgConnection, table: &str, column: &str, week: &Week) -> Result<(), sqlx::Error> {
    let Week { from, to, suffix } = week;
    let piece = format!("{table}_{suffix}");
    let mut transaction = connection.begin().await?;
    sqlx::query("SELECT pg_advisory_xact_lock($1, 0)").bind(LOCK_CLASS_TABLES).execute(&mut *transaction).await?;
    let made: bool =
        sqlx::query_scalar("SELECT to_regclass($1) IS NOT NULL").bind(&piece).fetch_one(&mut *transaction).await?;
    if made {
        return transaction.rollback().await;
    }
    transaction.execute(LOCK_TIMEOUT).await?;
    // Every name and bound here comes from the constants above and from numbers.
    for statement in [
        format!("CREATE TABLE {piece} (LIKE {table} INCLUDING ALL)"),
        format!("LOCK TABLE {table}_default IN ACCESS EXCLUSIVE MODE"),
        format!(
            "WITH moved AS (DELETE FROM {table}_default WHERE {column} >= '{from}' AND {column} < '{to}' RETURNING *) \
             INSERT INTO {piece} SELECT * FROM moved"
        ),
        format!("ALTER TABLE {table} ATTACH PARTITION {piece} FOR VALUES FROM ('{from}') TO ('{to}')"),
    ] {
        transaction.execute(AssertSqlSafe(statement)).await?;
    }
    transaction.commit().await?;
    tracing::info!(partition = piece, "a week's partition is made");
    Ok(())
}

fn is_lock_timeout(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(|error| error.code()).as_deref() == Some(LOCK_NOT_AVAILABLE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_week_runs_from_monday_to_monday() {
        let sunday = "2026-11-22T23:59:59.999Z".parse().unwrap();
        let week = Week::around(sunday, 0).unwrap();
        assert_eq!(week.suffix, "20261116");
        let next = Week::around(sunday, 1).unwrap();
        assert_eq!((next.suffix.as_str(), next.from), ("20261123", week.to));
        let monday = "2026-11-23T00:00:00Z".parse().unwrap();
        assert_eq!(Week::around(monday, 0), Some(next));
    }

    #[test]
    fn an_id_lies_in_the_week_of_its_time() {
        let id = kit::ids::uuid_v7();
        let week = Week::around(kit::clock::system().now(), 0).unwrap();
        assert!(week.from <= id && id < week.to);
    }

    #[test]
    fn moments_without_ids_have_no_bound() {
        assert_eq!(first_id(-1), None);
        assert_eq!(first_id(1 << 48), None);
    }
}
