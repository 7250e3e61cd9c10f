//! Sagas from their start to their end: forward, undone, retried, with every kind of message disorder.

use contract::{
    Outcome,
    saga::{SagaStatus, StepStatus},
};
use futures::future::join_all;
use reqwest::StatusCode;
use serde_json::json;

use crate::{
    client::start_body,
    rig::{Rig, SHARDS, on_both_journals, on_real_servers, until},
    worker,
};

const FORWARD: [&str; 4] = ["create-order", "hold-room", "authorize", "confirm-order"];

on_both_journals!(
    a_saga_runs_to_its_end_and_shows_every_step,
    a_refusal_undoes_what_was_done_in_reverse_order,
    faults_and_missing_replies_are_asked_again_under_the_same_command_id,
    a_domain_that_answers_nothing_is_probed_and_its_silence_is_no_attempt,
    doubled_replies_change_nothing,
    the_same_start_many_times_at_once_makes_one_saga,
    hundreds_of_sagas_at_once_all_end,
    a_start_that_waits_is_answered_with_the_end,
);

on_real_servers!(
    a_saga_runs_to_its_end_and_shows_every_step,
    a_refusal_undoes_what_was_done_in_reverse_order,
    faults_and_missing_replies_are_asked_again_under_the_same_command_id,
    a_domain_that_answers_nothing_is_probed_and_its_silence_is_no_attempt,
    hundreds_of_sagas_at_once_all_end,
);

async fn a_saga_runs_to_its_end_and_shows_every_step(rig: &Rig) {
    let running = rig.orchestrator().await;
    let worker = rig.worker().await;
    let saga = running.client.start("trip", "").await;
    let view = running.client.reaches(saga, SagaStatus::Completed).await;
    assert_eq!(worker.carried_out(saga), FORWARD);
    assert_eq!(view.steps.len(), 4);
    assert!(view.steps.iter().all(|step| step.status == StepStatus::Done && step.attempts == 1), "{:?}", view.steps);
    assert_eq!(view.steps[1].reply, Some(json!({ "reference": "hold-room-1" })));
    assert!(view.summary.finished_at.is_some());
    assert_eq!(view.input["place"], "Malé");

    let journal = running.client.journal(saga).await;
    assert_eq!(journal.items.last().map(|record| record.seq), Some(view.head));
    let numbers: Vec<_> = journal.items.iter().map(|record| record.seq).collect();
    assert_eq!(numbers, (1..=view.head).collect::<Vec<_>>());

    let command = worker.envelope(saga, "hold-room").unwrap();
    let first = worker.envelope(saga, "create-order").unwrap();
    assert!(command.traceparent.is_some() && command.traceparent == first.traceparent);
}

async fn a_refusal_undoes_what_was_done_in_reverse_order(rig: &Rig) {
    let running = rig.orchestrator().await;
    let worker = rig.worker().await;
    let saga = running.client.start("trip", "refuse authorize").await;
    let view = running.client.reaches(saga, SagaStatus::Compensated).await;
    let undone = ["create-order", "hold-room", "authorize", "hold-room/back", "create-order/back"];
    assert_eq!(worker.carried_out(saga), undone);
    assert_eq!(view.cause.unwrap().code, "as_told");
    assert_eq!(view.summary.error.as_deref(), Some("authorize/as_told"));
    let (_, page) = running.client.get("/api/sagas?error=authorize/as_told&status=compensated").await;
    assert_eq!(page["items"][0]["id"], json!(saga));
}

async fn faults_and_missing_replies_are_asked_again_under_the_same_command_id(rig: &Rig) {
    let mut running = rig.orchestrator().await;
    running.owns_all().await;
    let worker = rig.worker().await;
    let saga = running.client.start("quick-trip", "fault create-order 2; silent hold-room 1").await;
    until("the hold is asked for", async || (worker.received(saga, "hold-room") > 0).then_some(())).await;
    // Its domain answers what is sent later: the reply is missing.
    let mut other = saga;
    while other == saga || other.shard(SHARDS) != saga.shard(SHARDS) {
        other = running.client.start("quick-trip", "").await;
    }
    let view = running.client.reaches(saga, SagaStatus::Completed).await;
    assert_eq!(worker.carried_out(saga), FORWARD);
    assert_eq!(worker.received(saga, "create-order"), 3);
    assert_eq!(worker.received(saga, "hold-room"), 2);
    assert_eq!((view.steps[0].attempts, view.steps[1].attempts), (3, 2));
}

async fn a_domain_that_answers_nothing_is_probed_and_its_silence_is_no_attempt(rig: &Rig) {
    let running = rig.orchestrator().await;
    let worker = rig.worker().await;
    let saga = running.client.start("quick-trip", "silent hold-room 1").await;
    let view = running.client.reaches(saga, SagaStatus::Completed).await;
    assert_eq!(worker.received(saga, "hold-room"), 2, "once, and the probe");
    assert!(view.steps.iter().all(|step| step.attempts == 1), "{:?}", view.steps);
}

