//! Reading: sagas with their journals, lists by filter, starts.

use contract::SagaId;
use sqlx::{PgConnection, QueryBuilder};
use uuid::Uuid;

use super::{
    list_query::{Holds, is_by_hold, push_list},
    rows::{ListedColumns, SleepColumns, StoredColumns},
    session::{Meaning, meaning, unavailable},
    unread_holds,
};
use crate::port::{ExistingStart, Filter, JournalError, Listing, Stored};

/// Sagas with their journals. The bounds repeat what the ids say, so that weeks outside of them are not even opened.
const LOAD: &str = "\
SELECT s.id, s.name, s.version, s.fingerprint, s.shard, s.status, s.business_key, s.owner, s.attributes, \
       s.traceparent, s.error, s.paused, s.parent, s.parent_step, s.created_at, s.updated_at, s.finished_at, j.seqs, j.ats, j.entries \
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

/// Sagas in one statement: their journals are held in memory on both sides at once.
const LOAD_SAGAS_MAX: usize = 512;

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
    let limited = limit.saturating_add(1);
    let found = match rows(connection, filter, Holds::Shown, limited).await {
        Err(error) if meaning(&error) == Meaning::Damaged => {
            tracing::error!(%error, "a list is read without the holds that cannot be read");
            if is_by_hold(filter) {
                let unread = unread_holds::find(connection, filter).await.map_err(unavailable("looking for holds"))?;
                rows(connection, filter, Holds::ShownBut(&unread), limited).await
            } else {
                rows(connection, filter, Holds::LeftOut, limited).await
            }
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
    holds: Holds<'_>,
    limit: u32,
) -> Result<Vec<ListedColumns>, sqlx::Error> {
    let mut query = QueryBuilder::new("");
    push_list(&mut query, filter, holds, limit);
    // Planned for its very values: a plan for any name or version would read the whole table for one that few sagas have.
    query.build_query_as().persistent(false).fetch_all(connection).await
}

#[cfg(test)]
mod tests {
    use contract::saga::SagaStatus;
    use sqlx::{AssertSqlSafe, Executor, Postgres};

    use super::*;
    use crate::port::Order;
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
        let attributes: contract::Attributes = "departs_on:2026-12-24,payment_id:pay_1".parse().unwrap();
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
            (Filter { attributes: attributes.clone(), ..Filter::default() }, "saga_attribute_pkey"),
            (
                Filter {
                    attributes,
                    name: text.clone(),
                    statuses: vec![SagaStatus::Running, SagaStatus::Completed],
                    order: Order::Oldest,
                    ..Filter::default()
                },
                "saga_attribute_pkey",
            ),
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
            (
                Filter { name: text.clone(), statuses: vec![SagaStatus::Completed], ..Filter::default() },
                "name_version_id_idx",
            ),
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
