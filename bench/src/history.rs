//! The cost of history: the same load on a journal that holds many finished sagas and on one that is empty, in turn.
//!
//! Both systems stand side by side, each on servers of its own, so that whatever else happens to the machine happens to
//! both. The finished sagas are written straight into the one journal, over the weeks before this one.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use chrono::{DateTime, TimeDelta, Utc};
use futures::{StreamExt, TryStreamExt, stream};
use journal::{Journal as _, PgJournal, PgJournalOptions};
use kit::clock::{Clock as _, SystemClock};
use orchestrator::settings::SHARDS_DEFAULT;
use sqlx::{Connection, Executor, PgConnection};

use crate::{latency::median, sagas::Sagas, system::QueueKind, verify};

/// Sagas of one statement.
const CHUNK: i64 = 50_000;

/// Statements at once: one a core.
const CHUNKS_AT_ONCE: usize = 2;

/// The load and the length of the run that warms both systems up.
const WARM_UP: (usize, Duration) = (16, Duration::from_secs(3));

/// The write-ahead segments that a server with any history has and uses again: `max_wal_size` (1 GiB) of them, 16 MiB each.
/// A new server makes each while it is measured, which would pass for a cost that history saves.
const WAL_SEGMENTS: u32 = 64;

/// The history that is written, and the load on it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct History {
    pub(crate) sagas: i64,
    pub(crate) weeks: u16,
    pub(crate) in_flight: usize,
    pub(crate) runs: u16,
    pub(crate) length: Duration,
}

/// Fills one of two systems, drives both in turn, and prints.
pub(crate) async fn run(history: History, queues: QueueKind) -> Result<()> {
    let History { sagas, weeks, in_flight, runs, length } = history;
    let (old, new) = (Sagas::start(queues).await?, Sagas::start(queues).await?);
    let begun = Instant::now();
    fill(&old.url("sojourn_orchestrator"), sagas, weeks).await?;
    make_segments(&new.url("sojourn_orchestrator")).await?;
    println!("\n{sagas} finished sagas over {weeks} weeks were written in {:.0} s", begun.elapsed().as_secs_f64());
    for system in [&old, &new] {
        system.drive(WARM_UP.0, WARM_UP.1).await.context("the warm-up")?;
    }
    let (mut on_old, mut on_new) = (Vec::new(), Vec::new());
    for run in 0..runs {
        // Each goes first as often as the other.
        for is_old in [run % 2 == 0, run % 2 != 0] {
            let (system, seen) = if is_old { (&old, &mut on_old) } else { (&new, &mut on_new) };
            seen.push(system.drive(in_flight, length).await?.per_second());
        }
    }
    let ratios: Vec<f64> = on_old.iter().zip(&on_new).map(|(old, new)| old / new).collect();
    println!("  {in_flight} in flight, {runs} runs of {} s each in turn, medians:", length.as_secs());
    println!("  {:.1} sagas/s, on an empty journal {:.1}", median(on_old), median(on_new));
    let each: Vec<_> = ratios.iter().map(|ratio| format!("{ratio:.2}")).collect();
    println!("  ratio {:.2} (each: {})", median(ratios), each.join(", "));
    for system in [old, new] {
        verify::check(|database| system.url(database)).await?;
        system.stop().await;
    }
    Ok(())
}

/// Writes `sagas` finished sagas over the last `weeks`, of 10,000 clients and 365 days, one in ten declined, each with as many records as the benchmark's own sagas leave
/// (shorter ones: the size of a record that is not read costs nothing), and lets PostgreSQL tidy up as it would have
/// over time.
pub(crate) async fn fill(database_url: &str, sagas: i64, weeks: u16) -> Result<()> {
    let now = SystemClock.now();
    prepare(database_url, now, weeks).await?;
    let past = TimeDelta::weeks(i64::from(weeks));
    let (begin, apart_ms) = (now - past, past.num_milliseconds() as f64 / sagas as f64);
    let firsts = (0..sagas).step_by(usize::try_from(CHUNK)?);
    stream::iter(firsts.map(|first| write(database_url, first, CHUNK.min(sagas - first), begin, apart_ms)))
        .buffer_unordered(CHUNKS_AT_ONCE)
        .try_collect::<()>()
        .await?;
    let mut journal = PgConnection::connect(database_url).await?;
    // Nothing of this is left to do while the load runs: no vacuum, no page to be written that was not touched since.
    journal.execute("VACUUM (ANALYZE) saga, saga_attribute, saga_journal, saga_start").await?;
    journal.execute("CHECKPOINT").await?;
    Ok(journal.close().await?)
}

