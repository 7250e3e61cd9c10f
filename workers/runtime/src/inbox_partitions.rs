//! The partitions of the inbox: one for the sagas that began in a month, made before the month begins, and dropped as a
//! whole when its rows have been kept for long enough. No row is deleted, so a table of any age costs the same.
//!
//! Making and dropping one needs the table for an instant. It waits for that no longer than a command may be kept
//! waiting, and is tried again another day: there is a partition for what no month's partition takes.

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, NaiveTime, Utc};
use sqlx::{AssertSqlSafe, PgPool};
use uuid::Uuid;

/// The beginning of a partition's name; the month follows.
const NAME: &str = "inbox_";

/// No command waits longer than this behind a change of the partitions.
const LOCK_TIMEOUT: &str = "SET LOCAL lock_timeout = '100ms'";

/// Two workers that change the partitions at the same moment take turns.
const TAKE_TURNS: &str = "SELECT pg_advisory_xact_lock(hashtext('runtime.inbox'))";

/// A month, by its first day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Month(NaiveDate);

impl Month {
    fn of(moment: DateTime<Utc>) -> Self {
        let day = moment.date_naive();
        Self(day - Days::new(u64::from(day.day0())))
    }

    fn next(self) -> Self {
        Self(self.0 + Months::new(1))
    }

    /// The month in a partition's name.
    fn in_name(name: &str) -> Option<Self> {
        NaiveDate::parse_from_str(&format!("{}_01", name.strip_prefix(NAME)?), "%Y_%m_%d").ok().map(Self)
    }

    fn name(self) -> String {
        format!("{NAME}{}", self.0.format("%Y_%m"))
    }

    fn begin(self) -> DateTime<Utc> {
        self.0.and_time(NaiveTime::MIN).and_utc()
    }

    /// The smallest id of a saga that begins in this month: 48 bits of milliseconds, then nothing.
    fn first_id(self) -> Uuid {
        let milliseconds = u128::try_from(self.begin().timestamp_millis()).unwrap_or(0);
        Uuid::from_u128(milliseconds << 80)
    }
}

/// Makes the partitions of this month and the next one, where they are missing. A month that has begun without one stays
/// where its first rows are.
pub(crate) async fn make(pool: &PgPool, now: DateTime<Utc>) -> Result<(), sqlx::Error> {
    let month = Month::of(now);
    for month in [month, month.next()] {
        let (name, from, to) = (month.name(), month.first_id(), month.next().first_id());
        if sqlx::query_scalar::<_, bool>("SELECT to_regclass('runtime.' || $1) IS NOT NULL")
            .bind(&name)
            .fetch_one(pool)
            .await?
        {
            continue;
        }
        let mut tx = pool.begin().await?;
        sqlx::raw_sql(TAKE_TURNS).execute(&mut *tx).await?;
        sqlx::raw_sql(LOCK_TIMEOUT).execute(&mut *tx).await?;
        // Made apart and attached: that leaves commands their way to all other partitions meanwhile.
        let make = format!(
            "DO $$ BEGIN
                 IF to_regclass('runtime.{name}') IS NULL AND NOT EXISTS (
                     SELECT FROM runtime.inbox_default WHERE saga_id >= '{from}' AND saga_id < '{to}'
                 ) THEN
                     CREATE TABLE runtime.{name} (LIKE runtime.inbox INCLUDING ALL);
                     ALTER TABLE runtime.inbox ATTACH PARTITION runtime.{name} FOR VALUES FROM ('{from}') TO ('{to}');
                 END IF;
             END $$"
        );
        sqlx::raw_sql(AssertSqlSafe(make)).execute(&mut *tx).await?;
        tx.commit().await?;
    }
    Ok(())
}

/// Drops the partitions whose sagas all began before a time. Rows of theirs that are younger, and intents that were never
/// cleared up, are kept.
pub(crate) async fn drop_before(pool: &PgPool, ended_before: DateTime<Utc>) -> Result<(), sqlx::Error> {
    let names: Vec<String> = sqlx::query_scalar(
        "SELECT c.relname::text FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
         WHERE i.inhparent = 'runtime.inbox'::regclass ORDER BY 1",
    )
    .fetch_all(pool)
    .await?;
    for month in names.iter().filter_map(|name| Month::in_name(name)) {
        if month.next().begin() > ended_before {
            continue;
        }
        let name = month.name();
        let mut tx = pool.begin().await?;
        sqlx::raw_sql(TAKE_TURNS).execute(&mut *tx).await?;
        sqlx::raw_sql(LOCK_TIMEOUT).execute(&mut *tx).await?;
        // The rows are looked through while only this partition is locked, and only for new rows.
        let keep = format!(
            "LOCK TABLE runtime.{name} IN SHARE MODE;
             CREATE TEMPORARY TABLE kept ON COMMIT DROP AS
                 SELECT * FROM runtime.{name} WHERE state = 'p' OR created_at >= '{ended_before}';
             ALTER TABLE runtime.inbox DETACH PARTITION runtime.{name};
             DROP TABLE runtime.{name};
             INSERT INTO runtime.inbox SELECT * FROM kept",
            ended_before = ended_before.to_rfc3339()
        );
        sqlx::raw_sql(AssertSqlSafe(keep)).execute(&mut *tx).await?;
        tx.commit().await?;
        tracing::info!(name, "a month of the inbox is dropped");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn a_month_has_the_ids_from_its_first_moment_to_the_next_months() {
        let month = Month::of(moment("2026-12-31T23:59:59.999Z"));
        assert_eq!((month.name().as_str(), month.next().name().as_str()), ("inbox_2026_12", "inbox_2027_01"));
        assert_eq!(Month::in_name("inbox_2026_12"), Some(month));
        assert_eq!(Month::in_name("inbox_default"), None);
        let id = |moment: DateTime<Utc>| {
            let timestamp = uuid::Timestamp::from_unix(
                uuid::NoContext,
                u64::try_from(moment.timestamp()).unwrap(),
                moment.timestamp_subsec_nanos(),
            );
            Uuid::new_v7(timestamp)
        };
        assert!(id(moment("2026-12-01T00:00:00Z")) >= month.first_id());
        assert!(id(moment("2026-11-30T23:59:59.999Z")) < month.first_id());
        assert!(id(moment("2026-12-31T23:59:59.999Z")) < month.next().first_id());
    }
}
