//! Groups of sagas that failed the same way, read from one index alone.
//!
//! The index is ordered by definition, error and time. Each next group is found by one descent behind the one before, so
//! that a page costs as much as it has groups, and not as much as there are sagas. Of each group the newest failures are
//! counted, up to a bound.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::session::unavailable;
use crate::port::{ErrorGroup, ErrorGroupKey, ErrorGroupsAsked, FAILURES_COUNTED_MAX, JournalError};

/// The keys of a page, and the first, the last and the counts of each.
const LIST: &str = "\
WITH RECURSIVE page (place, name, error) AS ( \
    (SELECT 1, name, error FROM saga WHERE error IS NOT NULL AND (name, error) > ($1, $2) \
     AND ($3::text IS NULL OR name = $3) ORDER BY name, error LIMIT 1) \
    UNION ALL \
    SELECT p.place + 1, n.name, n.error FROM page p CROSS JOIN LATERAL ( \
        SELECT name, error FROM saga WHERE error IS NOT NULL AND (name, error) > (p.name, p.error) \
        AND ($3::text IS NULL OR name = $3) ORDER BY name, error LIMIT 1) n WHERE p.place < $4 \
) \
SELECT p.name, p.error, f.at AS first_at, l.at AS last_at, c.hours, c.counts, c.needing_attention \
FROM page p \
CROSS JOIN LATERAL (SELECT failed_at AS at FROM saga s WHERE s.name = p.name AND s.error = p.error \
                    ORDER BY failed_at LIMIT 1) f \
CROSS JOIN LATERAL (SELECT failed_at AS at FROM saga s WHERE s.name = p.name AND s.error = p.error \
                    ORDER BY failed_at DESC LIMIT 1) l \
CROSS JOIN LATERAL ( \
    SELECT array_agg(h.hour ORDER BY h.hour) AS hours, array_agg(h.count ORDER BY h.hour) AS counts, \
           coalesce(sum(h.waiting), 0)::bigint AS needing_attention \
    FROM (SELECT floor(extract(epoch FROM n.failed_at) / 3600)::bigint AS hour, count(*) AS count, \
                 count(*) FILTER (WHERE n.status = 'needs_attention') AS waiting \
          FROM (SELECT failed_at, status FROM saga s WHERE s.name = p.name AND s.error = p.error AND s.failed_at >= $5 \
                ORDER BY failed_at DESC LIMIT $6) n GROUP BY 1) h) c \
ORDER BY p.place";

/// One row as it is read.
#[derive(Debug, sqlx::FromRow)]
struct Columns {
    name: String,
    error: String,
    first_at: DateTime<Utc>,
    last_at: DateTime<Utc>,
    hours: Option<Vec<i64>>,
    counts: Option<Vec<i64>>,
    needing_attention: i64,
}

impl Columns {
    fn into_group(self) -> ErrorGroup {
        let count = |count: i64| u64::try_from(count).unwrap_or_default();
        let counts = self.counts.unwrap_or_default().into_iter().map(count);
        ErrorGroup {
            key: ErrorGroupKey { name: self.name, error: self.error },
            first_at: self.first_at,
            last_at: self.last_at,
            needing_attention: count(self.needing_attention),
            hours: self.hours.unwrap_or_default().into_iter().zip(counts).collect(),
        }
    }
}

/// A page of the groups.
pub(super) async fn list(
    connection: &mut PgConnection,
    asked: &ErrorGroupsAsked,
) -> Result<Vec<ErrorGroup>, JournalError> {
    let (name, error) = asked.after.as_ref().map_or(("", ""), |after| (&after.name, &after.error));
    if [name, error, asked.name.as_deref().unwrap_or_default()].iter().any(|text| text.contains('\0')) {
        // Such a text cannot be stored, so nothing has it.
        return Ok(Vec::new());
    }
    if asked.limit == 0 {
        return Ok(Vec::new());
    }
    let rows: Vec<Columns> = sqlx::query_as(LIST)
        .bind(name)
        .bind(error)
        .bind(&asked.name)
        .bind(i64::from(asked.limit))
        .bind(asked.since)
        .bind(i64::try_from(FAILURES_COUNTED_MAX).unwrap_or(i64::MAX))
        .fetch_all(connection)
        .await
        .map_err(unavailable("grouping failures"))?;
    Ok(rows.into_iter().map(Columns::into_group).collect())
}

#[cfg(test)]
mod tests {
    use sqlx::{AssertSqlSafe, Executor};

    use super::*;
    use crate::postgres::{PgJournal, PgJournalOptions};

    #[tokio::test]
    async fn groups_and_their_counts_are_read_from_the_index_of_failures_alone() {
        let url = private_servers::testing::database("journal").await;
        let now = kit::clock::system().now();
        let journal = PgJournal::connect(PgJournalOptions::new(url, 1, kit::ids::instance_id(), now)).await.unwrap();
        let mut connection = journal.reads.acquire("testing").await.unwrap();
        // The tables are too small for the planner to care: only what it could do matters here.
        connection.execute("SET enable_seqscan = off; SET enable_bitmapscan = off").await.unwrap();
        let explain = sqlx::query_scalar(AssertSqlSafe(format!("EXPLAIN {LIST}")));
        let explain = explain.bind("").bind("").bind(None::<String>).bind(51_i64).bind(now).bind(1_000_i64);
        let plan: Vec<String> = explain.fetch_all(&mut *connection).await.unwrap();
        let scans: Vec<_> = plan.iter().filter(|line| line.contains(" on saga")).collect();
        assert!(!scans.is_empty(), "{plan:#?}");
        let is_of_index = |scan: &&&String| scan.contains("Index Only Scan") && scan.contains("name_error_failed_at");
        assert_eq!(scans.iter().filter(is_of_index).count(), scans.len(), "{plan:#?}");
    }
}
