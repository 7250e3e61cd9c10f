//! Pauses, over the journal, the broker and the HTTP interface.

use contract::{
    SagaId,
    orchestrator_api::{SagaPause, SagaView},
    saga::SagaStatus,
};
use serde_json::{Value, json};

use crate::{
    client::Client,
    rig::{Rig, on_both_journals, on_real_servers, until},
};

on_both_journals!(
    a_saga_that_is_paused_while_a_command_is_under_way_outlives_its_orchestrator_and_goes_on_when_resumed,
    a_hold_is_extended_during_a_pause_and_a_cancel_ends_it,
);

on_real_servers!(a_saga_that_is_paused_while_a_command_is_under_way_outlives_its_orchestrator_and_goes_on_when_resumed,);

async fn act(client: &Client, saga: SagaId, action: Value) -> SagaView {
    let (status, body) = client.act(saga, action).await;
    assert_eq!(status.as_u16(), 200, "{body}");
    serde_json::from_value(body).unwrap()
}

async fn reasons(client: &Client, saga: SagaId) -> Vec<Value> {
    let (_, explanation) = client.get(&format!("/api/sagas/{saga}/explanation")).await;
    explanation["reasons"].as_array().unwrap_or_else(|| panic!("{explanation}")).clone()
}

async fn listed(client: &Client) -> Vec<Value> {
    let (_, page) = client.get("/api/sagas?paused=true").await;
    page["items"].as_array().unwrap_or_else(|| panic!("{page}")).iter().map(|saga| saga["id"].clone()).collect()
}

/// Waits until the saga's pause is as it should be.
async fn pause_is(client: &Client, saga: SagaId, what: &str, is: impl Fn(SagaPause) -> bool) -> SagaView {
    until(what, async || {
        let view = client.view(saga).await;
        view.pause.is_some_and(&is).then_some(view)
    })
    .await
}

async fn a_saga_that_is_paused_while_a_command_is_under_way_outlives_its_orchestrator_and_goes_on_when_resumed(
    rig: &Rig,
) {
    let mut before = rig.orchestrator().await;
    before.owns_all().await;
    let worker = rig.worker().await;
    worker.answer(false);
    let saga = before.client.start("trip", "").await;
    until("create is asked for", async || (worker.received(saga, "create-order") > 0).then_some(())).await;
    let view = act(&before.client, saga, json!({ "action": "pause" })).await;
    assert!(view.summary.paused && view.pause.is_some_and(|pause| !pause.quiescent), "{view:?}");
    let said = reasons(&before.client, saga).await;
    assert_eq!((&said[0]["reason"], &said[0]["clock"]), (&json!("paused"), &json!("freeze")), "{said:?}");
    let (status, problem) = before.client.act(saga, json!({ "action": "retry" })).await;
    assert_eq!((status.as_u16(), &problem["code"]), (409, &json!("saga_paused")), "{problem}");
    before.kill();

    let mut after = rig.orchestrator().await;
    after.owns_all().await;
    let client = &after.client;
    worker.answer(true);
    let view = pause_is(client, saga, "the saga is quiescent", |pause| pause.quiescent).await;
    assert_eq!((view.summary.status, view.next_wake_at), (SagaStatus::Running, None));
    assert_eq!(worker.carried_out(saga), ["create-order"], "nothing follows while it is paused");
    assert_eq!(listed(client).await, [json!(saga)]);
    let said = reasons(client, saga).await;
    assert_eq!((said.len(), &said[0]["quiescent"]), (1, &json!(true)), "{said:?}");

    act(client, saga, json!({ "action": "resume" })).await;
    let view = client.reaches(saga, SagaStatus::Completed).await;
    assert!(!view.summary.paused && view.pause.is_none());
    assert!(listed(client).await.is_empty());
}

async fn a_hold_is_extended_during_a_pause_and_a_cancel_ends_it(rig: &Rig) {
    let running = rig.orchestrator().await;
    let worker = rig.worker().await;
    let client = &running.client;
    // Held for so many milliseconds, and extended with two seconds to go.
    let saga = client.start("held-trip", "keeps hold-room 3000; keeps hold-room/extend 60000").await;
    until("hold is done", async || client.view(saga).await.summary.holds_until).await;
    act(client, saga, json!({ "action": "pause", "clock": "run" })).await;
    until("it is extended", async || (worker.received(saga, "hold-room/extend") > 0).then_some(())).await;
    pause_is(client, saga, "the saga is paused still", |_| true).await;
    let view = act(client, saga, json!({ "action": "cancel" })).await;
    assert!(view.pause.is_none(), "{view:?}");
    client.reaches(saga, SagaStatus::Compensated).await;
    assert!(worker.carried_out(saga).contains(&"hold-room/back".to_owned()));
}
