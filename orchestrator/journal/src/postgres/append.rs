//! A batch of appends as one statement: one transaction, one round trip, however many sagas are in it.
//!
//! ```text
//!  start keys ----> taken     a key that exists is left alone, and its saga is not written
//!  records -------> written   a seq that exists (or does not follow) is left alone
//!  rows ----------> inserted  only for what was written
//!  statuses ------> updated   only for what was written
//! ```

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use contract::SagaId;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::port::{Append, Appended, Change, ExistingStart};

/// The whole batch. Everything works by keys, never by joining large sets; `(x IN (...)) IS TRUE` and the scalar
/// subqueries keep the planner from turning them into joins. The last two parameters bound all ids of the batch, so
/// that weeks outside of them are not opened. Rows are inserted in the order of their keys: two sessions that write
/// the same keys wait for each other instead of deadlocking.
const APPEND: &str = "\
WITH taken AS ( \
    INSERT INTO saga_start (saga_id, name, key, business_key, fingerprint, created_at) \
    SELECT k.* FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::timestamptz[]) \
        AS k (saga_id, name, key, business_key, fingerprint, created_at) \
    WHERE (SELECT true FROM saga_journal j \
           WHERE j.saga_id = k.saga_id AND j.seq = 1 AND j.saga_id BETWEEN $30 AND $31) IS NULL \
    ORDER BY k.name, k.key \
    ON CONFLICT DO NOTHING RETURNING saga_id \
), written AS ( \
    INSERT INTO saga_journal (saga_id, seq, at, entries) \
    SELECT r.saga_id, r.seq, r.at, r.entries::json \
    FROM unnest($7::uuid[], $8::bigint[], $9::timestamptz[], $10::text[], $11::boolean[]) \
        AS r (saga_id, seq, at, entries, keyed) \
    WHERE (NOT r.keyed OR r.saga_id IN (SELECT saga_id FROM taken)) \
      AND (r.seq = 1 OR (SELECT true FROM saga_journal j \
                         WHERE j.saga_id = r.saga_id AND j.seq = r.seq - 1 AND j.saga_id BETWEEN $30 AND $31)) \
    ORDER BY r.saga_id \
    ON CONFLICT DO NOTHING RETURNING saga_id \
), inserted AS ( \
    INSERT INTO saga (id, name, version, fingerprint, shard, status, business_key, owner, traceparent, error, \
                      created_at, updated_at, finished_at) \
    SELECT s.* \
    FROM unnest($12::uuid[], $13::text[], $14::bigint[], $15::text[], $16::integer[], $17::text[], $18::text[], \
                $19::text[], $20::text[], $21::text[], $22::timestamptz[], $23::timestamptz[], $24::timestamptz[]) \
        AS s (id, name, version, fingerprint, shard, status, business_key, owner, traceparent, error, \
              created_at, updated_at, finished_at) \
    WHERE (s.id IN (SELECT saga_id FROM written)) IS TRUE \
), updated AS ( \
    UPDATE saga SET status = c.status, error = c.error, updated_at = c.at, finished_at = c.finished_at \
    FROM unnest($25::uuid[], $26::text[], $27::text[], $28::timestamptz[], $29::timestamptz[]) \
        AS c (id, status, error, at, finished_at) \
    WHERE saga.id = c.id AND saga.id = ANY($25) AND saga.id BETWEEN $30 AND $31 \
      AND (c.id IN (SELECT saga_id FROM written)) IS TRUE \
) \
SELECT array_agg(saga_id) FROM written";

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
    pub(super) seq: i64,
    pub(super) entries: String,
}

