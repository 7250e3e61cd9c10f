//! Steps that wait for a signal or a time, over the journal, the broker and the HTTP interface.

use std::sync::{Arc, atomic::Ordering};

use contract::{
    SagaId,
    saga::{SagaStatus, StepStatus},
};
use futures::future::join_all;
use journal::Journal;
use serde_json::{Value, json};

use crate::{
    client::Client,
    flaky::FlakyJournal,
    rig::{Parts, Rig, Running, on_both_journals, on_real_servers, until},
};

on_both_journals!(
    a_signal_wakes_its_step_once_whether_early_doubled_or_late,
    a_signal_that_does_not_come_turns_the_saga_around,
    a_timer_fires_after_a_restart_and_by_hand,
    a_takeover_loads_no_saga_that_waits_and_a_signal_wakes_it_alone,
    a_saga_with_a_record_of_a_later_program_is_left_alone_until_one_understands_it,
);

on_real_servers!(a_signal_wakes_its_step_once_whether_early_doubled_or_late, a_timer_fires_after_a_restart_and_by_hand,);

async fn signal(client: &Client, saga: SagaId, name: &str, id: &str, payload: Value) -> (u16, Value) {
    let body = json!({ "id": id, "payload": payload });
    let (status, body) = client.post(&format!("/api/sagas/{saga}/signals/{name}"), &body).await;
    (status.as_u16(), body)
}

async fn approve(client: &Client, saga: SagaId, id: &str) -> (u16, Value) {
    signal(client, saga, "approval", id, json!({ "by": "ann" })).await
}

async fn reasons(client: &Client, saga: SagaId) -> Vec<Value> {
    let (_, explanation) = client.get(&format!("/api/sagas/{saga}/explanation")).await;
    explanation["reasons"].as_array().unwrap_or_else(|| panic!("{explanation}")).clone()
}

/// Waits until a step waits.
async fn waits(client: &Client, saga: SagaId, step: &str) {
    until(&format!("{step} waits"), async || {
        let view = client.view(saga).await;
        let found = view.steps.into_iter().find(|view| view.name.as_str() == step).unwrap();
        (found.status == StepStatus::Waiting).then_some(())
    })
    .await;
}

