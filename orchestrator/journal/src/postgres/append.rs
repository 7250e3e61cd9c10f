//! A batch of appends as one statement: one transaction, one round trip, however many sagas are in it.
//!
//! ```text
//!  start keys ----> taken     a key that exists is left alone, and its saga is not written
//!  records -------> written   a seq that exists (or does not follow) is left alone
//!  rows ----------> inserted  only for what was written
//!  attributes ----> found_by  only for what was inserted
//!  children ------> begun     only with the record of the saga that starts them
//!  statuses ------> updated   only for what was written
//!  sleep ---------> slept, woken   only for what was written
//! ```
//!
//! The statement has only the parts that the batch needs: most batches only add records, and are one plain insert.
//! Where all ids lie in one week it names that week's pieces, and touches no other: a year of weeks costs nothing.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use contract::{SagaId, StepName, orchestrator_api::StartKey, saga::SagaStatus};
use sqlx::{AssertSqlSafe, PgConnection};
use uuid::Uuid;

use super::{rows, session::is_piece_gone, weeks::Weeks};
use crate::port::{Append, Appended, Change, ExistingStart, SagaRow, Sleep, TakenOver};

/// The starts under some keys. A start that another session committed while the batch waited for it is not seen by the
/// batch's own statement; by this one it is.
const EXISTING_STARTS: &str = "\
SELECT k.place, s.saga_id, s.business_key, s.fingerprint \
FROM unnest($1::bigint[], $2::text[], $3::text[]) AS k (place, name, key) \
CROSS JOIN LATERAL (SELECT saga_id, business_key, fingerprint FROM saga_start \
                    WHERE saga_start.name = k.name AND saga_start.key = k.key LIMIT 1) s";

/// One append with its entries as text.
#[derive(Debug)]
pub(super) struct Ready<'a> {
    pub(super) append: &'a Append,
    pub(super) shard: i32,
    pub(super) seq: i64,
    pub(super) entries: String,
    /// The first records of the sagas that begin with it.
    pub(super) begun: Vec<String>,
}

