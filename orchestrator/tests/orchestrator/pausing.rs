//! Pauses, over the journal, the broker and the HTTP interface.

use contract::{
    Page, SagaId,
    orchestrator_api::{PauseView, SagaPause, SagaView},
    saga::SagaStatus,
};
use orchestrator::Limits;
use serde_json::{Value, json};

use crate::{
    client::Client,
    rig::{Parts, Rig, Running, on_both_journals, on_real_servers, until},
};

on_both_journals!(
    a_saga_that_is_paused_while_a_command_is_under_way_outlives_its_orchestrator_and_goes_on_when_resumed,
    a_hold_is_extended_during_a_pause_and_a_cancel_ends_it,
    a_paused_domain_holds_back_the_sagas_of_two_definitions_and_says_when_it_is_quiescent,
    sagas_of_a_paused_definition_or_step_start_and_stop_before_what_is_paused,
);

on_real_servers!(
    a_saga_that_is_paused_while_a_command_is_under_way_outlives_its_orchestrator_and_goes_on_when_resumed,
    a_paused_domain_holds_back_the_sagas_of_two_definitions_and_says_when_it_is_quiescent,
);

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

async fn begin(client: &Client, scope: &str) -> u16 {
    let (status, _) = client.post("/api/pauses", &json!({ "scope": scope, "reason": "because a test says so" })).await;
    status.as_u16()
}

async fn end(client: &Client, scope: &str) -> u16 {
    let body = json!({ "reason": "because a test says so" });
    client.post(&format!("/api/pauses/{scope}/end"), &body).await.0.as_u16()
}

/// Waits until the one pause is as it should be.
async fn pause_shows(client: &Client, what: &str, is: impl Fn(&PauseView) -> bool) {
    until(what, async || {
        let (_, page) = client.get("/api/pauses").await;
        let page: Page<PauseView> = serde_json::from_value(page).unwrap();
        (page.items.len() == 1 && is(&page.items[0])).then_some(())
    })
    .await;
}

/// Waits until a command of the saga is held back by that pause.
async fn held_by(client: &Client, saga: SagaId, step: &str, scope: &str) {
    until(&format!("{step} is held back"), async || {
        let found = reasons(client, saga).await.into_iter().find(|reason| reason["reason"] == "command_paused")?;
        (found["step"] == step && found["scope"] == scope).then_some(())
    })
    .await;
}

async fn a_paused_domain_holds_back_the_sagas_of_two_definitions_and_says_when_it_is_quiescent(rig: &Rig) {
    let mut before = rig.orchestrator().await;
    before.owns_all().await;
    let worker = rig.worker().await;
    worker.answer(false);
    let early = before.client.start("trip", "").await;
    until("create is asked for", async || (worker.received(early, "create-order") > 0).then_some(())).await;
    assert_eq!([begin(&before.client, "order").await, begin(&before.client, "order").await], [201, 200]);
    pause_shows(&before.client, "a command is under way", |pause| pause.under_way == 1 && !pause.quiescent).await;
    worker.answer(true);
    held_by(&before.client, early, "confirm-order", "order").await;
    let quick = before.client.start("quick-trip", "").await;
    held_by(&before.client, quick, "create-order", "order").await;
    pause_shows(&before.client, "it is quiescent", |pause| pause.quiescent && pause.held_sagas == 2).await;
    before.kill();

    let mut after = rig.orchestrator().await;
    after.owns_all().await;
    let client = &after.client;
    held_by(client, quick, "create-order", "order").await;
    // Its reply is overdue by now, and it was never sent.
    until("the clock of the quick saga stands", async || {
        let (_, explanation) = client.get(&format!("/api/sagas/{quick}/explanation")).await;
        explanation["clock_stands_since"].is_string().then_some(())
    })
    .await;
    pause_shows(client, "it holds both sagas", |pause| pause.held_sagas == 2).await;
    assert_eq!((worker.received(quick, "create-order"), worker.received(early, "confirm-order")), (0, 0));
    assert_eq!([end(client, "order").await, end(client, "order").await], [200, 404]);
    for saga in [early, quick] {
        let view = client.reaches(saga, SagaStatus::Completed).await;
        assert!(view.steps.iter().all(|step| step.attempts == 1), "a pause costs no attempt: {:?}", view.steps);
    }
}

async fn sagas_of_a_paused_definition_or_step_start_and_stop_before_what_is_paused(rig: &Rig) {
    // Fewer than the sagas that the pause holds back.
    let limits = Limits { open_sagas_max: 2, ..Limits::default() };
    let mut running = Running::start(Parts { limits, ..rig.parts().await }).await;
    running.owns_all().await;
    let worker = rig.worker().await;
    let client = &running.client;
    assert_eq!(begin(client, "trip@1").await, 201);
    pause_shows(client, "all lanes know it", |pause| pause.quiescent).await;
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(client.start("trip", "").await);
    }
    let (paused, other) = (client.start("trip", "").await, client.start("quick-trip", "").await);
    client.reaches(other, SagaStatus::Completed).await;
    held_by(client, paused, "create-order", "trip@1").await;
    assert!(worker.carried_out(paused).is_empty());
    assert_eq!(begin(client, "trip@1:autorize").await, 422);
    assert_eq!(begin(client, "trip@1:authorize").await, 201);
    assert_eq!(end(client, "trip@1").await, 200);
    held_by(client, paused, "authorize", "trip@1:authorize").await;
    act(client, paused, json!({ "action": "cancel" })).await;
    client.reaches(paused, SagaStatus::Compensated).await;
    assert_eq!(end(client, "trip@1:authorize").await, 200);
    let (_, page) = client.get("/api/pauses").await;
    assert_eq!(page["items"], json!([]));
    for saga in held {
        client.reaches(saga, SagaStatus::Completed).await;
    }
}
