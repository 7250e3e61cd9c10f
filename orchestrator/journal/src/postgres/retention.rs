//! Retiring a week: its pieces leave the tables, are written to files, and are dropped.
//!
//! ```text
//!  attached --detached: ended sagas are out, open ones are back in--> exported: files on the disk --> dropped
//! ```
//!
//! Each arrow is one transaction that also notes the new state. A process that dies in between leaves a week that the next one
//! goes on with; nothing is dropped that is not in a file. While an open saga's rows move, an append to it waits, and then finds
//! them by the tables' own names ([`Weeks::forget`]).

use std::{path::Path, time::Duration};

use chrono::{DateTime, Utc};
use contract::{
    SagaId,
    orchestrator_api::{AuditRecord, RetiredState, RetiredWeek},
};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use uuid::Uuid;

use super::{
    audit,
    session::{LOCK_CLASS_RETENTION, LOCK_CLASS_TABLES, is_lock_timeout, unavailable},
    weeks::{Week, Weeks},
};
use crate::{export_file::ExportFile, port::JournalError, retention::RetireError};

/// The sagas that stay: the open ones, and their children, which they may still undo.
const KEEP: &str = "\
CREATE TEMPORARY TABLE kept_saga ON COMMIT DROP AS \
WITH RECURSIVE kept AS ( \
    SELECT id FROM saga WHERE status IN ('running', 'compensating', 'needs_attention') \
    UNION SELECT child.id FROM saga child JOIN kept ON child.parent = kept.id \
) SELECT id FROM kept";

/// Sagas, or rows of the audit log, that are read and written at a time: a few megabytes.
const PAGE: u32 = 200;

/// How often the locks of a week are tried for, and the pause between: readers such as a backup keep them for long, and there
/// is another day.
const ATTEMPTS_MAX: u32 = 5;
const ATTEMPT_PAUSE: Duration = Duration::from_millis(200);

/// Appends and reads that go to the whole table wait behind an attempt at most for this long.
const LOCK_TIMEOUT: &str = "SET LOCAL lock_timeout = '100ms'";

/// Rows move in one statement, and keys are looked for in all of their table.
const NO_STATEMENT_TIMEOUT: &str = "SET LOCAL statement_timeout = 0";

#[derive(Debug, sqlx::FromRow)]
struct WeekColumns {
    week: String,
    state: String,
    sagas: i64,
    saga_file: Option<String>,
    audit_file: Option<String>,
    changed_at: DateTime<Utc>,
}

/// Retires the weeks that ended before that time; the answer is their number.
pub(super) async fn retire(
    connection: &mut PgConnection,
    weeks: &Weeks,
    before: DateTime<Utc>,
    folder: &Path,
) -> Result<u32, RetireError> {
    let failed = unavailable("retiring weeks");
    let alone: bool = sqlx::query_scalar("SELECT pg_try_advisory_lock($1, 0)")
        .bind(LOCK_CLASS_RETENTION)
        .fetch_one(&mut *connection)
        .await
        .map_err(&failed)?;
    if !alone {
        return Ok(0);
    }
    let retired = retire_each(connection, weeks, before, folder).await;
    let unlock = sqlx::query("SELECT pg_advisory_unlock($1, 0)").bind(LOCK_CLASS_RETENTION);
    unlock.execute(connection).await.map_err(&failed)?;
    retired
}

async fn retire_each(
    connection: &mut PgConnection,
    weeks: &Weeks,
    before: DateTime<Utc>,
    folder: &Path,
) -> Result<u32, RetireError> {
    let mut retired = 0;
    while let Some((week, state)) = next(connection, before).await? {
        let label = week.label();
        if state.is_none() {
            detach(connection, week).await?;
            weeks.forget(week);
            tracing::info!(week = label, "a week is out of the tables");
        }
        if state != Some(RetiredState::Exported) {
            export(connection, week, folder).await?;
            tracing::info!(week = label, folder = %folder.display(), "a week is exported");
        }
        drop_pieces(connection, week).await.map_err(unavailable("dropping a week"))?;
        tracing::info!(week = label, "a week is dropped");
        retired += 1;
    }
    Ok(retired)
}

/// The next week and how far it is: one that was left halfway, or the oldest one that is over.
async fn next(
    connection: &mut PgConnection,
    before: DateTime<Utc>,
) -> Result<Option<(Week, Option<RetiredState>)>, JournalError> {
    let failed = unavailable("looking for weeks to retire");
    let half: Option<(String, String)> =
        sqlx::query_as("SELECT week, state FROM retired_week WHERE state <> 'dropped' ORDER BY week LIMIT 1")
            .fetch_optional(&mut *connection)
            .await
            .map_err(&failed)?;
    if let Some((week, state)) = half {
        let week = Week::of_label(&week).ok_or_else(|| broken(&week, "week"))?;
        return Ok(Some((week, Some(state_of(&week.label(), &state)?))));
    }
    let pieces: Vec<String> = sqlx::query_scalar(
        "SELECT c.relname::text FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid \
         WHERE i.inhparent = 'saga'::regclass ORDER BY 1",
    )
    .fetch_all(connection)
    .await
    .map_err(&failed)?;
    let mut attached = pieces.iter().filter_map(|piece| Week::of_label(piece.strip_prefix("saga_")?));
    Ok(attached.find(|week| week.is_over_at(before)).map(|week| (week, None)))
}

