//! A journal that is old: a given number of finished sagas, written straight into it over the weeks before this one, so
//! that a run can tell whether history costs anything.

use anyhow::Result;
use chrono::{TimeDelta, Utc};
use journal::{Journal as _, PgJournal, PgJournalOptions};
use kit::clock::{Clock as _, SystemClock};
use orchestrator::settings::SHARDS_DEFAULT;
use sqlx::{Connection, PgConnection};

/// Rows of one statement.
const CHUNK: i64 = 50_000;

/// Writes `sagas` finished sagas over the last `weeks`, each with as many records as the benchmark's own sagas leave
/// (shorter ones: the size of a record that is not read costs nothing), and lets PostgreSQL tidy up as it would have
/// over time.
pub(crate) async fn fill(database_url: &str, sagas: i64, weeks: u16) -> Result<()> {
    let now = SystemClock.now();
    prepare(database_url, now, weeks).await?;
    let mut journal = PgConnection::connect(database_url).await?;
    let apart_ms = TimeDelta::weeks(i64::from(weeks)).num_milliseconds() as f64 / sagas as f64;
    let mut done = 0;
    while done < sagas {
        let chunk = CHUNK.min(sagas - done);
        // An id as the orchestrator makes them: 48 bits of milliseconds, version 7, variant 2, random bits.
        sqlx::query(
            "WITH made AS MATERIALIZED (
                 SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0')
                         || '7' || substr(md5(random()::text), 1, 3) || '8' || substr(md5(random()::text), 1, 15))::uuid AS id,
                        at
                 FROM (SELECT $3::timestamptz - interval '1 millisecond' * ($4 * ($1 + n)) AS at
                       FROM generate_series(1, $2) n) times
             ), rows AS (
                 INSERT INTO saga (id, name, version, fingerprint, shard, status, business_key, created_at, updated_at, finished_at)
                 SELECT id, 'bench', 1, 'history', 0, 'completed', id::text, at, at, at FROM made
             ), starts AS (
                 INSERT INTO saga_start (name, key, saga_id, business_key, fingerprint, created_at)
                 SELECT 'bench', id::text, id, id::text, id::text, at FROM made
             )
             INSERT INTO saga_journal (saga_id, seq, at, entries)
             SELECT id, seq, at, json_build_array(json_build_object('entry', 'history', 'filler', repeat('x', 60)))
             FROM made, generate_series(1, 5) seq",
        )
        .bind(done)
        .bind(chunk)
        .bind(now)
        .bind(apart_ms)
        .execute(&mut journal)
        .await?;
        done += chunk;
    }
    sqlx::query("VACUUM ANALYZE saga, saga_journal, saga_start").execute(&mut journal).await?;
    sqlx::query("CHECKPOINT").execute(&mut journal).await?;
    Ok(journal.close().await?)
}

/// Makes the partitions that the journal would have made in those weeks.
async fn prepare(database_url: &str, now: chrono::DateTime<Utc>, weeks: u16) -> Result<()> {
    let options = PgJournalOptions::new(database_url, SHARDS_DEFAULT, kit::ids::instance_id(), now);
    let journal = PgJournal::connect(options).await?;
    for week in (0..=weeks).rev() {
        journal.prepare(now - TimeDelta::weeks(i64::from(week))).await?;
    }
    Ok(())
}
