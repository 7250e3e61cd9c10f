//! Holds that expire, over the journal, the broker and a takeover in between.

use contract::{SagaId, saga::SagaStatus};
use serde_json::json;

use crate::{
    client::Client,
    rig::{Rig, Running, on_both_journals, on_real_servers, until},
    worker::Worker,
};

on_both_journals!(a_hold_is_extended_while_its_saga_waits_and_after_a_takeover, what_cannot_be_kept_is_undone_in_time);

on_real_servers!(a_hold_is_extended_while_its_saga_waits_and_after_a_takeover, what_cannot_be_kept_is_undone_in_time);

/// Waits until the hold was extended so often.
async fn extended(worker: &Worker, saga: SagaId, times: usize) {
    until(&format!("{times} extensions"), async || (worker.received(saga, "hold-room/extend") >= times).then_some(()))
        .await;
}

async fn is_held(client: &Client, saga: SagaId) {
    until("it is held", async || client.view(saga).await.summary.holds_until).await;
}

async fn a_hold_is_extended_while_its_saga_waits_and_after_a_takeover(rig: &Rig) {
    let mut first = rig.orchestrator().await;
    first.owns_all().await;
    let worker = rig.worker().await;
    let saga = first.client.start("held-trip", "keeps hold-room 2500; keeps hold-room/extend 2500").await;
    is_held(&first.client, saga).await;
    let view = first.client.view(saga).await;
    assert_eq!(view.steps[0].valid_until, view.summary.holds_until);
    assert_eq!(view.steps[0].extension.as_deref(), Some("accommodation.extend_rooms"));
    assert!(view.next_wake_at < view.summary.holds_until, "it is looked at in time: {:?}", view.next_wake_at);
    let listed = first.client.list("sort=holds_until&holds_before=9999-01-01T00:00:00Z").await;
    assert_eq!(listed.iter().map(|saga| saga.id).collect::<Vec<_>>(), [saga], "it is listed by what it holds");
    extended(&worker, saga, 1).await;
    let parts = rig.parts().await;
    first.kill();
    let mut second = Running::start_waiting(parts).await;
    second.owns_all().await;
    extended(&worker, saga, 3).await;
    let client = &second.client;
    let body = json!({ "id": "evt_1", "payload": { "by": "ann" } });
    assert_eq!(client.post(&format!("/api/sagas/{saga}/signals/approval"), &body).await.0.as_u16(), 200);
    let view = client.reaches(saga, SagaStatus::Completed).await;
    assert_eq!(view.summary.holds_until, None, "the confirmation has decided");
    assert_eq!(worker.received(saga, "hold-room/back"), 0);
}

async fn what_cannot_be_kept_is_undone_in_time(rig: &Rig) {
    let mut first = rig.orchestrator().await;
    first.owns_all().await;
    let worker = rig.worker().await;
    let start = async |script: &str| first.client.start("held-trip", script).await;
    let refused = start("keeps hold-room 2500; refuse hold-room/extend").await;
    let silent = start("keeps hold-room 2500; silent hold-room/extend").await;
    first.client.reaches(refused, SagaStatus::Compensated).await;
    extended(&worker, silent, 1).await;
    let parts = rig.parts().await;
    first.kill();
    let mut second = Running::start_waiting(parts).await;
    second.owns_all().await;
    let client = &second.client;
    for (saga, told) in [(refused, true), (silent, false)] {
        let view = client.reaches(saga, SagaStatus::Compensated).await;
        let cause = view.cause.unwrap();
        assert_eq!((cause.code.as_str(), cause.refused), ("hold_expired", told), "{}", cause.message);
        assert_eq!(view.summary.error.as_deref(), Some("hold-room/hold_expired"));
        assert_eq!(worker.received(saga, "confirm-order"), 0);
        assert!(worker.carried_out(saga).ends_with(&["hold-room/back".to_owned()]));
    }
}