async fn a_signal_wakes_its_step_once_whether_early_doubled_or_late(rig: &Rig) {
    let mut running = rig.orchestrator().await;
    running.owns_all().await;
    let client = &running.client;
    let worker = rig.worker().await;
    worker.answer(false);
    let early = client.start("patient-trip", "short").await;
    assert_eq!(approve(client, early, "evt_1").await, (200, json!({ "effect": "kept" })));
    assert_eq!(approve(client, early, "evt_1").await, (200, json!({ "effect": "kept" })));
    let second = json!({ "effect": "none", "why": "no step waits for it any more" });
    assert_eq!(approve(client, early, "evt_2").await, (200, second.clone()));
    let (status, problem) = signal(client, early, "aproval", "evt_3", json!({ "by": "ann" })).await;
    assert_eq!((status, &problem["code"]), (409, &json!("signal_unknown")), "{problem}");
    assert!(problem["detail"].as_str().unwrap().ends_with("expected are: approval"), "{problem}");
    let (status, problem) = signal(client, early, "approval", "evt_3", json!({ "buy": "ann" })).await;
    assert_eq!((status, &problem["code"]), (422, &json!("signal_mismatch")), "{problem}");
    let (status, problem) = signal(client, early, "approval", "evt_1", json!({ "by": "bob" })).await;
    assert_eq!((status, &problem["code"]), (409, &json!("signal_id_reused")), "{problem}");
    // An id that is for one saga alone is refused by another, and is heard by its own as often as it comes.
    let only_here = async |saga: SagaId| {
        let body = json!({ "id": "only", "payload": { "by": "ann" }, "only_here": true });
        let (status, answer) = client.post(&format!("/api/sagas/{saga}/signals/approval"), &body).await;
        (status.as_u16(), answer)
    };
    let own = client.start("patient-trip", "short").await;
    for _ in 0..2 {
        assert_eq!(only_here(own).await, (200, json!({ "effect": "kept" })));
        let (status, problem) = only_here(early).await;
        assert_eq!((status, &problem["code"]), (422, &json!("idempotency_key_reused")), "{problem}");
    }
    worker.answer(true);
    client.reaches(own, SagaStatus::Completed).await;
    client.reaches(early, SagaStatus::Completed).await;

    let woke = json!({ "effect": "woke", "step": "approval" });
    let saga = client.start("patient-trip", "short").await;
    waits(client, saga, "approval").await;
    let reasons = reasons(client, saga).await;
    assert_eq!(reasons, [json!({ "reason": "signal_awaited", "step": "approval", "signal": "approval" })]);
    let many = join_all((0..8).map(|i| approve(client, saga, if i % 2 == 0 { "evt_1" } else { "evt_2" }))).await;
    assert!(many.iter().all(|(status, _)| *status == 200), "{many:?}");
    let by_id = |first: usize| many.iter().skip(first).step_by(2).map(|(_, body)| body).collect::<Vec<_>>();
    let (one, other) = (by_id(0), by_id(1));
    assert!(one.iter().all(|body| *body == one[0]) && other.iter().all(|body| *body == other[0]), "{many:?}");
    let mut effects = [one[0], other[0]];
    effects.sort_by_key(|effect| effect["effect"] == "none");
    assert_eq!(effects, [&woke, &second]);
    let view = client.reaches(saga, SagaStatus::Completed).await;
    assert_eq!(view.signals.len(), 1);
    assert_eq!(view.steps[1].reply, Some(json!({ "by": "ann" })));
    let late = view.signals[0].id.as_str();
    assert_eq!(approve(client, saga, late).await, (200, woke), "what took effect is answered after the end too");
    let (status, problem) = approve(client, saga, "evt_9").await;
    assert_eq!((status, &problem["code"]), (409, &json!("saga_finished")), "{problem}");
    assert_eq!(client.view(saga).await.head, view.head);
    assert_eq!(approve(client, kit::ids::saga_id(0, 1), "evt_1").await.0, 404);
}

async fn a_signal_that_does_not_come_turns_the_saga_around(rig: &Rig) {
    let running = rig.orchestrator().await;
    let worker = rig.worker().await;
    let saga = running.client.start("hurried-trip", "").await;
    let view = running.client.reaches(saga, SagaStatus::Compensated).await;
    let cause = view.cause.unwrap();
    assert_eq!((cause.code.as_str(), cause.refused), ("signal_missed", true));
    assert_eq!(view.summary.error.as_deref(), Some("approval/signal_missed"));
    assert_eq!(worker.carried_out(saga), ["create-order", "create-order/back"]);
    assert_eq!(view.steps[1].status, StepStatus::Refused);
}

