//! Four eyes: what cannot be taken back is carried out when a second operator approves it, as it was asked for, or not at all.

use std::sync::Arc;

use contract::{SagaId, saga::SagaStatus};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::{
    client::Client,
    flaky::FlakyJournal,
    rig::{Parts, Rig, Running, on_both_journals, until},
};

on_both_journals!(
    a_dangerous_act_waits_for_a_second_operator_and_runs_as_it_was_asked_for,
    what_one_operator_may_do_alone_waits_for_nobody,
    a_saga_that_cannot_be_read_is_given_up_by_two,
);

/// The second operator.
const OTHER: &str = "usr_other";

async fn watchful(rig: &Rig) -> Running {
    Running::start(Parts { four_eyes: true, ..rig.parts().await }).await
}

/// A saga with a compensation that only a person can do.
async fn stuck(client: &Client) -> SagaId {
    let saga = client.start("trip", "refuse confirm-order; refuse hold-room/back").await;
    client.reaches(saga, SagaStatus::NeedsAttention).await;
    saga
}

fn resolve() -> Value {
    json!({ "action": "resolve", "step": "hold-room", "evidence": "released by phone, ref. 8812" })
}

async fn ask(client: &Client, saga: SagaId) -> String {
    let (status, approval) = client.act(saga, resolve()).await;
    assert_eq!((status, &approval["state"]), (StatusCode::ACCEPTED, &json!("pending")), "{approval}");
    assert_eq!((&approval["ground"], &approval["actor"]), (&json!("compensation_waived"), &json!("usr_test")));
    approval["id"].as_str().unwrap().to_owned()
}

async fn decide(client: &Client, who: &str, id: &str, decision: &str) -> (StatusCode, Value) {
    client.post_as(who, &format!("/api/approvals/{id}/{decision}"), &json!({ "reason": "looked it up" })).await
}

async fn a_dangerous_act_waits_for_a_second_operator_and_runs_as_it_was_asked_for(rig: &Rig) {
    let running = watchful(rig).await;
    let client = &running.client;
    let _worker = rig.worker().await;

    let saga = stuck(client).await;
    let head = client.view(saga).await.head;
    let (_, plan) = client.post(&format!("/api/sagas/{saga}/plan"), &resolve()).await;
    assert_eq!(plan["approval"], "compensation_waived", "{plan}");
    let id = ask(client, saga).await;
    assert_eq!(ask(client, saga).await, id, "the same request is one");
    assert_eq!(client.view(saga).await.head, head, "nothing was done");
    let (_, waiting) = client.get(&format!("/api/approvals?waiting=true&target={saga}")).await;
    assert_eq!(waiting["items"].as_array().map(Vec::len), Some(1), "{waiting}");
    let (status, shown) = client.get(&format!("/api/approvals/{id}")).await;
    assert_eq!((status, &shown), (StatusCode::OK, &waiting["items"][0]));

    let (status, problem) = decide(client, "usr_test", &id, "approve").await;
    assert_eq!((status.as_u16(), &problem["code"]), (409, &json!("approval_own")), "{problem}");
    let (status, approved) = decide(client, OTHER, &id, "approve").await;
    assert_eq!((status, &approved["outcome"]), (StatusCode::OK, &json!("done")), "{approved}");
    client.reaches(saga, SagaStatus::Compensated).await;
    let journal = serde_json::to_string(&client.journal(saga).await).unwrap();
    assert!(journal.contains("because a test says so (approved by usr_other)"), "{journal}");
    let (status, problem) = decide(client, OTHER, &id, "reject").await;
    assert_eq!((status.as_u16(), &problem["code"]), (409, &json!("approval_over")), "{problem}");
    let (_, log) = client.get(&format!("/api/audit?target={saga}")).await;
    let outcomes: Vec<_> = log["items"].as_array().unwrap().iter().map(outcome).collect();
    assert_eq!(outcomes.first().map(String::as_str), Some("usr_other approve done"), "{log}");
    assert!(outcomes.contains(&"usr_test resolve approval_awaited".to_owned()), "{log}");

    // A saga that has gone on refuses what was asked for before.
    let moved = stuck(client).await;
    let id = ask(client, moved).await;
    let (status, body) = client.act(moved, json!({ "action": "retry" })).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let (status, problem) = decide(client, OTHER, &id, "approve").await;
    assert_eq!((status.as_u16(), &problem["code"]), (409, &json!("head_moved")), "{problem}");

    let left = stuck(client).await;
    let id = ask(client, left).await;
    let (status, rejected) = decide(client, OTHER, &id, "reject").await;
    assert_eq!((status, &rejected["state"]), (StatusCode::OK, &json!("rejected")), "{rejected}");
    assert_eq!(client.view(left).await.summary.status, SagaStatus::NeedsAttention);
    let (status, problem) = decide(client, OTHER, "apr_00000000000000000000000000000007", "approve").await;
    assert_eq!((status.as_u16(), &problem["code"]), (404, &json!("approval_unknown")), "{problem}");

    // A job that gives up is one for two operators, and is made when it is approved.
    let job = json!({ "action": "abandon", "filter": { "status": ["needs_attention"] }, "reason": "the inn is gone" });
    let (status, asked) = client.post("/api/jobs", &job).await;
    assert_eq!((status, &asked["ground"]), (StatusCode::ACCEPTED, &json!("bulk")), "{asked}");
    let (_, jobs) = client.get("/api/jobs").await;
    assert_eq!(jobs["items"], json!([]), "{jobs}");
    let (status, approved) = decide(client, OTHER, asked["id"].as_str().unwrap(), "approve").await;
    assert_eq!(status, StatusCode::OK, "{approved}");
    client.reaches(left, SagaStatus::Abandoned).await;
}

