//! Reading: sagas with their journals, lists by filter, starts.

use chrono::{DateTime, TimeDelta, Utc};
use contract::{SagaId, saga::SagaStatus};
use sqlx::{PgConnection, Postgres, QueryBuilder};
use uuid::Uuid;

use super::{
    rows::{ListedColumns, SleepColumns, StoredColumns},
    session::{Meaning, meaning, unavailable},
    weeks::first_id,
};
use crate::port::{ExistingStart, Filter, JournalError, Listing, Order, Stored};

/// Sagas with their journals. The bounds repeat what the ids say, so that weeks outside of them are not even opened.
const LOAD: &str = "\
SELECT s.id, s.name, s.version, s.fingerprint, s.shard, s.status, s.business_key, s.owner, s.traceparent, s.error, \
       s.paused, s.parent, s.parent_step, s.created_at, s.updated_at, s.finished_at, j.seqs, j.ats, j.entries \
FROM saga s CROSS JOIN LATERAL ( \
    SELECT array_agg(r.seq) AS seqs, array_agg(r.at) AS ats, array_agg(r.entries::text) AS entries \
    FROM (SELECT seq, at, entries FROM saga_journal \
          WHERE saga_id = s.id AND saga_id BETWEEN $2 AND $3 AND seq > $4 ORDER BY seq) r) j \
WHERE s.id = ANY($1) AND s.id BETWEEN $2 AND $3 ORDER BY s.id";

const SLEEPERS: &str = "SELECT saga_id, status, wake_at FROM saga_sleep WHERE shard = $1";

/// The few paused sagas have an index of their own.
const PAUSED: &str = "SELECT id FROM saga WHERE paused AND shard = $1";

const FIND_START: &str = "SELECT saga_id, business_key, fingerprint FROM saga_start WHERE name = $1 AND key = $2";

/// The time of the claim is the server's: nothing reads it but people.
const CLAIM_KEY: &str = "\
INSERT INTO saga_start (name, key, saga_id, business_key, fingerprint, created_at) \
VALUES ($1, $2, $3, $4, $5, now()) ON CONFLICT DO NOTHING";

/// The columns of a list.
const ROW: &str = "SELECT id, name, version, fingerprint, shard, status, business_key, owner, traceparent, error, \
                   paused, parent, parent_step, created_at, updated_at, finished_at";

/// Until when the saga holds something: its last record says so. The limit keeps it a look-up for each saga of the list.
const HOLD: &str = " LEFT JOIN LATERAL (SELECT j.holds_until FROM saga_journal j WHERE j.saga_id = saga.id \
                    ORDER BY j.seq DESC LIMIT 1) AS hold ON true";

/// The sagas that may hold something. The literal words let the partial index over open sagas be used.
const OPEN: &str = " AND status IN ('running', 'compensating', 'needs_attention')";

/// The sagas that have ended, as the index by their end has it.
const ENDED: &str = " AND finished_at IS NOT NULL";

/// The versions that the sagas of one definition have, each found by one look at the index by name, version and id. What
/// is listed over them is that many scans of the index, merged: of all versions together it has no order by id.
const VERSIONS: (&str, &str, &str) = (
    "WITH RECURSIVE versions (number) AS (SELECT min(version) FROM saga WHERE name = ",
    " UNION ALL SELECT (SELECT min(next.version) FROM saga next WHERE next.name = ",
    " AND next.version > number) FROM versions WHERE number IS NOT NULL) ",
);

/// The sagas that failed at a step, as their index has it.
const STEP: &str = " AND error IS NOT NULL AND split_part(error, '/', 1) = ";

/// Sagas in one statement: their journals are held in memory on both sides at once.
const LOAD_SAGAS_MAX: usize = 512;

/// How far an id's own time may lie from the saga's start. Filters on the start's time bound the ids by it, so that
/// weeks outside are not read.
const ID_SKEW_MAX: TimeDelta = TimeDelta::hours(1);

/// 10000-01-01, in seconds: the tables hold no time from there on.
const YEAR_10000_SECONDS: i64 = 253_402_300_800;

/// One saga with the records after that number.
pub(super) async fn one(connection: &mut PgConnection, id: SagaId, after: u64) -> Result<Option<Stored>, JournalError> {
    let ids = [id.uuid()];
    let after = i64::try_from(after).unwrap_or(i64::MAX);
    let found = load_part(connection, &ids, after).await.map_err(|error| match meaning(&error) {
        Meaning::Damaged => damaged(id.uuid(), &error),
        _ => unavailable("loading a saga")(error),
    });
    let found = found?.pop();
    found.map(|found| found.into_stored(after)).transpose()
}