async fn a_timer_fires_after_a_restart_and_by_hand(rig: &Rig) {
    let mut first = rig.orchestrator().await;
    first.owns_all().await;
    let _worker = rig.worker().await;
    let (short, long) =
        (first.client.start("patient-trip", "short").await, first.client.start("patient-trip", "").await);
    for saga in [short, long] {
        waits(&first.client, saga, "approval").await;
        assert_eq!(approve(&first.client, saga, "evt_1").await.0, 200);
    }
    waits(&first.client, long, "cool-down").await;
    let reasons = reasons(&first.client, long).await;
    assert_eq!((reasons.len(), &reasons[0]["reason"]), (1, &json!("time_awaited")), "{reasons:?}");
    let parts = rig.parts().await;
    first.kill();
    let mut second = Running::start_waiting(parts).await;
    second.owns_all().await;
    let client = &second.client;
    client.reaches(short, SagaStatus::Completed).await;

    let explanation = client.get(&format!("/api/sagas/{long}/explanation")).await.1;
    let possible = explanation["possible"].as_array().unwrap();
    assert!(possible.contains(&json!({ "act": "timer", "steps": ["cool-down"] })), "{explanation}");
    let view = client.view(long).await;
    let fire_at = view.steps[2].wake_at.unwrap();
    assert_eq!(view.next_wake_at, Some(fire_at));
    let later = fire_at + chrono::TimeDelta::hours(1);
    let act = json!({ "action": "reschedule_timer", "step": "cool-down", "at": later });
    let (status, body) = client.act(long, act).await;
    assert_eq!((status.as_u16(), &body["steps"][2]["wake_at"]), (200, &json!(later)), "{body}");
    let (status, problem) = client.act(long, json!({ "action": "fire_timer", "step": "approval" })).await;
    assert_eq!((status.as_u16(), &problem["code"]), (409, &json!("timer_not_set")), "{problem}");
    let (status, body) = client.act(long, json!({ "action": "fire_timer", "step": "cool-down" })).await;
    assert_eq!(status.as_u16(), 200, "{body}");
    client.reaches(long, SagaStatus::Completed).await;
    let journal = client.journal(long).await;
    let acts =
        journal.items.iter().flat_map(|record| &record.entries).filter(|entry| entry["entry"] == "operator_acted");
    let acts: Vec<_> = acts.map(|act| (act["action"]["action"].clone(), act["operator"].clone())).collect();
    let by = json!({ "actor": "usr_test", "role": "operator", "reason": "because a test says so" });
    assert_eq!(acts, [(json!("reschedule_timer"), by.clone()), (json!("fire_timer"), by)]);
}

async fn a_takeover_loads_no_saga_that_waits_and_a_signal_wakes_it_alone(rig: &Rig) {
    let mut first = rig.orchestrator().await;
    first.owns_all().await;
    let _worker = rig.worker().await;
    let waiting = join_all((0..20).map(|_| first.client.start("patient-trip", "short"))).await;
    for saga in &waiting {
        waits(&first.client, *saga, "approval").await;
    }
    let journal = FlakyJournal::new(rig.journal().await);
    let parts = Parts { journal: Arc::clone(&journal) as Arc<dyn Journal>, ..rig.parts().await };
    first.kill();
    let mut second = Running::start_waiting(parts).await;
    second.owns_all().await;
    assert_eq!(approve(&second.client, waiting[0], "evt_1").await.0, 200);
    second.client.reaches(waiting[0], SagaStatus::Completed).await;
    assert_eq!(journal.breakage.loaded.load(Ordering::SeqCst), 1);
}

async fn a_saga_with_a_record_of_a_later_program_is_left_alone_until_one_understands_it(rig: &Rig) {
    let mut first = rig.orchestrator().await;
    first.owns_all().await;
    let _worker = rig.worker().await;
    let saga = first.client.start("patient-trip", "short").await;
    waits(&first.client, saga, "approval").await;
    let head = first.client.view(saga).await.head;
    let journal = FlakyJournal::new(rig.journal().await);
    *journal.breakage.record_of_later_program.lock().unwrap() = Some(saga);
    let parts = Parts { journal: Arc::clone(&journal) as Arc<dyn Journal>, ..rig.parts().await };
    first.kill();
    let mut second = Running::start_waiting(parts).await;
    second.owns_all().await;
    let (status, problem) = second.client.act(saga, json!({ "action": "cancel" })).await;
    assert_eq!((status.as_u16(), &problem["code"]), (409, &json!("reader_outdated")), "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("asks for reader 999"), "{problem}");
    let (status, effect) = approve(&second.client, saga, "evt_1").await;
    assert_eq!((status, &effect["effect"]), (200, &json!("kept")), "{effect}");
    let kept = async || (!second.client.view(saga).await.dead_letters.is_empty()).then_some(());
    until("the signal lies with the dead letters", kept).await;
    assert_eq!(second.client.view(saga).await.head, head, "nothing was written to it");
    *journal.breakage.record_of_later_program.lock().unwrap() = None;
    let release = json!({ "reason": "the later version runs now" });
    let (status, body) = second.client.post(&format!("/api/quarantine/{saga}/release"), &release).await;
    assert_eq!(status.as_u16(), 200, "{body}");
    second.client.reaches(saga, SagaStatus::Completed).await;
}