async fn doubled_replies_change_nothing(rig: &Rig) {
    let running = rig.orchestrator().await;
    let worker = rig.worker().await;
    let saga = running.client.start("trip", "twice create-order; twice hold-room; twice confirm-order").await;
    let view = running.client.reaches(saga, SagaStatus::Completed).await;
    assert_eq!(worker.carried_out(saga), FORWARD);

    // All of them once more, backwards, to a saga that has ended.
    let broker = rig.broker().await;
    let first = worker.envelope(saga, "create-order").unwrap();
    let mut replies = Vec::new();
    for (id, outcome) in worker.outcomes(saga).into_iter().rev() {
        let command = contract::envelope::CommandEnvelope { command_id: id, ..first.clone() };
        replies.push(worker::reply(&command, outcome.clone()));
        replies.push(worker::reply(&command, Outcome::refused("too_late", "too late")));
    }
    assert!(broker.publish(replies).await.iter().all(Result::is_ok));
    let queue = messaging::QueueName::named(first.reply_to);
    until("the late replies are taken", async || (broker.depth(&queue).await.unwrap().ready == 0).then_some(())).await;
    let other = running.client.start("trip", "").await;
    running.client.reaches(other, SagaStatus::Completed).await;
    let later = running.client.view(saga).await;
    assert_eq!((later.head, later.summary.status), (view.head, SagaStatus::Completed));
    assert!(later.dead_letters.is_empty(), "{:?}", later.dead_letters);
}

async fn the_same_start_many_times_at_once_makes_one_saga(rig: &Rig) {
    let running = rig.orchestrator().await;
    let _worker = rig.worker().await;
    let mut body = start_body("trip", "");
    body["idempotency"] = json!({ "key": "usr_1:abc", "fingerprint": "aa" });
    let started = join_all((0..20).map(|_| running.client.post("/api/sagas", &body))).await;
    let created = started.iter().filter(|(status, _)| *status == StatusCode::CREATED).count();
    assert_eq!(created, 1, "{started:?}");
    assert!(started.iter().all(|(status, _)| status.is_success()), "{started:?}");
    let saga = &started[0].1["saga_id"];
    assert!(started.iter().all(|(_, body)| body["saga_id"] == *saga));

    let (status, found) = running.client.get("/api/starts?name=trip&key=usr_1:abc").await;
    assert_eq!((status, &found["saga_id"], &found["fingerprint"]), (StatusCode::OK, saga, &json!("aa")));
    body["idempotency"]["fingerprint"] = json!("bb");
    let (status, problem) = running.client.post("/api/sagas", &body).await;
    assert_eq!((status.as_u16(), &problem["code"]), (422, &json!("idempotency_key_reused")));
    let (status, _) = running.client.get("/api/starts?name=trip&key=other").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

async fn hundreds_of_sagas_at_once_all_end(rig: &Rig) {
    let running = rig.orchestrator().await;
    let worker = rig.worker().await;
    let scripts = ["", "refuse authorize", "twice hold-room", "fault hold-room 1"];
    let started = join_all((0..200).map(|i| running.client.start("trip", scripts[i % scripts.len()]))).await;
    for (i, saga) in started.into_iter().enumerate() {
        let refused = i % scripts.len() == 1;
        let end = if refused { SagaStatus::Compensated } else { SagaStatus::Completed };
        running.client.reaches(saga, end).await;
        assert_eq!(worker.carried_out(saga).len(), if refused { 5 } else { 4 });
    }
    let (_, metrics) = running.client.get("/metrics").await;
    let metrics = metrics.as_str().unwrap();
    assert!(metrics.contains("sojourn_orchestrator_sagas_finished_total"), "{metrics}");
    assert!(metrics.contains("sojourn_orchestrator_commit_size"), "{metrics}");
}

async fn a_start_that_waits_is_answered_with_the_end(rig: &Rig) {
    let running = rig.orchestrator().await;
    let worker = rig.worker().await;
    let start = async |script: &str, wait: u32| {
        let mut body = start_body("trip", script);
        body["idempotency"] = json!({ "key": format!("key {script}"), "fingerprint": "f" });
        let request = running.client.request(reqwest::Method::POST, "/api/sagas");
        let response = request.header("prefer", format!("wait={wait}")).json(&body).send().await.unwrap();
        (response.status().as_u16(), response.json::<serde_json::Value>().await.unwrap())
    };
    let (status, body) = start("", 20).await;
    assert_eq!((status, &body["status"]), (201, &json!("completed")), "{body}");
    let (status, body) = start("", 20).await;
    assert_eq!((status, &body["status"]), (200, &json!("completed")), "{body}");
    let (status, body) = start("refuse authorize", 20).await;
    assert_eq!((status, &body["status"]), (201, &json!("compensated")), "{body}");
    worker.answer(false);
    let (status, body) = start("twice hold-room", 1).await;
    assert_eq!((status, &body["status"]), (201, &json!("running")), "{body}");
}
