//! Servers that go away and come back, and commits of unknown outcome.

use std::sync::{Arc, atomic::Ordering};

use contract::saga::SagaStatus;
use journal::Journal;
use orchestrator::Limits;
use reqwest::StatusCode;
use serde_json::json;

use crate::{
    client::start_body,
    flaky::{FlakyBroker, FlakyJournal},
    rig::{Parts, Rig, Running, on_both_journals, until},
};

on_both_journals!(
    a_lost_broker_stops_nothing_for_good_and_burns_no_attempt,
    a_blocked_broker_is_told_and_no_further_saga_is_taken_in,
    a_commit_whose_answer_is_lost_is_found_out,
    a_commit_that_never_happened_is_said_to_be_unknown_and_can_be_repeated,
    past_its_bounds_the_orchestrator_takes_no_more_and_drops_nothing,
    past_its_bytes_the_orchestrator_takes_no_more_until_sagas_have_ended,
    a_lane_with_little_memory_loads_its_sagas_again,
    a_taken_number_is_read_again_and_decided_anew,
    a_lane_that_breaks_again_and_again_leaves_its_deliveries_their_limit,
    an_idle_orchestrator_asks_its_journal_nothing,
);

async fn a_lost_broker_stops_nothing_for_good_and_burns_no_attempt(rig: &Rig) {
    let broker = FlakyBroker::new(rig.broker().await);
    let parts = Parts { broker: Arc::clone(&broker) as _, ..rig.parts().await };
    let running = Running::start(parts).await;
    let worker = rig.worker().await;
    broker.cut();
    // A start is taken in before the broker is missed, and after it.
    let early = running.client.start("trip", "").await;
    until("readiness says so", async || {
        let (status, body) = running.client.get("/ready").await;
        (status == StatusCode::SERVICE_UNAVAILABLE && body["missing"]["broker"].is_string()).then_some(())
    })
    .await;
    let late = running.client.start("trip", "").await;
    assert_eq!([early, late].map(|saga| worker.received(saga, "create-order")), [0, 0]);
    broker.restore();
    for saga in [early, late] {
        let view = running.client.reaches(saga, SagaStatus::Completed).await;
        assert!(view.steps.iter().all(|step| step.attempts == 1), "{:?}", view.steps);
    }
    let (status, _) = running.client.get("/ready").await;
    assert_eq!(status, StatusCode::OK);
}

async fn a_blocked_broker_is_told_and_no_further_saga_is_taken_in(rig: &Rig) {
    let broker = FlakyBroker::new(rig.broker().await);
    let parts = Parts { broker: Arc::clone(&broker) as _, ..rig.parts().await };
    let running = Running::start(parts).await;
    let _worker = rig.worker().await;
    broker.block();
    until("readiness says so", async || {
        let (status, body) = running.client.get("/ready").await;
        let why = body["missing"]["broker"].as_str().unwrap_or_default();
        (status == StatusCode::SERVICE_UNAVAILABLE && why.contains("blocked")).then_some(())
    })
    .await;
    let (status, problem) = running.client.post("/api/sagas", &start_body("trip", "")).await;
    assert_eq!((status.as_u16(), &problem["code"]), (503, &json!("broker_blocked")), "{problem}");
    broker.restore();
    let saga = running.client.start("trip", "").await;
    running.client.reaches(saga, SagaStatus::Completed).await;
}

async fn a_commit_whose_answer_is_lost_is_found_out(rig: &Rig) {
    let journal = FlakyJournal::new(rig.journal().await);
    let parts = Parts { journal: Arc::clone(&journal) as Arc<dyn Journal>, ..rig.parts().await };
    let running = Running::start(parts).await;
    let worker = rig.worker().await;
    // The start, and then a reply's commit too.
    for breaks in [1, 2] {
        journal.breakage.after_commit.store(breaks, Ordering::SeqCst);
        let saga = running.client.start("trip", "").await;
        let view = running.client.reaches(saga, SagaStatus::Completed).await;
        assert_eq!(worker.carried_out(saga).len(), 4);
        let mut seqs = view.head;
        seqs -= running.client.journal(saga).await.items.len() as u64;
        assert_eq!(seqs, 0);
    }
}