/// Sagas with their whole journals, by id; missing ones are left out.
pub(super) async fn load_with(
    connection: &mut PgConnection,
    ids: &[SagaId],
) -> Result<Vec<Result<Stored, JournalError>>, sqlx::Error> {
    let mut ids: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
    ids.sort_unstable();
    ids.dedup();
    let mut all = Vec::with_capacity(ids.len());
    let mut parts: Vec<_> = ids.chunks(LOAD_SAGAS_MAX).rev().collect();
    while let Some(part) = parts.pop() {
        let error = match load_part(connection, part, 0).await {
            Ok(found) => {
                all.extend(found.into_iter().map(|found| found.into_stored(0)));
                continue;
            }
            Err(error) => error,
        };
        // What cannot be read is looked for by halves.
        match (meaning(&error), part) {
            (Meaning::Damaged, [id]) => all.push(Err(damaged(*id, &error))),
            (Meaning::Damaged, part) => {
                let (first, second) = part.split_at(part.len() / 2);
                parts.extend([second, first]);
            }
            _ => return Err(error),
        }
    }
    Ok(all)
}

/// At most [`LOAD_SAGAS_MAX`] ids, in order.
async fn load_part(connection: &mut PgConnection, ids: &[Uuid], after: i64) -> Result<Vec<StoredColumns>, sqlx::Error> {
    let query = sqlx::query_as(LOAD).bind(ids).bind(ids.first()).bind(ids.last()).bind(after);
    query.fetch_all(connection).await
}

pub(super) fn damaged(id: Uuid, error: &sqlx::Error) -> JournalError {
    JournalError::Damaged { saga_id: SagaId::from_uuid(id), detail: error.to_string() }
}

/// The shard's sagas that sleep.
pub(super) async fn sleepers(connection: &mut PgConnection, shard: u16) -> Result<Vec<SleepColumns>, sqlx::Error> {
    sqlx::query_as(SLEEPERS).bind(i32::from(shard)).fetch_all(connection).await
}

/// The shard's sagas that are paused.
pub(super) async fn paused(connection: &mut PgConnection, shard: u16) -> Result<Vec<SagaId>, sqlx::Error> {
    let ids: Vec<Uuid> = sqlx::query_scalar(PAUSED).bind(i32::from(shard)).fetch_all(connection).await?;
    Ok(ids.into_iter().map(SagaId::from_uuid).collect())
}

/// The start made under a key.
pub(super) async fn find_start(
    connection: &mut PgConnection,
    name: &str,
    key: &str,
) -> Result<Option<ExistingStart>, JournalError> {
    if name.contains('\0') || key.contains('\0') {
        // Such a text cannot be stored, so nothing has it.
        return Ok(None);
    }
    let found: Option<(Uuid, String, String)> = sqlx::query_as(FIND_START)
        .bind(name)
        .bind(key)
        .fetch_optional(connection)
        .await
        .map_err(unavailable("looking a start up"))?;
    Ok(found.map(|(saga_id, business_key, fingerprint)| ExistingStart {
        saga_id: SagaId::from_uuid(saga_id),
        business_key,
        fingerprint,
    }))
}

/// Claims a key for a saga that exists.
pub(super) async fn claim_key(
    connection: &mut PgConnection,
    name: &str,
    key: &str,
    claim: &ExistingStart,
) -> Result<ExistingStart, JournalError> {
    let ExistingStart { saga_id, business_key, fingerprint } = claim;
    sqlx::query(CLAIM_KEY)
        .bind(name)
        .bind(key)
        .bind(saga_id.uuid())
        .bind(business_key)
        .bind(fingerprint)
        .execute(&mut *connection)
        .await
        .map_err(unavailable("claiming a key"))?;
    // What left with its week meanwhile held it no longer.
    Ok(find_start(connection, name, key).await?.unwrap_or_else(|| claim.clone()))
}