/// Writes so many sagas from the `first`th on, the oldest of which began at `begin`. The ids rise, as they do in life.
async fn write(database_url: &str, first: i64, count: i64, begin: DateTime<Utc>, apart_ms: f64) -> Result<()> {
    let mut journal = PgConnection::connect(database_url).await?;
    journal.execute("SET synchronous_commit = off").await?;
    // An id as the orchestrator makes them: 48 bits of milliseconds, version 7, variant 2, random bits.
    sqlx::query(
        "WITH made AS MATERIALIZED (
             SELECT n, (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0')
                     || '7' || substr(md5(random()::text), 1, 3) || '8' || substr(md5(random()::text), 1, 15))::uuid AS id,
                    at
             FROM (SELECT n, $3::timestamptz + interval '1 millisecond' * ($4 * ($1 + n)) AS at
                   FROM generate_series(0, $2 - 1) n) times
         ), rows AS (
             INSERT INTO saga (id, name, version, fingerprint, shard, status, business_key, owner, attributes, error,
                               created_at, updated_at, finished_at, failed_at)
             SELECT id, 'bench', 1, 'history', 0, CASE n % 10 WHEN 0 THEN 'compensated' ELSE 'completed' END,
                    'ord_' || $1 + n, 'usr_' || n % 10000,
                    jsonb_build_object('payment_id', 'pay_' || $1 + n, 'day', 'day_' || ($1 + n) / 10 % 365),
                    CASE n % 10 WHEN 0 THEN 'authorize-payment/card_declined' END, at, at, at,
                    CASE n % 10 WHEN 0 THEN at END
             FROM made RETURNING id, attributes
         ), found_by AS (
             INSERT INTO saga_attribute (name, value, saga_id)
             SELECT key, value, id FROM rows CROSS JOIN LATERAL jsonb_each_text(attributes)
         ), starts AS (
             INSERT INTO saga_start (name, key, saga_id, business_key, fingerprint, created_at)
             SELECT 'bench', id::text, id, id::text, id::text, at FROM made
         )
         INSERT INTO saga_journal (saga_id, seq, at, entries)
         SELECT id, seq, at, json_build_array(json_build_object('entry', 'history', 'filler', repeat('x', 60)))
         FROM made, generate_series(1, 5) seq",
    )
    .bind(first)
    .bind(count)
    .bind(begin)
    .bind(apart_ms)
    .execute(&mut journal)
    .await?;
    Ok(journal.close().await?)
}

/// Lets a new server make its write-ahead segments.
async fn make_segments(database_url: &str) -> Result<()> {
    let mut server = PgConnection::connect(database_url).await?;
    for _ in 0..WAL_SEGMENTS {
        server.execute("SELECT pg_logical_emit_message(false, 'bench', ''), pg_switch_wal()").await?;
    }
    server.execute("CHECKPOINT").await?;
    Ok(server.close().await?)
}

/// Makes the partitions that the journal would have made in those weeks.
async fn prepare(database_url: &str, now: DateTime<Utc>, weeks: u16) -> Result<()> {
    let options = PgJournalOptions::new(database_url, SHARDS_DEFAULT, kit::ids::instance_id(), now);
    let journal = PgJournal::connect(options).await?;
    for week in (0..=weeks).rev() {
        journal.prepare(now - TimeDelta::weeks(i64::from(week))).await?;
    }
    Ok(())
}