/// Takes a week out of the tables, in a few short attempts.
async fn detach(connection: &mut PgConnection, week: Week) -> Result<(), JournalError> {
    let mut attempt = 1;
    loop {
        match try_detach(connection, week).await {
            Err(error) if attempt < ATTEMPTS_MAX && is_lock_timeout(&error) => attempt += 1,
            result => return result.map_err(unavailable("taking a week out of the tables")),
        }
        tokio::time::sleep(ATTEMPT_PAUSE).await;
    }
}

/// The open sagas of the week, and their children, go back into the tables, where they land in the default pieces. The sagas of earlier weeks that
/// have ended there since leave with this week.
async fn try_detach(connection: &mut PgConnection, week: Week) -> Result<(), sqlx::Error> {
    let Some((from, _)) = week.ids() else { return Ok(()) };
    let (piece, journal) = (week.piece_of("saga"), week.piece_of("saga_journal"));
    let mut transaction = connection.begin().await?;
    sqlx::query("SELECT pg_advisory_xact_lock($1, 0)").bind(LOCK_CLASS_TABLES).execute(&mut *transaction).await?;
    transaction.execute(LOCK_TIMEOUT).await?;
    transaction.execute(NO_STATEMENT_TIMEOUT).await?;
    // Every name and bound here comes from constants and from numbers.
    for statement in [
        KEEP.to_owned(),
        format!("ALTER TABLE saga DETACH PARTITION {piece}"),
        format!("ALTER TABLE saga_journal DETACH PARTITION {journal}"),
        // An append that still names the pieces finds none, and not the ones that will be dropped.
        format!("ALTER TABLE {piece} RENAME TO retired_{piece}"),
        format!("ALTER TABLE {journal} RENAME TO retired_{journal}"),
        format!(
            "WITH moved AS (DELETE FROM retired_{journal} j USING retired_{piece} s WHERE s.id = j.saga_id \
             AND s.id IN (SELECT id FROM kept_saga) RETURNING j.*) INSERT INTO saga_journal SELECT * FROM moved"
        ),
        format!(
            "WITH moved AS (DELETE FROM retired_{piece} WHERE id IN (SELECT id FROM kept_saga) RETURNING *) \
             INSERT INTO saga SELECT * FROM moved"
        ),
        format!(
            "WITH moved AS (DELETE FROM saga_default WHERE id < '{from}' AND id NOT IN (SELECT id FROM kept_saga) \
             RETURNING *) \
             INSERT INTO retired_{piece} SELECT * FROM moved"
        ),
        format!(
            "WITH moved AS (DELETE FROM saga_journal_default j USING retired_{piece} s WHERE s.id = j.saga_id \
             AND s.id < '{from}' RETURNING j.*) INSERT INTO retired_{journal} SELECT * FROM moved"
        ),
    ] {
        transaction.execute(AssertSqlSafe(statement)).await?;
    }
    sqlx::query("INSERT INTO retired_week (week, state, changed_at) VALUES ($1, 'detached', now())")
        .bind(week.label())
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await
}

/// Writes the files of a week, and notes them.
async fn export(connection: &mut PgConnection, week: Week, folder: &Path) -> Result<(), RetireError> {
    let (label, failed) = (week.label(), unavailable("exporting a week"));
    let saga_file = format!("sagas-{label}.jsonl.gz");
    let mut file = ExportFile::create(folder, &saga_file).await?;
    let select =
        line_of(&format!("retired_{}", week.piece_of("saga")), &format!("retired_{}", week.piece_of("saga_journal")));
    let page = format!("SELECT s.id, {select} WHERE s.id > $1 ORDER BY s.id LIMIT $2");
    let (mut after, mut sagas) = (Uuid::nil(), 0_i64);
    loop {
        let query = sqlx::query_as(AssertSqlSafe(page.as_str())).bind(after).bind(i64::from(PAGE));
        let rows: Vec<(Uuid, String)> = query.fetch_all(&mut *connection).await.map_err(&failed)?;
        let Some((last, _)) = rows.last() else { break };
        after = *last;
        sagas += i64::try_from(rows.len()).unwrap_or(i64::MAX);
        file = file.write(rows.into_iter().map(|(_, line)| line).collect()).await?;
    }
    file.finish().await?;
    let (audit_file, audit_to) = export_audit(connection, week, folder).await?;
    sqlx::query(
        "UPDATE retired_week SET state = 'exported', sagas = $2, saga_file = $3, audit_file = $4, audit_to = $5, \
         changed_at = now() WHERE week = $1",
    )
    .bind(label)
    .bind(sagas)
    .bind(saga_file)
    .bind(audit_file)
    .bind(audit_to)
    .execute(connection)
    .await
    .map_err(&failed)?;
    Ok(())
}