/// Rows, in the order that is asked for.
pub(super) async fn list(connection: &mut PgConnection, filter: &Filter, limit: u32) -> Result<Listing, JournalError> {
    if filter.is_unstorable() {
        return Ok(Listing { sagas: Vec::new(), next: None });
    }
    // One more than asked for tells whether there are more.
    let found = match rows(connection, filter, Holds::Shown, limit.saturating_add(1)).await {
        Err(error) if meaning(&error) == Meaning::Damaged && !is_by_hold(filter) => {
            tracing::error!(%error, "a list is read without its holds");
            rows(connection, filter, Holds::LeftOut, limit.saturating_add(1)).await
        }
        found => found,
    };
    let mut found = found.map_err(unavailable("listing sagas"))?;
    let more = found.len() > limit as usize;
    found.truncate(limit as usize);
    let next = found.last().filter(|_| more).map(ListedColumns::place);
    let sagas = found.into_iter().map(ListedColumns::into_listed);
    let sagas = sagas.filter_map(|saga| saga.inspect_err(|error| tracing::error!(%error, "left out of a list")).ok());
    Ok(Listing { sagas: sagas.collect(), next })
}

async fn rows(
    connection: &mut PgConnection,
    filter: &Filter,
    holds: Holds,
    limit: u32,
) -> Result<Vec<ListedColumns>, sqlx::Error> {
    let mut query = QueryBuilder::new("");
    push_list(&mut query, filter, holds, limit);
    // Planned for its very values: a plan for any name or version would read the whole table for one that few sagas have.
    query.build_query_as().persistent(false).fetch_all(connection).await
}

/// Whether a list says until when its sagas hold something. One that goes by that says so always.
#[derive(Debug, Clone, Copy)]
pub(super) enum Holds {
    Shown,
    LeftOut,
}

const fn is_by_hold(filter: &Filter) -> bool {
    filter.holds_before.is_some() || matches!(filter.order, Order::HoldsUntil)
}

/// True for a list of one definition's sagas that no other condition finds by an index of its own.
const fn is_over_versions(filter: &Filter) -> bool {
    let Filter { name, version, business_key, owner, error, step, paused, parent, ids, order, .. } = filter;
    let found_otherwise = business_key.is_some() || owner.is_some() || error.is_some() || step.is_some() || *paused;
    let of_any = name.is_some() && version.is_none() && !found_otherwise && parent.is_none() && ids.is_empty();
    of_any && !is_by_hold(filter) && matches!(order, Order::Newest | Order::Oldest)
}

/// One status, or none, is one scan of one index. Several are as many scans, merged: an index over (status, id) gives
/// the newest of one status without sorting, but not of several.
pub(super) fn push_list(query: &mut QueryBuilder<Postgres>, filter: &Filter, holds: Holds, limit: u32) {
    let wanted = SagaStatus::ALL.into_iter().filter(|status| filter.statuses.contains(status));
    let mut statuses: Vec<_> = wanted.map(Some).collect();
    if statuses.is_empty() || statuses.len() == SagaStatus::ALL.len() {
        statuses = vec![None];
    }
    let several = statuses.len() > 1;
    if let Some(name) = filter.name.as_ref().filter(|_| is_over_versions(filter)) {
        let (first, next, rest) = VERSIONS;
        query.push(first).push_bind(name.clone()).push(next).push_bind(name.clone()).push(rest);
    }
    query.push(if several { "SELECT * FROM (" } else { "" });
    for (index, status) in statuses.into_iter().enumerate() {
        query.push(if index > 0 { " UNION ALL " } else { "" });
        query.push(if several { "(" } else { "" });
        push_rows(query, filter, status, holds, limit);
        query.push(if several { ")" } else { "" });
    }
    if several {
        query.push(") AS merged").push(order_by(filter.order)).push_bind(i64::from(limit));
    }
}

fn push_rows(
    query: &mut QueryBuilder<Postgres>,
    filter: &Filter,
    status: Option<SagaStatus>,
    holds: Holds,
    limit: u32,
) {
    let over_versions = is_over_versions(filter);
    query.push(if over_versions { "SELECT found.* FROM versions CROSS JOIN LATERAL (" } else { "" });
    query.push(ROW);
    match holds {
        Holds::LeftOut if !is_by_hold(filter) => query.push(", NULL::timestamptz AS holds_until FROM saga"),
        Holds::Shown | Holds::LeftOut => query.push(", holds_until FROM saga").push(HOLD),
    };
    push_conditions(query, filter);
    if let Some(status) = status {
        query.push(" AND status = ").push_bind(status.as_str());
    }
    query.push(if over_versions { " AND version = number" } else { "" });
    query.push(order_by(filter.order)).push_bind(i64::from(limit));
    if over_versions {
        query.push(") AS found").push(order_by(filter.order)).push_bind(i64::from(limit));
    }
}

