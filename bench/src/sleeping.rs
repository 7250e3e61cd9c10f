//! How soon an orchestrator serves again where very many sagas sleep, and the memory that they cost it.
//!
//! One saga comes to a stand as sagas do: a step past its pivot is declined, and a person is asked. It is copied under new
//! ids, over all shards. The only orchestrator is killed and started, without the copies and with them. In the end one
//! copy on each shard is spoken to, and goes on to its end.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use contract::{
    SagaId,
    orchestrator_api::{HEADER_ACTOR, HEADER_ROLE, StartSaga},
    saga::SagaStatus,
};
use futures::future::try_join_all;
use kit::settings::DEVELOPMENT_INTERNAL_TOKEN;
use orchestrator::settings::SHARDS_DEFAULT;
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use crate::{
    load::start_of,
    meter,
    sagas::Sagas,
    system::QueueKind,
    workload::{BenchInput, SAGA, SAGA_STUCK, STUCK_STEP},
};

/// Copies of one statement.
const CHUNK: usize = 50_000;

/// How long anything here may take.
const WITHIN: Duration = Duration::from_secs(120);

/// How often something is looked at again.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// Copies a saga. Every second copy gets a time to wake, as one that waits for a retry has: a timer takes memory too.
const COPY: [&str; 3] = [
    "INSERT INTO saga (id, name, version, fingerprint, shard, status, business_key, owner, traceparent, error, created_at, updated_at, failed_at)
     SELECT k.id, name, version, fingerprint, k.shard, status, business_key, owner, traceparent, error, created_at, updated_at, failed_at
     FROM saga s, unnest($2::uuid[], $3::int[]) AS k (id, shard) WHERE s.id = $1",
    "INSERT INTO saga_journal (saga_id, seq, at, entries)
     SELECT k.id, seq, at, entries FROM saga_journal s, unnest($2::uuid[], $3::int[]) AS k (id, shard) WHERE s.saga_id = $1",
    "INSERT INTO saga_sleep (saga_id, shard, status, wake_at)
     SELECT k.id, k.shard, status, CASE WHEN k.place % 2 = 0 THEN now() + interval '1 hour' + k.place * interval '1 second' END
     FROM saga_sleep s, unnest($2::uuid[], $3::int[]) WITH ORDINALITY AS k (id, shard, place) WHERE s.saga_id = $1",
];

/// The times of one takeover, from the start of the process, and the memory after it.
#[derive(Debug)]
struct Takeover {
    owned: Duration,
    counted: Duration,
    served: Duration,
    resident_mb: f64,
}

/// Measures and prints.
pub(crate) async fn run(sleepers: usize, queues: QueueKind) -> Result<()> {
    let mut parts = Sagas::start(queues).await?;
    let mut journal = PgConnection::connect(&parts.url("sojourn_orchestrator")).await?;
    let stuck = stuck_saga(&parts, &mut journal).await?;
    let without = take_over(&mut parts, 1).await?;
    let copies = copy(&mut journal, stuck, sleepers).await?;
    let with = take_over(&mut parts, sleepers + 1).await?;
    println!("\n{sleepers} sleeping sagas, {queues} queues, the only orchestrator killed and started; from its start:");
    println!(
        "  {:<14} {:>14} {:>16} {:>16} {:>8}",
        "", "shards owned s", "sleepers known s", "new sagas end s", "RSS MB"
    );
    for (name, Takeover { owned, counted, served, resident_mb }) in [("one sleeper", without), ("all sleepers", with)] {
        let [owned, counted, served] = [owned, counted, served].map(|time| time.as_secs_f64());
        println!("  {name:<14} {owned:>14.3} {counted:>16.3} {served:>16.3} {resident_mb:>8.1}");
    }
    let spoken_to: Vec<SagaId> = copies.into_iter().take(usize::from(SHARDS_DEFAULT)).collect();
    let begun = Instant::now();
    try_join_all(spoken_to.iter().map(|id| wake(&parts, *id))).await?;
    println!("  one on each shard was spoken to, and had ended after {:.3} s", begun.elapsed().as_secs_f64());
    let asleep: i64 = sqlx::query_scalar("SELECT count(*) FROM saga_sleep").fetch_one(&mut journal).await?;
    let expected = sleepers + 1 - spoken_to.len();
    ensure!(usize::try_from(asleep)? == expected, "{asleep} sagas sleep, and not {expected}");
    parts.stop().await;
    Ok(())
}

/// A saga that waits for a person, and sleeps.
pub(crate) async fn stuck_saga(parts: &Sagas, journal: &mut PgConnection) -> Result<SagaId> {
    let input = BenchInput::new(kit::ids::uuid_v7(), true);
    let answer = start(parts, &start_of(SAGA_STUCK, input)?).await?;
    let id: SagaId = serde_json::from_value(answer["saga_id"].clone()).context("the id of the saga")?;
    let asleep = async || -> Result<bool> {
        let found = sqlx::query_scalar("SELECT EXISTS (SELECT FROM saga_sleep WHERE saga_id = $1)").bind(id.uuid());
        Ok(found.fetch_one(&mut *journal).await?)
    };
    until("the saga sleeps", asleep).await?;
    Ok(id)
}