/// Writes the rows of the audit log that no earlier week has, up to the end of this one. They stay in the database too: they
/// are few, and the chain begins with them.
async fn export_audit(
    connection: &mut PgConnection,
    week: Week,
    folder: &Path,
) -> Result<(Option<String>, i64), RetireError> {
    let failed = unavailable("exporting the audit log");
    let (mut done, to): (i64, i64) = sqlx::query_as(
        "SELECT (SELECT coalesce(max(audit_to), 0) FROM retired_week), \
                (SELECT coalesce(max(number), 0) FROM audit_log WHERE at < $1)",
    )
    .bind(week.later(1).begins_at())
    .fetch_one(&mut *connection)
    .await
    .map_err(&failed)?;
    if to <= done {
        return Ok((None, done));
    }
    let name = format!("audit-{}.jsonl.gz", week.label());
    let mut file = ExportFile::create(folder, &name).await?;
    while done < to {
        let number = u64::try_from(done + 1).unwrap_or_default();
        let rows = audit::from(connection, number, PAGE).await?;
        let last = u64::try_from(to).unwrap_or_default();
        let wanted: Vec<AuditRecord> = rows.into_iter().filter(|row| row.number <= last).collect();
        let Some(last) = wanted.last() else { break };
        done = i64::try_from(last.number).unwrap_or(i64::MAX);
        let lines = wanted.iter().map(|row| serde_json::to_string(row).expect("a row of the log is plain text"));
        file = file.write(lines.collect()).await?;
    }
    file.finish().await?;
    Ok((Some(name), to))
}

/// Drops a week with its attributes and the keys of its starts: a key lives as long as its saga, and so longer than any inbox remembers (S11).
async fn drop_pieces(connection: &mut PgConnection, week: Week) -> Result<(), sqlx::Error> {
    let (piece, journal) = (week.piece_of("saga"), week.piece_of("saga_journal"));
    let mut transaction = connection.begin().await?;
    transaction.execute(NO_STATEMENT_TIMEOUT).await?;
    for statement in [
        format!("DELETE FROM saga_attribute a USING retired_{piece} s WHERE a.saga_id = s.id"),
        format!("DELETE FROM saga_start k USING retired_{piece} s WHERE k.saga_id = s.id"),
        format!("DROP TABLE retired_{piece}, retired_{journal}"),
    ] {
        transaction.execute(AssertSqlSafe(statement)).await?;
    }
    sqlx::query("UPDATE retired_week SET state = 'dropped', changed_at = now() WHERE week = $1")
        .bind(week.label())
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await
}

/// The weeks, newest first.
pub(super) async fn list(connection: &mut PgConnection, limit: u32) -> Result<Vec<RetiredWeek>, JournalError> {
    let query = "SELECT week, state, sagas, saga_file, audit_file, changed_at FROM retired_week \
                 ORDER BY week DESC LIMIT $1";
    let rows = sqlx::query_as(query).bind(i64::from(limit)).fetch_all(connection).await;
    let rows: Vec<WeekColumns> = rows.map_err(unavailable("listing retired weeks"))?;
    rows.into_iter().map(WeekColumns::into_week).collect()
}

/// One saga as a line of an export.
pub(super) async fn line(connection: &mut PgConnection, id: SagaId) -> Result<Option<String>, JournalError> {
    let one = format!("SELECT {} WHERE s.id = $1", line_of("saga", "saga_journal"));
    let query = sqlx::query_scalar(AssertSqlSafe(one)).bind(id.uuid());
    query.fetch_optional(connection).await.map_err(unavailable("exporting a saga"))
}

/// The line of each saga in a table. It is made by the database from the rows as they are, so that what this program cannot
/// read is exported too.
fn line_of(saga: &str, journal: &str) -> String {
    format!(
        "json_build_object('id', 'saga_' || replace(s.id::text, '-', ''), 'name', s.name, 'version', s.version, \
         'fingerprint', s.fingerprint, 'shard', s.shard, 'status', s.status, 'business_key', s.business_key, \
         'owner', s.owner, 'traceparent', s.traceparent, 'error', s.error, 'attributes', s.attributes, 'created_at', s.created_at, \
         'updated_at', s.updated_at, 'finished_at', s.finished_at, 'records', \
         (SELECT json_agg(json_build_object('seq', j.seq, 'at', j.at, 'entries', j.entries) ORDER BY j.seq) \
          FROM {journal} j WHERE j.saga_id = s.id))::text FROM {saga} s"
    )
}

fn state_of(week: &str, state: &str) -> Result<RetiredState, JournalError> {
    RetiredState::ALL.into_iter().find(|known| known.as_str() == state).ok_or_else(|| broken(week, "state"))
}

fn broken(week: &str, column: &'static str) -> JournalError {
    let detail = "it is not one that this program knows".to_owned();
    JournalError::BrokenRow { table: "retired_week", column, row: week.to_owned(), detail }
}

impl WeekColumns {
    fn into_week(self) -> Result<RetiredWeek, JournalError> {
        let Self { week, state, sagas, saga_file, audit_file, changed_at } = self;
        let state = state_of(&week, &state)?;
        let sagas = u64::try_from(sagas).unwrap_or_default();
        Ok(RetiredWeek { week, state, sagas, saga_file, audit_file, changed_at })
    }
}