async fn a_commit_that_never_happened_is_said_to_be_unknown_and_can_be_repeated(rig: &Rig) {
    let journal = FlakyJournal::new(rig.journal().await);
    let parts = Parts { journal: Arc::clone(&journal) as Arc<dyn Journal>, ..rig.parts().await };
    let running = Running::start(parts).await;
    let _worker = rig.worker().await;
    journal.breakage.before_commit.store(1, Ordering::SeqCst);
    let mut body = start_body("trip", "");
    body["idempotency"] = json!({ "key": "k", "fingerprint": "f" });
    let (status, problem) = running.client.post("/api/sagas", &body).await;
    assert_eq!((status.as_u16(), &problem["code"]), (503, &json!("outcome_unknown")), "{problem}");
    let started = until("the lane is back", async || {
        let (status, body) = running.client.post("/api/sagas", &body).await;
        (status == StatusCode::CREATED).then_some(body)
    })
    .await;
    let saga = started["saga_id"].as_str().unwrap().parse().unwrap();
    running.client.reaches(saga, SagaStatus::Completed).await;
}

async fn past_its_bytes_the_orchestrator_takes_no_more_until_sagas_have_ended(rig: &Rig) {
    let limits = Limits { open_bytes_max: 64 * 1024, ..Limits::default() };
    let running = Running::start(Parts { limits, ..rig.parts().await }).await;
    let worker = rig.worker().await;
    worker.answer(false);
    let mut large = start_body("trip", "");
    large["input"]["place"] = json!("x".repeat(40 * 1024));
    let (status, started) = running.client.post("/api/sagas", &large).await;
    assert_eq!(status, StatusCode::CREATED);
    let refused = running.client.request(reqwest::Method::POST, "/api/sagas").json(&start_body("trip", ""));
    let refused = refused.send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(refused.headers().contains_key("retry-after"));
    let problem: serde_json::Value = refused.json().await.unwrap();
    assert_eq!(
        (&problem["code"], &problem["detail"]),
        (&json!("busy"), &json!("the unfinished sagas take too much memory"))
    );
    worker.answer(true);
    running.client.reaches(started["saga_id"].as_str().unwrap().parse().unwrap(), SagaStatus::Completed).await;
    until("there is room again", async || {
        let (status, _) = running.client.post("/api/sagas", &start_body("trip", "")).await;
        (status == StatusCode::CREATED).then_some(())
    })
    .await;
}

async fn past_its_bounds_the_orchestrator_takes_no_more_and_drops_nothing(rig: &Rig) {
    let limits = Limits { open_sagas_max: 3, ..Limits::default() };
    let running = Running::start(Parts { limits, ..rig.parts().await }).await;
    let worker = rig.worker().await;
    worker.answer(false);
    let mut started = Vec::new();
    for i in 0..3 {
        let mut body = start_body("trip", "");
        body["idempotency"] = json!({ "key": format!("k{i}"), "fingerprint": "f" });
        let (status, answer) = running.client.post("/api/sagas", &body).await;
        assert_eq!(status, StatusCode::CREATED);
        started.push(answer["saga_id"].as_str().unwrap().parse().unwrap());
    }
    let refused = running.client.request(reqwest::Method::POST, "/api/sagas").json(&start_body("trip", ""));
    let refused = refused.send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(refused.headers().contains_key("retry-after"));
    assert_eq!(refused.json::<serde_json::Value>().await.unwrap()["code"], "busy");
    // A repetition is answered all the same.
    let mut body = start_body("trip", "");
    body["idempotency"] = json!({ "key": "k1", "fingerprint": "f" });
    assert_eq!(running.client.post("/api/sagas", &body).await.0, StatusCode::OK);
    worker.answer(true);
    for saga in started {
        running.client.reaches(saga, SagaStatus::Completed).await;
    }
    // The end is seen in the journal a moment before the lane counts it.
    until("there is room again", async || {
        let (status, _) = running.client.post("/api/sagas", &start_body("trip", "")).await;
        (status == StatusCode::CREATED).then_some(())
    })
    .await;
}