/// Writes a part of a batch in one statement. An error means that nothing of it was written, or that nothing is known;
/// [`super::session::meaning`] tells which.
pub(super) async fn write(connection: &mut PgConnection, part: &[Ready<'_>]) -> Result<Vec<Appended>, sqlx::Error> {
    let mut columns = Columns::default();
    for ready in part {
        columns.push(ready);
    }
    let written = columns.execute(connection).await?;
    let mut answers: Vec<_> = part
        .iter()
        .map(|ready| match written.contains(&ready.append.saga_id.uuid()) {
            true => Appended::Committed,
            false => Appended::SeqTaken,
        })
        .collect();
    if !columns.start_ids.is_empty() && written.len() < part.len() {
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

/// The statement's parameters: a batch turned from rows to columns.
#[derive(Debug, Default)]
struct Columns<'a> {
    start_ids: Vec<Uuid>,
    start_names: Vec<&'a str>,
    start_keys: Vec<&'a str>,
    start_business_keys: Vec<&'a str>,
    start_fingerprints: Vec<&'a str>,
    start_times: Vec<DateTime<Utc>>,

    record_ids: Vec<Uuid>,
    record_seqs: Vec<i64>,
    record_times: Vec<DateTime<Utc>>,
    record_entries: Vec<&'a str>,
    record_keyed: Vec<bool>,

    row_ids: Vec<Uuid>,
    row_names: Vec<&'a str>,
    row_versions: Vec<i64>,
    row_fingerprints: Vec<&'a str>,
    row_shards: Vec<i32>,
    row_statuses: Vec<&'a str>,
    row_business_keys: Vec<&'a str>,
    row_owners: Vec<Option<&'a str>>,
    row_traceparents: Vec<Option<String>>,
    row_errors: Vec<Option<&'a str>>,
    row_created: Vec<DateTime<Utc>>,
    row_updated: Vec<DateTime<Utc>>,
    row_finished: Vec<Option<DateTime<Utc>>>,

    change_ids: Vec<Uuid>,
    change_statuses: Vec<&'a str>,
    change_errors: Vec<Option<&'a str>>,
    change_times: Vec<DateTime<Utc>>,
    change_finished: Vec<Option<DateTime<Utc>>>,
}

impl<'a> Columns<'a> {
    fn push(&mut self, ready: &'a Ready<'_>) {
        let Append { saga_id, record, change } = ready.append;
        let id = saga_id.uuid();
        let mut keyed = false;
        match change {
            Change::Started { row, key } => {
                if let Some(key) = key {
                    keyed = true;
                    self.start_ids.push(id);
                    self.start_names.push(&row.name);
                    self.start_keys.push(&key.key);
                    self.start_business_keys.push(&row.business_key);
                    self.start_fingerprints.push(&key.fingerprint);
                    self.start_times.push(row.created_at);
                }
                self.row_ids.push(id);
                self.row_names.push(&row.name);
                self.row_versions.push(i64::from(row.version));
                self.row_fingerprints.push(&row.fingerprint);
                self.row_shards.push(i32::from(row.shard));
                self.row_statuses.push(row.status.as_str());
                self.row_business_keys.push(&row.business_key);
                self.row_owners.push(row.owner.as_deref());
                self.row_traceparents.push(row.traceparent.map(|trace| trace.to_string()));
                self.row_errors.push(row.error.as_deref());
                self.row_created.push(row.created_at);
                self.row_updated.push(row.updated_at);
                self.row_finished.push(row.finished_at);
            }
            Change::Status { status, error } => {
                self.change_ids.push(id);
                self.change_statuses.push(status.as_str());
                self.change_errors.push(error.as_deref());
                self.change_times.push(record.at);
                self.change_finished.push(status.is_final().then_some(record.at));
            }
            Change::None => {}
        }
        self.record_ids.push(id);
        self.record_seqs.push(ready.seq);
        self.record_times.push(record.at);
        self.record_entries.push(&ready.entries);
        self.record_keyed.push(keyed);
    }

    /// Answers the sagas that were written.
    async fn execute(&self, connection: &mut PgConnection) -> Result<HashSet<Uuid>, sqlx::Error> {
        let written: Option<Vec<Uuid>> = sqlx::query_scalar(APPEND)
            .bind(self.start_ids.as_slice())
            .bind(self.start_names.as_slice())
            .bind(self.start_keys.as_slice())
            .bind(self.start_business_keys.as_slice())
            .bind(self.start_fingerprints.as_slice())
            .bind(self.start_times.as_slice())
            .bind(self.record_ids.as_slice())
            .bind(self.record_seqs.as_slice())
            .bind(self.record_times.as_slice())
            .bind(self.record_entries.as_slice())
            .bind(self.record_keyed.as_slice())
            .bind(self.row_ids.as_slice())
            .bind(self.row_names.as_slice())
            .bind(self.row_versions.as_slice())
            .bind(self.row_fingerprints.as_slice())
            .bind(self.row_shards.as_slice())
            .bind(self.row_statuses.as_slice())
            .bind(self.row_business_keys.as_slice())
            .bind(self.row_owners.as_slice())
            .bind(self.row_traceparents.as_slice())
            .bind(self.row_errors.as_slice())
            .bind(self.row_created.as_slice())
            .bind(self.row_updated.as_slice())
            .bind(self.row_finished.as_slice())
            .bind(self.change_ids.as_slice())
            .bind(self.change_statuses.as_slice())
            .bind(self.change_errors.as_slice())
            .bind(self.change_times.as_slice())
            .bind(self.change_finished.as_slice())
            .bind(self.record_ids.iter().min())
            .bind(self.record_ids.iter().max())
            .fetch_one(connection)
            .await?;
        Ok(written.unwrap_or_default().into_iter().collect())
    }
}
