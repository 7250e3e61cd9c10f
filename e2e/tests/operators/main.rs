//! Operators at work, with the real `sagactl`, on real sagas; and programs that are asked to end.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod approvals;
mod bench;
mod by_hand;
mod drain;
mod jobs;
mod past_pivot;
mod pausing;
mod processes;
mod undo;
mod verbs;

use std::time::Duration;

use chrono::{Days, NaiveDate};
use e2e::{Client, Findings, System, wait};
use kit::clock::Clock;
use serde_json::Value;

use crate::bench::Bench;

/// How long one order, or one step of it, may take on a busy machine.
const SETTLED_WITHIN: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread")]
async fn operators_repair_sagas_and_programs_end_in_order() {
    let mut system = System::start().await.unwrap();
    let mut findings = Findings::default();
    drain::programs_that_are_asked_to_end(&mut system, &mut findings).await;

    let client = system.client("ada").await.unwrap();
    let operator = system.operator().await.unwrap();
    let mut bench = Bench { system, client, operator, findings };
    bench::login(&mut bench).await;
    verbs::every_verb_that_reads(&mut bench).await;
    processes::the_programs_that_run(&mut bench).await;
    past_pivot::a_capture_that_is_refused(&mut bench).await;
    undo::a_saga_held_before_its_pivot(&mut bench).await;
    by_hand::sagas_helped_on_by_hand(&mut bench).await;
    pausing::sagas_held_back_by_pauses(&mut bench).await;
    past_pivot::sagas_given_up(&mut bench).await;
    jobs::stuck_sagas_are_given_up_by_a_job(&mut bench).await;
    let Bench { system, findings, .. } = bench;
    let mut findings = findings;
    findings.that("panics", system.panics().is_empty(), system.panics());
    findings.end(|| system.logs());
    system.until_queues_are_empty(Duration::from_secs(30)).await;
}

/// So many days from today.
fn in_days(days: u64) -> NaiveDate {
    kit::clock::SystemClock.now().date_naive().checked_add_days(Days::new(days)).unwrap()
}

/// Waits until a saga, as operators see it, is so.
async fn until(operator: &Client, saga: &str, what: &str, so: impl Fn(&Value) -> bool) -> Value {
    wait::until(&format!("{saga}: {what}"), SETTLED_WITHIN, || async {
        let shown = operator.get(&format!("/ops/api/sagas/{saga}")).await.map_err(|error| format!("{error:#}"))?;
        if so(&shown.body) { Ok(shown.body) } else { Err(shown.body.to_string()) }
    })
    .await
}

/// Waits until a saga has this status.
async fn until_status(operator: &Client, saga: &str, status: &str) -> Value {
    until(operator, saga, status, |shown| shown["status"] == status).await
}

/// One step of a saga as operators see it.
fn step<'a>(saga: &'a Value, name: &str) -> &'a Value {
    let steps = saga["steps"].as_array().map(Vec::as_slice).unwrap_or_default();
    steps.iter().find(|step| step["name"] == name).unwrap_or(&Value::Null)
}