async fn what_one_operator_may_do_alone_waits_for_nobody(rig: &Rig) {
    let running = watchful(rig).await;
    let client = &running.client;
    let worker = rig.worker().await;
    let early = client.start("trip", "silent create-order").await;
    until("it waits", async || (worker.received(early, "create-order") > 0).then_some(())).await;
    let (status, body) = client.act(early, json!({ "action": "abandon" })).await;
    assert_eq!((status, &body["status"]), (StatusCode::OK, &json!("abandoned")), "before its pivot: {body}");

    let poisoned = client.start("trip", "garble confirm-order").await;
    let head = client.reaches(poisoned, SagaStatus::NeedsAttention).await.head;
    let edit = json!({ "action": "edit", "step": "confirm-order", "patch": { "script": "" }, "if_head": head });
    let (status, body) = client.act(poisoned, edit).await;
    assert_eq!(status, StatusCode::OK, "it changes no sum: {body}");
    client.reaches(poisoned, SagaStatus::Completed).await;
    let (_, waiting) = client.get("/api/approvals?waiting=true").await;
    assert_eq!(waiting["items"], json!([]), "{waiting}");
}

async fn a_saga_that_cannot_be_read_is_given_up_by_two(rig: &Rig) {
    let mut first = rig.orchestrator().await;
    first.owns_all().await;
    let worker = rig.worker().await;
    let saga = first.client.start("trip", "silent create-order").await;
    until("it waits", async || (worker.received(saga, "create-order") > 0).then_some(())).await;
    let journal = FlakyJournal::new(rig.journal().await);
    *journal.breakage.row_broken.lock().unwrap() = Some(saga);
    *journal.breakage.unreadable.lock().unwrap() = Some(saga);
    let parts = Parts { four_eyes: true, journal: Arc::clone(&journal) as _, ..rig.parts().await };
    first.stop.cancel();
    first.orchestrator.join().await;

    let mut second = Running::start(parts).await;
    second.owns_all().await;
    let client = &second.client;
    let quarantine = async || client.get("/api/quarantine").await.1["items"].clone();
    until("it is left alone", async || (quarantine().await[0]["saga_id"] == json!(saga)).then_some(())).await;
    let (status, asked) = client.act(saga, json!({ "action": "abandon" })).await;
    assert_eq!((status, &asked["ground"]), (StatusCode::ACCEPTED, &json!("pivot_passed")), "{asked}");
    let id = asked["id"].as_str().unwrap();
    let (status, approved) = decide(client, OTHER, id, "approve").await;
    assert_eq!((status, &approved["outcome"]), (StatusCode::OK, &json!("done")), "{approved}");
    assert_eq!(quarantine().await, json!([]), "it has ended, though it still cannot be read");
}

fn outcome(row: &Value) -> String {
    let text = |name: &str| row[name].as_str().unwrap_or_default();
    format!("{} {} {}", text("actor"), text("act"), text("outcome"))
}
