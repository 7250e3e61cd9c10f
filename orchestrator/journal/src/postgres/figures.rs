//! The figures, counted over the indexes of the lists.

use chrono::{DateTime, Utc};
use contract::{
    SagaId,
    orchestrator_api::{AGES_SECONDS, Durations, SagaCounts, SagaHold},
    saga::SagaStatus,
};
use sqlx::{PgConnection, Postgres, QueryBuilder};
use uuid::Uuid;

use super::{
    list_query::{is_by_hold, push_matching},
    reads,
    session::{Meaning, meaning, unavailable},
    unread_holds,
};
use crate::{
    figures::{Counted, Ended, EndedAsked, Owners, ShardOwner, age_bounds, put_together},
    port::{Filter, JournalError, Order},
};

/// The sagas of one definition, version, status and age.
#[derive(Debug, sqlx::FromRow)]
struct CountedColumns {
    name: String,
    version: i64,
    status: String,
    /// The number of bounds that they are younger than.
    younger_than: Option<i32>,
    sagas: i64,
    first_at: Option<DateTime<Utc>>,
    first_id: Option<String>,
}

const IS_OPEN: &str = "status IN ('running', 'compensating', 'needs_attention')";

/// Per interval: the ended sagas by status, and how long so many in a hundred of them took.
const ENDED: &str = "\
WITH ended AS MATERIALIZED ( \
    SELECT finished_at, status, created_at FROM saga WHERE finished_at >= $1 AND finished_at < $2 \
    ORDER BY finished_at DESC LIMIT $4) \
SELECT floor(extract(epoch FROM finished_at - $1) / $3)::integer AS interval, \
       count(*) FILTER (WHERE status = 'completed') AS completed, \
       count(*) FILTER (WHERE status = 'compensated') AS compensated, \
       count(*) FILTER (WHERE status = 'abandoned') AS abandoned, \
       percentile_disc(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP ( \
           ORDER BY floor(extract(epoch FROM finished_at - created_at) * 1000)::bigint) AS lasted_ms \
FROM ended GROUP BY 1 ORDER BY 1";

const OWNERS: &str = "SELECT shard, instance, since, clock_timestamp() AS now FROM shard_owner ORDER BY shard";

#[derive(Debug, sqlx::FromRow)]
struct EndedColumns {
    interval: i32,
    completed: i64,
    compensated: i64,
    abandoned: i64,
    lasted_ms: Vec<i64>,
}

#[derive(Debug, sqlx::FromRow)]
struct OwnerColumns {
    shard: i32,
    instance: String,
    since: DateTime<Utc>,
    now: DateTime<Utc>,
}

/// The sagas that ended, by interval.
pub(super) async fn ended(connection: &mut PgConnection, asked: &EndedAsked) -> Result<Vec<Ended>, JournalError> {
    let query = sqlx::query_as(ENDED)
        .bind(asked.from)
        .bind(asked.to())
        .bind(i64::from(asked.interval_seconds.max(1)))
        .bind(i64::from(asked.limit));
    let rows: Vec<EndedColumns> =
        query.fetch_all(connection).await.map_err(unavailable("counting the sagas that ended"))?;
    Ok(rows.into_iter().map(EndedColumns::into_ended).collect())
}

/// The owners of the shards.
pub(super) async fn owners(connection: &mut PgConnection) -> Result<Owners, JournalError> {
    let rows: Vec<OwnerColumns> =
        sqlx::query_as(OWNERS).fetch_all(connection).await.map_err(unavailable("looking for the shards' owners"))?;
    let now = rows.first().map(|row| row.now);
    let owner = |row: OwnerColumns| {
        let shard = u16::try_from(row.shard).ok()?;
        Some(ShardOwner { shard, instance: row.instance, since: row.since })
    };
    Ok(Owners { now, shards: rows.into_iter().filter_map(owner).collect() })
}

impl EndedColumns {
    fn into_ended(self) -> Ended {
        let [completed, compensated, abandoned] =
            [self.completed, self.compensated, self.abandoned].map(|count| u64::try_from(count).unwrap_or_default());
        let lasted =
            |place: usize| self.lasted_ms.get(place).and_then(|lasted| u64::try_from(*lasted).ok()).unwrap_or_default();
        Ended {
            interval: u32::try_from(self.interval).unwrap_or_default(),
            completed,
            compensated,
            abandoned,
            durations: Durations { p50_ms: lasted(0), p95_ms: lasted(1), p99_ms: lasted(2) },
        }
    }
}