/// The rows of a list in no order, for counting, joined with one more table.
pub(super) fn push_matching(query: &mut QueryBuilder<Postgres>, filter: &Filter, join: &'static str) {
    query.push(" FROM saga").push(join).push(if is_by_hold(filter) { HOLD } else { "" });
    push_conditions(query, filter);
    if !filter.statuses.is_empty() {
        let statuses: Vec<_> = filter.statuses.iter().map(|status| status.as_str()).collect();
        query.push(" AND status = ANY(").push_bind(statuses).push(")");
    }
}

/// All conditions but the status.
fn push_conditions(query: &mut QueryBuilder<Postgres>, filter: &Filter) {
    let Filter { statuses: _, name, version, business_key, owner, error, step, paused, parent, ids, .. } = filter;
    let Filter { created_after, created_before, finished_after, finished_before, holds_before, .. } = filter;
    let Filter { order, before, after, behind, .. } = filter;
    let created_after = created_after.map(sane_time);
    let created_before = created_before.map(sane_time);
    let ids_from = created_after.and_then(|at| first_id_of(at - ID_SKEW_MAX)).unwrap_or(Uuid::nil());
    query.push(" WHERE id >= ").push_bind(ids_from);
    query.push(if is_by_hold(filter) { OPEN } else { "" });
    let texts = [("name", name), ("business_key", business_key), ("owner", owner), ("error", error)];
    for (column, text) in texts {
        if let Some(text) = text {
            query.push(" AND ").push(column).push(" = ").push_bind(text.clone());
        }
    }
    if let Some(version) = *version {
        query.push(" AND version = ").push_bind(i64::from(version));
    }
    if let Some(step) = step {
        query.push(STEP).push_bind(step.to_string());
    }
    if *paused {
        query.push(" AND paused");
    }
    if !ids.is_empty() {
        query.push(" AND id = ANY(").push_bind(ids.iter().map(|id| id.uuid()).collect::<Vec<_>>()).push(")");
    }
    if let Some(parent) = *parent {
        query.push(" AND parent = ").push_bind(parent.uuid());
    }
    if let Some(at) = created_after {
        query.push(" AND created_at >= ").push_bind(at);
    }
    if let Some(at) = created_before {
        query.push(" AND created_at < ").push_bind(at);
        if let Some(id) = first_id_of(at + ID_SKEW_MAX) {
            query.push(" AND id < ").push_bind(id);
        }
    }
    if let Some(at) = *finished_after {
        query.push(ENDED).push(" AND finished_at >= ").push_bind(sane_time(at));
    }
    if let Some(at) = *finished_before {
        query.push(ENDED).push(" AND finished_at < ").push_bind(sane_time(at));
    }
    if let Some(at) = *holds_before {
        query.push(" AND holds_until < ").push_bind(sane_time(at));
    }
    if let Some(id) = *before {
        query.push(" AND id < ").push_bind(id.uuid());
    }
    if let Some(id) = *after {
        query.push(" AND id > ").push_bind(id.uuid());
    }
    match order {
        Order::Newest | Order::Oldest => {}
        Order::Ended => {
            query.push(ENDED);
            push_behind(query, " AND (finished_at, id) < (", *behind);
        }
        Order::HoldsUntil => {
            query.push(" AND holds_until IS NOT NULL");
            push_behind(query, " AND (holds_until, id) > (", *behind);
        }
    }
}

fn push_behind(query: &mut QueryBuilder<Postgres>, compared: &'static str, behind: Option<(DateTime<Utc>, SagaId)>) {
    if let Some((at, id)) = behind {
        query.push(compared).push_bind(sane_time(at)).push(", ").push_bind(id.uuid()).push(")");
    }
}

const fn order_by(order: Order) -> &'static str {
    match order {
        Order::Newest => " ORDER BY id DESC LIMIT ",
        Order::Oldest => " ORDER BY id LIMIT ",
        Order::Ended => " ORDER BY finished_at DESC, id DESC LIMIT ",
        Order::HoldsUntil => " ORDER BY holds_until, id LIMIT ",
    }
}

/// A time within what the tables hold: one outside of it finds the same rows as the nearest one inside.
fn sane_time(at: DateTime<Utc>) -> DateTime<Utc> {
    let year_10000 = DateTime::from_timestamp(YEAR_10000_SECONDS, 0).unwrap_or(DateTime::UNIX_EPOCH);
    at.clamp(DateTime::UNIX_EPOCH, year_10000)
}