/// Writes a part of a batch in one statement. An error means that nothing of it was written, or that nothing is known;
/// [`super::session::meaning`] tells which.
pub(super) async fn write(
    connection: &mut PgConnection,
    weeks: &Weeks,
    part: &[Ready<'_>],
) -> Result<Vec<Appended>, sqlx::Error> {
    let batch = Batch::of(part);
    let written = match batch.write(connection, weeks).await {
        Err(error) if is_piece_gone(&error) && batch.forget_week(weeks) => batch.write(connection, weeks).await?,
        written => written?,
    };
    let mut answers: Vec<_> = part
        .iter()
        .map(|ready| match written.contains(&ready.append.saga_id.uuid()) {
            true => Appended::Committed,
            false => Appended::SeqTaken,
        })
        .collect();
    if !batch.keys.is_empty() && written.len() < part.len() {
        tell_taken_keys(connection, part, &mut answers).await?;
    }
    Ok(answers)
}

/// Finds out which of the starts that were not written were so because of their key.
async fn tell_taken_keys(
    connection: &mut PgConnection,
    part: &[Ready<'_>],
    answers: &mut [Appended],
) -> Result<(), sqlx::Error> {
    let (mut places, mut names, mut keys) = (Vec::new(), Vec::new(), Vec::new());
    for (place, (ready, answer)) in part.iter().zip(answers.iter()).enumerate() {
        if let (Change::Started { row, key: Some(key) }, Appended::SeqTaken) = (&ready.append.change, answer) {
            places.push(i64::try_from(place).unwrap_or(i64::MAX));
            names.push(row.name.as_str());
            keys.push(key.key.as_str());
        }
    }
    if places.is_empty() {
        return Ok(());
    }
    let existing: Vec<(i64, Uuid, String, String)> =
        sqlx::query_as(EXISTING_STARTS).bind(places).bind(names).bind(keys).fetch_all(connection).await?;
    for (place, saga_id, business_key, fingerprint) in existing {
        if let Some(answer) = usize::try_from(place).ok().and_then(|place| answers.get_mut(place)) {
            let saga_id = SagaId::from_uuid(saga_id);
            *answer = Appended::KeyTaken(ExistingStart { saga_id, business_key, fingerprint });
        }
    }
    Ok(())
}

/// The types of the arrays that make the keys' rows, and so on below.
const KEY_TYPES: [&str; 6] = ["uuid", "text", "text", "text", "text", "timestamptz"];
const RECORD_TYPES: [&str; 6] = ["uuid", "bigint", "timestamptz", "timestamptz", "text", "boolean"];
const ROW_TYPES: [&str; 17] = [
    "uuid",
    "text",
    "bigint",
    "text",
    "integer",
    "text",
    "text",
    "text",
    "jsonb",
    "text",
    "text",
    "boolean",
    "uuid",
    "text",
    "timestamptz",
    "timestamptz",
    "timestamptz",
];
const BEGUN_TYPES: [&str; 4] = ["uuid", "uuid", "timestamptz", "text"];
const WOKEN_TYPES: [&str; 2] = ["uuid", "uuid"];
const SLEEP_TYPES: [&str; 4] = ["uuid", "integer", "text", "timestamptz"];
const CHANGE_TYPES: [&str; 8] = ["uuid", "text", "text", "boolean", "timestamptz", "timestamptz", "bigint", "text"];

/// The columns of a saga's row, in the order of [`ROW_TYPES`].
const ROW: &str = "id, name, version, fingerprint, shard, status, business_key, owner, attributes, traceparent, error, \
                   paused, parent, parent_step, created_at, updated_at, finished_at";

/// The rows of the index by attributes, of the sagas that were inserted.
const FOUND_BY: &str = "found_by AS (INSERT INTO saga_attribute (name, value, saga_id) \
                        SELECT a.key, a.value, i.id FROM inserted i CROSS JOIN LATERAL jsonb_each_text(i.attributes) a)";

/// The tables that a batch is written to.
struct Tables {
    saga: String,
    journal: String,
    /// The lowest and the highest id, where the tables are not one week's: weeks outside of them are not opened.
    bounds: Option<(Uuid, Uuid)>,
}

/// A batch by what is to be done with it. Records and keys stand in the order of their keys in the tables: two sessions
/// that write the same ones wait for each other instead of deadlocking.
struct Batch<'a> {
    records: Vec<&'a Ready<'a>>,
    keys: Vec<(&'a SagaRow, &'a StartKey)>,
    rows: Vec<&'a SagaRow>,
    changes: Vec<RowChange<'a>>,
    slept: Vec<(Uuid, i32, SagaStatus, Option<DateTime<Utc>>)>,
    /// Each with the saga whose record wakes it.
    woken: Vec<(Uuid, Uuid)>,
    begun: Vec<FirstRecord<'a>>,
}

/// The first record of a child.
struct FirstRecord<'a> {
    id: Uuid,
    /// The saga whose record it comes with.
    with: Uuid,
    at: DateTime<Utc>,
    entries: &'a str,
}

/// A saga's row from now on.
struct RowChange<'a> {
    id: Uuid,
    status: SagaStatus,
    error: Option<&'a str>,
    paused: bool,
    taken_over_by: Option<&'a TakenOver>,
    at: DateTime<Utc>,
}