async fn a_lane_with_little_memory_loads_its_sagas_again(rig: &Rig) {
    let limits = Limits { lane_memory_sagas_max: 1, ..Limits::default() };
    let running = Running::start(Parts { limits, ..rig.parts().await }).await;
    let worker = rig.worker().await;
    let started =
        futures::future::join_all((0..12).map(|_| running.client.start("quick-trip", "silent hold-room 1"))).await;
    for saga in started {
        running.client.reaches(saga, SagaStatus::Completed).await;
        assert_eq!(worker.carried_out(saga).len(), 4);
    }
}

async fn a_taken_number_is_read_again_and_decided_anew(rig: &Rig) {
    let journal = FlakyJournal::new(rig.journal().await);
    let parts = Parts { journal: Arc::clone(&journal) as Arc<dyn Journal>, ..rig.parts().await };
    let running = Running::start(parts).await;
    let worker = rig.worker().await;
    // Once is a coincidence; five times in a row mean that the shard belongs to another process.
    for times in [1, 5] {
        worker.answer(false);
        let saga = running.client.start("trip", "").await;
        until("the command is out", async || (worker.received(saga, "create-order") > 0).then_some(())).await;
        journal.breakage.taken.store(times, Ordering::SeqCst);
        worker.answer(true);
        running.client.reaches(saga, SagaStatus::Completed).await;
        assert_eq!(worker.carried_out(saga).len(), 4);
        assert_eq!(journal.breakage.taken.load(Ordering::SeqCst), 0);
    }
}

async fn a_lane_that_breaks_again_and_again_leaves_its_deliveries_their_limit(rig: &Rig) {
    let journal = FlakyJournal::new(rig.journal().await);
    let parts = Parts { journal: Arc::clone(&journal) as Arc<dyn Journal>, ..rig.parts().await };
    let running = Running::start(parts).await;
    let worker = rig.worker().await;
    worker.answer(false);
    let saga = running.client.start("trip", "").await;
    until("the command is out", async || (worker.received(saga, "create-order") > 0).then_some(())).await;
    journal.breakage.before_commit.store(5, Ordering::SeqCst);
    let since = tokio::time::Instant::now();
    worker.answer(true);
    running.client.reaches(saga, SagaStatus::Completed).await;
    // The pauses double: 0.1 + 0.2 + 0.4 + 0.8 + 1.6 seconds.
    assert!(since.elapsed().as_secs() >= 3, "the redeliveries were spent in {:?}", since.elapsed());
    assert!(running.client.view(saga).await.dead_letters.is_empty());
}

async fn an_idle_orchestrator_asks_its_journal_nothing(rig: &Rig) {
    let journal = FlakyJournal::new(rig.journal().await);
    let parts = Parts { journal: Arc::clone(&journal) as Arc<dyn Journal>, ..rig.parts().await };
    let mut running = Running::start(parts).await;
    running.owns_all().await;
    let worker = rig.worker().await;
    let done = running.client.start("trip", "").await;
    running.client.reaches(done, SagaStatus::Completed).await;
    // One waits for its reply, with a timer far away.
    let waiting = running.client.start("trip", "silent hold-room").await;
    until("it waits", async || (worker.received(waiting, "hold-room") > 0).then_some(())).await;
    let calls = || journal.breakage.calls.load(Ordering::SeqCst);
    for round in 1.. {
        assert!(round < 5, "it is asked again and again");
        let before = calls();
        let asked = until("it is asked", async || (calls() != before).then_some(()));
        if tokio::time::timeout(std::time::Duration::from_secs(3), asked).await.is_err() {
            break;
        }
    }
}