fn first_id_of(at: DateTime<Utc>) -> Option<Uuid> {
    first_id(at.timestamp_millis())
}

#[cfg(test)]
mod tests {
    use sqlx::{AssertSqlSafe, Executor};

    use super::*;
    use crate::postgres::{PgJournal, PgJournalOptions};

    async fn journal() -> std::sync::Arc<PgJournal> {
        let url = private_servers::testing::database("journal").await;
        let options = PgJournalOptions::new(url, 1, kit::ids::instance_id(), kit::clock::system().now());
        PgJournal::connect(options).await.unwrap()
    }

    async fn plan(connection: &mut PgConnection, query: &mut QueryBuilder<Postgres>) -> String {
        let lines: Vec<String> = query.build_query_scalar().fetch_all(connection).await.unwrap();
        lines.join("\n")
    }

    #[tokio::test]
    async fn a_sagas_journal_is_read_from_one_partition() {
        let journal = journal().await;
        let id = kit::ids::uuid_v7();
        let explain =
            sqlx::query_scalar(AssertSqlSafe(format!("EXPLAIN {LOAD}"))).bind(vec![id]).bind(id).bind(id).bind(0_i64);
        let mut connection = journal.reads.acquire("testing").await.unwrap();
        let plan: Vec<String> = explain.fetch_all(&mut *connection).await.unwrap();
        let scans: Vec<_> = plan.iter().filter(|line| line.contains(" on saga")).collect();
        assert_eq!(scans.len(), 2, "one partition of each table: {plan:#?}");
        assert!(scans.iter().all(|scan| scan.contains("Index") && !scan.contains("default")), "{plan:#?}");
    }

    #[tokio::test]
    async fn every_list_reads_its_index_in_order() {
        let journal = journal().await;
        let mut connection = journal.reads.acquire("testing").await.unwrap();
        // The tables are too small for the planner to care: only what it could do matters here.
        connection.execute("SET enable_seqscan = off; SET enable_bitmapscan = off").await.unwrap();
        let text = Some("x".to_owned());
        let cases = [
            (Filter::default(), "pkey"),
            (Filter { statuses: vec![SagaStatus::Running], ..Filter::default() }, "status_id_idx"),
            (
                Filter { statuses: vec![SagaStatus::Running, SagaStatus::Completed], ..Filter::default() },
                "status_id_idx",
            ),
            (Filter { name: text.clone(), version: Some(2), ..Filter::default() }, "name_version_id_idx"),
            (Filter { business_key: text.clone(), ..Filter::default() }, "business_key_id_idx"),
            (Filter { owner: text.clone(), ..Filter::default() }, "owner_id_idx"),
            (Filter { error: text.clone(), ..Filter::default() }, "error_id_idx"),
            (Filter { step: "hold-rooms".parse().ok(), ..Filter::default() }, "split_part_id_idx"),
            (Filter { order: Order::Oldest, ..Filter::default() }, "pkey"),
            (Filter { paused: true, ..Filter::default() }, "id_idx"),
            (Filter { parent: Some(kit::ids::saga_id(0, 1)), ..Filter::default() }, "parent_id_idx"),
        ];
        for (filter, index) in cases {
            let mut query = QueryBuilder::new("EXPLAIN ");
            push_list(&mut query, &filter, Holds::Shown, 50);
            let plan = plan(&mut connection, &mut query).await;
            assert!(plan.contains(index), "{filter:?}: {plan}");
            assert!(!plan.contains("Sort  (") && !plan.contains("Seq Scan"), "{filter:?}: {plan}");
        }
        // The newest of each version, and those that ended at one time, are put in order among themselves.
        let cases = [
            (Filter { name: text.clone(), ..Filter::default() }, "name_version_id_idx"),
            (Filter { name: text, order: Order::Oldest, ..Filter::default() }, "name_version_id_idx"),
            (Filter { order: Order::Ended, ..Filter::default() }, "Presorted Key: saga.finished_at"),
        ];
        for (filter, told) in cases {
            let mut query = QueryBuilder::new("EXPLAIN ");
            push_list(&mut query, &filter, Holds::Shown, 50);
            let plan = plan(&mut connection, &mut query).await;
            assert!(plan.contains(told) && !plan.contains("Seq Scan"), "{filter:?}: {plan}");
            assert_eq!(plan.matches("Sort  (").count(), 1, "{filter:?}: {plan}");
        }
    }
}
