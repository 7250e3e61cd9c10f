//! The closed loop: so many loops at once, each starting the next saga when the one before has ended.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use contract::orchestrator_api::{StartKey, StartSaga};
use contract::saga::SagaStatus;
use futures::future::try_join_all;
use serde_json::Value;

use crate::{
    floor::{self, Databases},
    latency::Run,
    workload::{BenchInput, DECLINED_EVERY, SAGA},
};

/// The state that all loops share: sagas are numbered, and every tenth is declined.
#[derive(Debug, Default)]
pub(crate) struct Numbers(AtomicU64);

impl Numbers {
    /// The input of the next saga.
    pub(crate) fn next_input(&self) -> BenchInput {
        let number = self.0.fetch_add(1, Ordering::Relaxed);
        BenchInput::new(kit::ids::uuid_v7(), number.is_multiple_of(DECLINED_EVERY))
    }
}

/// Sagas over the orchestrator's HTTP interface: a start that waits for the end.
pub(crate) async fn orchestrated(
    http: &reqwest::Client,
    orchestrator: &str,
    token: &str,
    numbers: &Arc<Numbers>,
    in_flight: usize,
    length: Duration,
) -> Result<Run> {
    closed_loop(in_flight, length, || async {
        let input = numbers.next_input();
        let declined = input.decline;
        let start = start_of(SAGA, input)?;
        let begun = Instant::now();
        let request = http.post(format!("{orchestrator}/api/sagas")).bearer_auth(token).header("prefer", "wait=25");
        let answer = request.json(&start).send().await?;
        let status = answer.status();
        let body: Value = answer.json().await?;
        let took = begun.elapsed();
        let expected = if declined { SagaStatus::Compensated } else { SagaStatus::Completed };
        ensure!(body["status"] == expected.as_str(), "a saga ended wrongly: {status} {body}");
        Ok(took)
    })
    .await
}

/// The request that starts a saga of this definition.
pub(crate) fn start_of(name: &str, input: BenchInput) -> Result<StartSaga> {
    let key = input.row.to_string();
    Ok(StartSaga {
        name: name.to_owned(),
        version: None,
        idempotency: Some(StartKey { key: key.clone(), fingerprint: key.clone() }),
        business_key: key,
        owner: None,
        traceparent: None,
        input: serde_json::to_value(input)?,
    })
}

/// The same work called directly.
pub(crate) async fn direct(
    databases: &Databases,
    numbers: &Arc<Numbers>,
    in_flight: usize,
    length: Duration,
) -> Result<Run> {
    closed_loop(in_flight, length, || async { floor::run_one(databases, &numbers.next_input()).await }).await
}

/// Runs the loops for `length`; a saga that was begun in time is finished and counts.
pub(crate) async fn closed_loop<F>(in_flight: usize, length: Duration, one: impl Fn() -> F) -> Result<Run>
where
    F: Future<Output = Result<Duration>>,
{
    let begun = Instant::now();
    let loops = (0..in_flight).map(|_| async {
        let mut latencies = Vec::new();
        while begun.elapsed() < length {
            latencies.push(one().await?);
        }
        anyhow::Ok(latencies)
    });
    let latencies: Vec<Vec<Duration>> = try_join_all(loops).await.context("a loop failed")?;
    Ok(Run::new(latencies.into_iter().flatten().collect(), begun.elapsed()))
}