impl<'a> Batch<'a> {
    fn of(part: &'a [Ready<'a>]) -> Self {
        let (mut keys, mut rows, mut changes) = (Vec::new(), Vec::new(), Vec::new());
        let (mut slept, mut woken) = (Vec::new(), Vec::new());
        let mut first = Vec::new();
        for Ready { append: Append { saga_id, record, change, sleep, family, .. }, shard, begun, .. } in part {
            let sleeps = family.begun.iter().map(|child| (child.row.id, child.sleep)).chain([(*saga_id, *sleep)]);
            for (id, sleep) in sleeps {
                match sleep {
                    Sleep::Unchanged => {}
                    Sleep::Asleep { status, wake_at } => slept.push((id.uuid(), *shard, status, wake_at)),
                    Sleep::Awake => woken.push((id.uuid(), id.uuid())),
                }
            }
            woken.extend(family.woken.map(|parent| (parent.uuid(), saga_id.uuid())));
            for (child, entries) in family.begun.iter().zip(begun) {
                let (id, with, at) = (child.row.id.uuid(), saga_id.uuid(), child.record.at);
                first.push(FirstRecord { id, with, at, entries });
                rows.push(&child.row);
            }
            match change {
                Change::Started { row, key } => {
                    rows.push(&**row);
                    keys.extend(key.as_ref().map(|key| (&**row, key)));
                }
                Change::Row { status, error, taken_over_by, paused } => changes.push(RowChange {
                    id: saga_id.uuid(),
                    status: *status,
                    error: error.as_deref(),
                    paused: *paused,
                    taken_over_by: taken_over_by.as_ref(),
                    at: record.at,
                }),
                Change::None => {}
            }
        }
        let mut records: Vec<_> = part.iter().collect();
        records.sort_unstable_by_key(|ready| ready.append.saga_id);
        keys.sort_unstable_by(|(a, a_key), (b, b_key)| (&a.name, &a_key.key).cmp(&(&b.name, &b_key.key)));
        Self { records, keys, rows, changes, slept, woken, begun: first }
    }

    fn ids(&self) -> impl Iterator<Item = Uuid> {
        self.records.iter().map(|ready| ready.append.saga_id.uuid()).chain(self.begun.iter().map(|first| first.id))
    }

    /// Forgets the week whose pieces the batch names; false when it names none.
    fn forget_week(&self, weeks: &Weeks) -> bool {
        let week = weeks.common(self.ids());
        week.inspect(|week| weeks.forget(*week)).is_some()
    }

    fn tables(&self, weeks: &Weeks) -> Tables {
        match weeks.common(self.ids()) {
            Some(week) => Tables { saga: week.piece_of("saga"), journal: week.piece_of("saga_journal"), bounds: None },
            None => Tables {
                saga: "saga".to_owned(),
                journal: "saga_journal".to_owned(),
                bounds: self.ids().min().zip(self.ids().max()),
            },
        }
    }

    /// Everything works by keys, never by joining large sets; `(x IN (...)) IS TRUE` and the scalar subqueries keep the
    /// planner from turning them into joins.
    fn statement(&self, Tables { saga, journal, bounds }: &Tables) -> String {
        let mut params = if bounds.is_some() { 2 } else { 0 };
        let within = |column| match bounds {
            Some(_) => format!(" AND {column} BETWEEN $1 AND $2"),
            None => String::new(),
        };
        let record = |of: &str, seq: &str| {
            let within = within("j.saga_id");
            format!("(SELECT true FROM {journal} j WHERE j.saga_id = {of}.saga_id AND j.seq = {seq}{within})")
        };
        let mut parts = Vec::new();
        let mut taken = "";
        if !self.keys.is_empty() {
            let keys = unnest(&mut params, &KEY_TYPES);
            parts.push(format!(
                "taken AS (INSERT INTO saga_start (saga_id, name, key, business_key, fingerprint, created_at) \
                 SELECT k.* FROM {keys} AS k (saga_id, name, key, business_key, fingerprint, created_at) \
                 WHERE {} IS NULL ON CONFLICT DO NOTHING RETURNING saga_id)",
                record("k", "1")
            ));
            taken = "(NOT r.keyed OR r.saga_id IN (SELECT saga_id FROM taken)) AND ";
        }
        let records = unnest(&mut params, &RECORD_TYPES);
        let written = format!(
            "INSERT INTO {journal} (saga_id, seq, at, holds_until, entries) \
             SELECT r.saga_id, r.seq, r.at, r.holds_until, r.entries::json \
             FROM {records} AS r (saga_id, seq, at, holds_until, entries, keyed) WHERE {taken}(r.seq = 1 OR {}) \
             ON CONFLICT DO NOTHING RETURNING saga_id",
            record("r", "r.seq - 1")
        );
        if [self.rows.len(), self.changes.len(), self.slept.len(), self.woken.len()] == [0; 4] {
            return written;
        }
        parts.push(format!("written AS ({written})"));
        let mut made = "written";
        if !self.begun.is_empty() {
            let begun = unnest(&mut params, &BEGUN_TYPES);
            parts.push(format!(
                "begun AS (INSERT INTO {journal} (saga_id, seq, at, entries) SELECT b.saga_id, 1, b.at, b.entries::json \
                 FROM {begun} AS b (saga_id, parent, at, entries) \
                 WHERE (b.parent IN (SELECT saga_id FROM written)) IS TRUE ON CONFLICT DO NOTHING RETURNING saga_id), \
                 made AS (SELECT saga_id FROM written UNION ALL SELECT saga_id FROM begun)"
            ));
            made = "made";
        }
        if !self.rows.is_empty() {
            let rows = unnest(&mut params, &ROW_TYPES);
            parts.push(format!(
                "inserted AS (INSERT INTO {saga} ({ROW}, failed_at) \
                 SELECT s.*, CASE WHEN s.error IS NOT NULL THEN s.updated_at END FROM {rows} AS s ({ROW}) \
                 WHERE (s.id IN (SELECT saga_id FROM {made})) IS TRUE RETURNING id, attributes)"
            ));
            if self.rows.iter().any(|row| !row.attributes.is_empty()) {
                parts.push(FOUND_BY.to_owned());
            }
        }
        if !self.changes.is_empty() {
            let ids = params + 1;
            let changes = unnest(&mut params, &CHANGE_TYPES);
            parts.push(format!(
                "updated AS (UPDATE {saga} AS saga SET status = c.status, error = c.error, paused = c.paused, \
                 updated_at = CASE WHEN c.status = saga.status AND c.error IS NOT DISTINCT FROM saga.error AND c.paused = saga.paused \
                 THEN saga.updated_at ELSE c.at END, \
                 finished_at = c.finished_at, failed_at = CASE WHEN c.error IS NULL THEN NULL \
                 WHEN c.error = saga.error THEN saga.failed_at ELSE c.at END, \
                 version = coalesce(c.version, saga.version), fingerprint = coalesce(c.fingerprint, saga.fingerprint) \
                 FROM {changes} AS c (id, status, error, paused, at, finished_at, version, fingerprint) \
                 WHERE saga.id = c.id AND saga.id = ANY(${ids}){} \
                   AND (c.id IN (SELECT saga_id FROM written)) IS TRUE)",
                within("saga.id")
            ));
        }
        if !self.slept.is_empty() {
            let slept = unnest(&mut params, &SLEEP_TYPES);
            parts.push(format!(
                "slept AS (INSERT INTO saga_sleep (saga_id, shard, status, wake_at) SELECT z.* \
                 FROM {slept} AS z (saga_id, shard, status, wake_at) \
                 WHERE (z.saga_id IN (SELECT saga_id FROM {made})) IS TRUE \
                 ON CONFLICT (saga_id) DO UPDATE SET status = excluded.status, wake_at = excluded.wake_at)"
            ));
        }
        if !self.woken.is_empty() {
            let ids = params + 1;
            let woken = unnest(&mut params, &WOKEN_TYPES);
            parts.push(format!(
                "woken AS (DELETE FROM saga_sleep USING {woken} AS w (saga_id, waker) \
                 WHERE saga_sleep.saga_id = w.saga_id AND saga_sleep.saga_id = ANY(${ids}) \
                   AND (w.waker IN (SELECT saga_id FROM {made})) IS TRUE)"
            ));
        }
        format!("WITH {} SELECT saga_id FROM written", parts.join(", "))
    }

    /// Answers the sagas that were written.
    async fn write(&self, connection: &mut PgConnection, weeks: &Weeks) -> Result<HashSet<Uuid>, sqlx::Error> {
        let Self { records, keys, rows, changes, slept, woken, begun } = self;
        let tables = self.tables(weeks);
        let mut query = sqlx::query_scalar(AssertSqlSafe(self.statement(&tables)));
        if let Some((low, high)) = tables.bounds {
            query = query.bind(low).bind(high);
        }
        if !keys.is_empty() {
            query = query
                .bind(column(keys, |(row, _)| row.id.uuid()))
                .bind(column(keys, |(row, _)| row.name.as_str()))
                .bind(column(keys, |(_, key)| key.key.as_str()))
                .bind(column(keys, |(row, _)| row.business_key.as_str()))
                .bind(column(keys, |(_, key)| key.fingerprint.as_str()))
                .bind(column(keys, |(row, _)| row.created_at));
        }
        query = query
            .bind(column(records, |ready| ready.append.saga_id.uuid()))
            .bind(column(records, |ready| ready.seq))
            .bind(column(records, |ready| ready.append.record.at))
            .bind(column(records, |ready| ready.append.holds_until))
            .bind(column(records, |ready| ready.entries.as_str()))
            .bind(column(records, |ready| is_keyed(&ready.append.change)));
        if !begun.is_empty() {
            query = query
                .bind(column(begun, |first| first.id))
                .bind(column(begun, |first| first.with))
                .bind(column(begun, |first| first.at))
                .bind(column(begun, |first| first.entries));
        }
        if !rows.is_empty() {
            query = query
                .bind(column(rows, |row| row.id.uuid()))
                .bind(column(rows, |row| row.name.as_str()))
                .bind(column(rows, |row| i64::from(row.version)))
                .bind(column(rows, |row| row.fingerprint.as_str()))
                .bind(column(rows, |row| i32::from(row.shard)))
                .bind(column(rows, |row| row.status.as_str()))
                .bind(column(rows, |row| row.business_key.as_str()))
                .bind(column(rows, |row| row.owner.as_deref()))
                .bind(column(rows, |row| rows::attributes_text(&row.attributes)))
                .bind(column(rows, |row| row.traceparent.map(|trace| trace.to_string())))
                .bind(column(rows, |row| row.error.as_deref()))
                .bind(column(rows, |row| row.paused))
                .bind(column(rows, |row| row.parent.map(SagaId::uuid)))
                .bind(column(rows, |row| row.parent_step.as_ref().map(StepName::as_str)))
                .bind(column(rows, |row| row.created_at))
                .bind(column(rows, |row| row.updated_at))
                .bind(column(rows, |row| row.finished_at));
        }
        if !changes.is_empty() {
            query = query
                .bind(column(changes, |change| change.id))
                .bind(column(changes, |change| change.status.as_str()))
                .bind(column(changes, |change| change.error))
                .bind(column(changes, |change| change.paused))
                .bind(column(changes, |change| change.at))
                .bind(column(changes, |change| change.status.is_final().then_some(change.at)))
                .bind(column(changes, |change| change.taken_over_by.map(|taken| i64::from(taken.version))))
                .bind(column(changes, |change| change.taken_over_by.map(|taken| taken.fingerprint.as_str())));
        }
        if !slept.is_empty() {
            query = query
                .bind(column(slept, |(id, ..)| *id))
                .bind(column(slept, |(_, shard, ..)| *shard))
                .bind(column(slept, |(_, _, status, _)| status.as_str()))
                .bind(column(slept, |(.., wake_at)| *wake_at));
        }
        if !woken.is_empty() {
            query = query.bind(column(woken, |(id, _)| *id)).bind(column(woken, |(_, by)| *by));
        }
        Ok(query.fetch_all(connection).await?.into_iter().collect())
    }
}

const fn is_keyed(change: &Change) -> bool {
    matches!(change, Change::Started { key: Some(_), .. })
}

/// One parameter: a column of the rows that `unnest` makes.
fn column<'a, T, V>(rows: &'a [T], value: impl Fn(&'a T) -> V) -> Vec<V> {
    rows.iter().map(value).collect()
}

/// The call that makes rows of the next parameters, an array for each column.
fn unnest(params: &mut usize, types: &[&str]) -> String {
    let arrays = types.iter().zip(*params + 1..).map(|(kind, param)| format!("${param}::{kind}[]"));
    let call = format!("unnest({})", arrays.collect::<Vec<_>>().join(", "));
    *params += types.len();
    call
}
