//! The weekly pieces of the two large tables, made ahead of time.
//!
//! A piece is attached under locks that wait for every reader of the tables, and hold up what comes behind them. So
//! each attempt gives up at once, and one that finds a reader is made again hours later: there are weeks left.

use std::{collections::HashSet, time::Duration};

use chrono::{DateTime, Utc};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, PgPool};

use super::{
    session::{LOCK_CLASS_TABLES, is_lock_timeout, unavailable},
    weeks::{Week, Weeks},
};
use crate::port::{JournalError, Room};

/// The tables that are cut by time, and the column that carries it.
const TABLES: [(&str, &str); 2] = [("saga", "id"), ("saga_journal", "saga_id")];

/// Weeks that exist before they begin: the daily call may fail for this long before rows land in the default piece.
const WEEKS_AHEAD: i64 = 4;

/// How often the locks for attaching a piece are tried for: against short statements the second or third attempt wins.
const ATTEMPTS_MAX: u32 = 3;
/// Between two attempts, so that what waited behind one runs before the next.
const ATTEMPT_PAUSE: Duration = Duration::from_millis(100);
/// An append that goes to the whole table waits behind an attempt at most for this long.
const LOCK_TIMEOUT: &str = "SET LOCAL lock_timeout = '50ms'";

/// Makes the pieces for the week of `now` and those after it, and tells which weeks have theirs.
///
/// # Errors
/// When the week of `now` has none: its rows land in the default pieces.
pub(super) async fn prepare(pool: &PgPool, now: DateTime<Utc>, weeks: &Weeks) -> Result<Room, JournalError> {
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
    let present = Week::of_ms(now.timestamp_millis());
    for week in (0..=WEEKS_AHEAD).map(|weeks| present.later(weeks)).filter(|week| week.ids().is_some()) {
        for (table, column) in TABLES {
            if existing.contains(&week.piece_of(table)) {
                continue;
            }
            match attach(&mut connection, table, column, week).await {
                Ok(()) => {}
                Err(error) if week != present && is_lock_timeout(&error) => {
                    tracing::info!(partition = week.piece_of(table), "a reader holds the tables; a week is made later");
                    return Ok(Room::Short);
                }
                Err(error) => return Err(failed(error)),
            }
        }
        weeks.add(week);
    }
    Ok(Room::Enough)
}

/// Makes one piece, in a few short attempts.
async fn attach(connection: &mut PgConnection, table: &str, column: &str, week: Week) -> Result<(), sqlx::Error> {
    let mut attempt = 1;
    loop {
        match try_attach(connection, table, column, week).await {
            Err(error) if attempt < ATTEMPTS_MAX && is_lock_timeout(&error) => attempt += 1,
            result => return result,
        }
        tokio::time::sleep(ATTEMPT_PAUSE).await;
    }
}

/// Makes one piece beside the table, moves there what landed in the default piece meanwhile, and attaches it.
async fn try_attach(connection: &mut PgConnection, table: &str, column: &str, week: Week) -> Result<(), sqlx::Error> {
    let Some((from, to)) = week.ids() else { return Ok(()) };
    let piece = week.piece_of(table);
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