/// Copies a saga so many times.
pub(crate) async fn copy(journal: &mut PgConnection, of: SagaId, count: usize) -> Result<Vec<SagaId>> {
    let shards = (0..SHARDS_DEFAULT).cycle();
    let copies: Vec<(SagaId, i32)> =
        shards.take(count).map(|shard| (kit::ids::saga_id(shard, SHARDS_DEFAULT), i32::from(shard))).collect();
    for chunk in copies.chunks(CHUNK) {
        let (ids, shards): (Vec<Uuid>, Vec<i32>) = chunk.iter().map(|(id, shard)| (id.uuid(), *shard)).unzip();
        for statement in COPY {
            sqlx::query(statement).bind(of.uuid()).bind(&ids).bind(&shards).execute(&mut *journal).await?;
        }
    }
    // As the server would have done by itself while they sleep. It would have vacuumed too, which would only help.
    sqlx::query("ANALYZE saga, saga_journal, saga_sleep").execute(&mut *journal).await?;
    sqlx::query("CHECKPOINT").execute(&mut *journal).await?;
    Ok(copies.into_iter().map(|(id, _)| id).collect())
}

/// Kills the orchestrator, starts it, and waits until it owns all shards, knows all sleepers, and new sagas have ended.
async fn take_over(parts: &mut Sagas, sleepers: usize) -> Result<Takeover> {
    parts.orchestrator.kill();
    let begun = Instant::now();
    parts.orchestrator.start()?;
    parts.orchestrator.until_ready(&parts.http).await?;
    let shards = f64::from(SHARDS_DEFAULT);
    let owns_all = async || Ok(gauge(parts, "sojourn_orchestrator_shards_owned").await? >= shards);
    until("all shards are owned", owns_all).await?;
    let owned = begun.elapsed();
    let knows_all = async || {
        let known = gauge(parts, r#"sojourn_orchestrator_sagas_open{status="needs_attention"}"#).await?;
        Ok(known >= sleepers as f64)
    };
    until("all sleepers are known", knows_all).await?;
    let counted = begun.elapsed();
    // New ones go to the shards in turn.
    try_join_all((0..SHARDS_DEFAULT).map(async |_| {
        let ended = start(parts, &start_of(SAGA, BenchInput::new(kit::ids::uuid_v7(), false))?).await?;
        ensure!(ended["status"] == SagaStatus::Completed.as_str(), "a new saga ended wrongly: {ended}");
        Ok(())
    }))
    .await?;
    let served = begun.elapsed();
    let resident_mb = parts.orchestrator.pid().map_or(f64::NAN, meter::resident_mb);
    Ok(Takeover { owned, counted, served, resident_mb })
}

/// Starts a saga and waits for its end, or until it does not go on.
async fn start(parts: &Sagas, saga: &StartSaga) -> Result<Value> {
    let request = parts.http.post(format!("{}/api/sagas", parts.orchestrator.address));
    let request = request.bearer_auth(DEVELOPMENT_INTERNAL_TOKEN).header("prefer", "wait=10").json(saga);
    let answer = request.send().await?;
    ensure!(answer.status().is_success(), "a start was refused: {}", answer.text().await?);
    Ok(answer.json().await?)
}

/// Says to a sleeper how it goes on, and waits for its end.
async fn wake(parts: &Sagas, id: SagaId) -> Result<()> {
    let address = format!("{}/api/sagas/{id}", parts.orchestrator.address);
    let act = json!({ "action": "skip", "step": STUCK_STEP, "reply": {}, "reason": "paid by other means" });
    let request = parts.http.post(format!("{address}/actions")).bearer_auth(DEVELOPMENT_INTERNAL_TOKEN);
    let answer = request.header(HEADER_ACTOR, "usr_bench").header(HEADER_ROLE, "operator").json(&act).send().await?;
    ensure!(answer.status().is_success(), "the act was refused: {}", answer.text().await?);
    until("the saga that was spoken to ends", async || {
        let view: Value = parts.http.get(&address).bearer_auth(DEVELOPMENT_INTERNAL_TOKEN).send().await?.json().await?;
        Ok(view["status"] == SagaStatus::Completed.as_str())
    })
    .await
}

/// The value of a metric of the orchestrator; 0 when it tells none.
async fn gauge(parts: &Sagas, name: &str) -> Result<f64> {
    let text = parts.http.get(format!("{}/metrics", parts.orchestrator.address)).send().await?.text().await?;
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
    Ok(value.unwrap_or_default())
}

async fn until(what: &str, mut look: impl AsyncFnMut() -> Result<bool>) -> Result<()> {
    let end = Instant::now() + WITHIN;
    while !look().await? {
        ensure!(Instant::now() < end, "{what}: not after {WITHIN:?}");
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    Ok(())
}