/// Counts the sagas that a filter lets through.
pub(super) async fn count(
    connection: &mut PgConnection,
    filter: &Filter,
    now: DateTime<Utc>,
) -> Result<SagaCounts, JournalError> {
    if filter.is_unstorable() {
        return Ok(put_together(Vec::new(), 0));
    }
    let failed = unavailable("counting sagas");
    let counted = match counts(connection, filter, now, &[]).await {
        Err(error) if meaning(&error) == Meaning::Damaged && is_by_hold(filter) => {
            let unread = unread_holds::find(connection, filter).await.map_err(&failed)?;
            counts(connection, filter, now, &unread).await
        }
        counted => counted,
    };
    let (rows, quarantined) = counted.map_err(&failed)?;
    let counted = rows.into_iter().filter_map(CountedColumns::into_counted).collect();
    let mut counts = put_together(counted, u64::try_from(quarantined).unwrap_or_default());
    if counts.oldest_open.is_some() {
        let first = Filter { order: Order::HoldsUntil, before: None, behind: None, ..filter.clone() };
        let first = reads::list(connection, &first, 1).await?.sagas.into_iter().next();
        let hold = first.and_then(|listed| Some(SagaHold { id: listed.row.id, holds_until: listed.holds_until? }));
        counts.earliest_hold = hold;
    }
    Ok(counts)
}

/// The rows, and how many of the sagas are left alone.
async fn counts(
    connection: &mut PgConnection,
    filter: &Filter,
    now: DateTime<Utc>,
    unread: &[Uuid],
) -> Result<(Vec<CountedColumns>, i64), sqlx::Error> {
    let mut query = QueryBuilder::new("");
    push_count(&mut query, filter, now, unread);
    let rows = query.build_query_as().fetch_all(&mut *connection).await?;
    let mut query = QueryBuilder::new("SELECT count(*)");
    push_matching(&mut query, filter, " JOIN saga_quarantine q ON q.saga_id = saga.id", unread);
    let quarantined = query.build_query_scalar().fetch_one(&mut *connection).await?;
    Ok((rows, quarantined))
}

/// Ages and the first one are told of open sagas alone: of the ended ones, which may be a million, no id is looked at.
fn push_count(query: &mut QueryBuilder<Postgres>, filter: &Filter, now: DateTime<Utc>, unread: &[Uuid]) {
    let bounds: Vec<_> = age_bounds(now).into_iter().rev().collect();
    query.push("SELECT name, version, status, CASE WHEN ").push(IS_OPEN).push(" THEN width_bucket(created_at, ");
    query.push_bind(bounds).push(") END AS younger_than, count(*) AS sagas, min(created_at) FILTER (WHERE ");
    query.push(IS_OPEN).push(") AS first_at, min(id::text COLLATE \"C\") FILTER (WHERE ").push(IS_OPEN);
    query.push(") AS first_id");
    push_matching(query, filter, "", unread);
    query.push(" GROUP BY name, version, status, younger_than");
}

impl CountedColumns {
    fn into_counted(self) -> Option<Counted> {
        let Self { name, version, status, younger_than, sagas, first_at, first_id } = self;
        let bounds = AGES_SECONDS.len() - 1;
        Some(Counted {
            name,
            version: u32::try_from(version).ok()?,
            status: SagaStatus::ALL.into_iter().find(|known| known.as_str() == status)?,
            age: bounds.saturating_sub(usize::try_from(younger_than.unwrap_or_default()).ok()?),
            sagas: u64::try_from(sagas).ok()?,
            first: first_at.zip(first_id.and_then(|id| id.parse::<Uuid>().ok()).map(SagaId::from_uuid)),
        })
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use sqlx::Executor as _;

    use super::*;
    use crate::postgres::{PgJournal, PgJournalOptions};

    #[tokio::test]
    async fn open_sagas_and_ended_ones_are_counted_over_their_indexes() {
        let url = private_servers::testing::database("journal").await;
        let now = kit::clock::system().now();
        let journal = PgJournal::connect(PgJournalOptions::new(url, 1, kit::ids::instance_id(), now)).await.unwrap();
        let mut connection = journal.reads.acquire("testing").await.unwrap();
        // The tables are too small for the planner to care: only what it could do matters here.
        connection.execute("SET enable_seqscan = off; SET enable_bitmapscan = off").await.unwrap();
        let statuses = SagaStatus::ALL.into_iter().filter(|status| !status.is_final()).collect();
        let mut query = QueryBuilder::new("EXPLAIN ");
        push_count(&mut query, &Filter { statuses, ..Filter::default() }, now, &[]);
        let plan: Vec<String> = query.build_query_scalar().fetch_all(&mut *connection).await.unwrap();
        let plan = plan.join("\n");
        assert!(plan.contains("status") && !plan.contains("Seq Scan"), "{plan}");

        let explain = sqlx::AssertSqlSafe(format!("EXPLAIN {ENDED}"));
        let query = sqlx::query_scalar(explain).bind(now - TimeDelta::hours(1)).bind(now).bind(60_i64).bind(10_i64);
        let plan: Vec<String> = query.fetch_all(&mut *connection).await.unwrap();
        let plan = plan.join("\n");
        assert!(
            plan.contains("Index Only Scan") && plan.contains("finished_at") && !plan.contains("Seq Scan"),
            "{plan}"
        );
    }
}
