//! How soon many sagas move again after the only orchestrator was killed.
//!
//! The last domain is taken away first, so that all sagas stand at its step; then the orchestrator is killed, the domain
//! comes back, and the orchestrator is started. From that start on it is measured how long it takes until every saga has
//! a further record in its journal, and until every saga has ended.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures::{StreamExt, TryStreamExt, stream};
use kit::settings::DEVELOPMENT_INTERNAL_TOKEN;
use sqlx::{Connection, PgConnection};

use crate::{latency::median, load::start_of, sagas::Sagas, system::QueueKind, verify, workload::SAGA};

/// The domain that is away: `payment`, whose step is the third.
const PAYMENT: usize = 2;

/// A saga's records up to the dispatch of its third step, each step answered in a record of its own.
const RECORDS_BEFORE_PAYMENT: i64 = 3;

/// Starts under way at once.
const STARTS_MAX: usize = 64;

/// How long the sagas may take to come to rest, to move again, and to end.
const WITHIN: Duration = Duration::from_secs(300);

/// How often the journal is asked.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Measures `runs` times and prints the medians.
pub(crate) async fn run(sagas: u32, runs: u16, queues: QueueKind) -> Result<()> {
    let mut parts = Sagas::start(queues).await?;
    let mut journal = PgConnection::connect(&parts.url("sojourn_orchestrator")).await?;
    let (mut ready, mut moved, mut ended) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..runs {
        parts.workers[PAYMENT].kill();
        let since: i64 = sqlx::query_scalar("SELECT count(*) FROM saga").fetch_one(&mut journal).await?;
        start_all(&parts, sagas).await?;
        let wanted = since + i64::from(sagas);
        until(&mut journal, RECORDS, RECORDS_BEFORE_PAYMENT, wanted, "all sagas wait for the payment").await?;

        parts.orchestrator.kill();
        parts.workers[PAYMENT].start()?;
        parts.workers[PAYMENT].until_ready(&parts.http).await?;
        let begun = Instant::now();
        parts.orchestrator.start()?;
        parts.orchestrator.until_ready(&parts.http).await?;
        ready.push(begun.elapsed().as_secs_f64());
        until(&mut journal, RECORDS, RECORDS_BEFORE_PAYMENT + 1, wanted, "all sagas move again").await?;
        moved.push(begun.elapsed().as_secs_f64());
        until(&mut journal, ENDED, 0, wanted, "all sagas end").await?;
        ended.push(begun.elapsed().as_secs_f64());
    }
    println!(
        "\n{sagas} sagas in flight, {queues} queues, the only orchestrator killed and started ({runs} runs, medians):"
    );
    println!("  ready after {:.2} s, all sagas moved again after {:.2} s", median(ready), median(moved));
    println!("  and all had ended after {:.2} s", median(ended));
    verify::check(|database| parts.url(database)).await?;
    parts.stop().await;
    Ok(())
}

async fn start_all(parts: &Sagas, sagas: u32) -> Result<()> {
    stream::iter(0..sagas)
        .map(|_| start_one(parts))
        .buffer_unordered(STARTS_MAX)
        .try_for_each(|()| std::future::ready(Ok(())))
        .await
}

async fn start_one(parts: &Sagas) -> Result<()> {
    let start = start_of(SAGA, parts.numbers.next_input())?;
    let address = format!("{}/api/sagas", parts.orchestrator.address);
    let request = parts.http.post(address).bearer_auth(DEVELOPMENT_INTERNAL_TOKEN);
    let answer = request.json(&start).send().await?;
    ensure!(answer.status().is_success(), "a start was refused: {}", answer.text().await?);
    Ok(())
}

/// Sagas with at least so many records (the head's number is the count).
const RECORDS: &str = "SELECT count(*) FROM saga_journal WHERE seq = $1";
/// Sagas that have ended.
const ENDED: &str = "SELECT count(*) FROM saga WHERE finished_at IS NOT NULL AND $1 = 0";

async fn until(journal: &mut PgConnection, question: &'static str, number: i64, wanted: i64, what: &str) -> Result<()> {
    let end = Instant::now() + WITHIN;
    loop {
        let found: i64 =
            sqlx::query_scalar(question).bind(number).fetch_one(&mut *journal).await.context("the journal")?;
        if found >= wanted {
            return Ok(());
        }
        ensure!(Instant::now() < end, "{what}: {found} of {wanted} after {WITHIN:?}");
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}
