//! Two orchestrators on one installation: shards are shared, a dead one's are taken over, nothing is decided twice.

use std::sync::{Arc, atomic::Ordering};

use contract::saga::SagaStatus;
use futures::future::join_all;
use journal::Journal;
use reqwest::StatusCode;
use serde_json::json;

use crate::{
    client::start_body,
    flaky::FlakyJournal,
    rig::{Parts, Rig, Running, SHARDS, on_both_journals, on_real_servers, scenarios, until},
};

on_both_journals!(
    three_orchestrators_on_four_shards_all_own_some,
    the_same_start_at_two_orchestrators_at_once_makes_one_saga,
    a_command_under_way_is_counted_where_it_is_sent,
    two_orchestrators_share_the_shards_and_either_answers_for_all_sagas,
    a_killed_orchestrators_sagas_are_finished_by_the_other,
    a_stopped_orchestrator_finishes_what_it_accepted_and_hands_over,
    a_takeover_loads_no_saga_that_sleeps,
);

scenarios!(in_memory_only, InMemory: a_shard_whose_ownership_is_lost_is_served_on);

on_real_servers!(
    two_orchestrators_share_the_shards_and_either_answers_for_all_sagas,
    a_killed_orchestrators_sagas_are_finished_by_the_other,
    a_stopped_orchestrator_finishes_what_it_accepted_and_hands_over,
);

async fn two(rig: &Rig) -> (Running, Running) {
    let mut first = rig.orchestrator().await;
    let mut second = Running::start_waiting(rig.parts().await).await;
    second.owns(|owned| owned == usize::from(SHARDS) / 2).await;
    first.owns(|owned| owned == usize::from(SHARDS) / 2).await;
    (first, second)
}

async fn three_orchestrators_on_four_shards_all_own_some(rig: &Rig) {
    let mut all = Vec::new();
    for _ in 0..3 {
        all.push(Running::start_waiting(rig.parts_of(4).await).await);
    }
    until("every one owns a shard", async || {
        let owned = all.iter().map(|running| *running.orchestrator.owned_shards().borrow());
        let mut owned: Vec<_> = owned.collect();
        owned.sort_unstable();
        (owned == [1, 1, 2]).then_some(())
    })
    .await;
    for running in &all {
        let (status, body) = running.client.get("/ready").await;
        assert_eq!(status, StatusCode::OK, "{body}");
    }
}

async fn the_same_start_at_two_orchestrators_at_once_makes_one_saga(rig: &Rig) {
    let (first, second) = two(rig).await;
    let _worker = rig.worker().await;
    for round in 0..10 {
        let mut body = start_body("trip", "");
        body["idempotency"] = json!({ "key": format!("round {round}"), "fingerprint": "aa" });
        let (here, there) = (&first.client, &second.client);
        let started = join_all((0..6).map(|i| if i % 2 == 0 { here } else { there }.post("/api/sagas", &body))).await;
        let created = started.iter().filter(|(status, _)| *status == StatusCode::CREATED).count();
        assert_eq!(created, 1, "{started:?}");
        assert!(started.iter().all(|(status, _)| status.is_success()), "{started:?}");
        assert!(started.iter().all(|(_, answer)| answer["saga_id"] == started[0].1["saga_id"]), "{started:?}");
        body["idempotency"]["fingerprint"] = json!("bb");
        let (status, problem) = second.client.post("/api/sagas", &body).await;
        assert_eq!((status.as_u16(), &problem["code"]), (422, &json!("idempotency_key_reused")));
    }
    let (_, page) = first.client.get("/api/sagas?page_size=100").await;
    assert_eq!(page["items"].as_array().unwrap().len(), 10);
}

async fn a_command_under_way_is_counted_where_it_is_sent(rig: &Rig) {
    let running = rig.orchestrator().await;
    running.client.start("trip", "").await;
    let counted = async |count: u32| {
        let gauge = format!("sojourn_orchestrator_commands_under_way {count}\n");
        until("the commands are counted", async || kit::metrics::install().render().contains(&gauge).then_some(()))
            .await;
    };
    counted(1).await;
    running.stop.cancel();
    running.orchestrator.join().await;
    counted(0).await;
}

async fn two_orchestrators_share_the_shards_and_either_answers_for_all_sagas(rig: &Rig) {
    let (first, second) = two(rig).await;
    let worker = rig.worker().await;
    for (here, there) in [(&first, &second), (&second, &first)] {
        let saga = here.client.start("trip", "refuse authorize").await;
        there.client.reaches(saga, SagaStatus::Compensated).await;
        assert_eq!(worker.carried_out(saga).len(), 5);
    }
}

async fn a_killed_orchestrators_sagas_are_finished_by_the_other(rig: &Rig) {
    let (first, mut second) = two(rig).await;
    let worker = rig.worker().await;
    worker.answer(false);
    let started = join_all((0..20).map(|_| first.client.start("trip", ""))).await;
    until("the first commands are out", async || {
        started.iter().all(|saga| worker.received(*saga, "create-order") > 0).then_some(())
    })
    .await;
    first.kill();
    second.owns_all().await;
    worker.answer(true);
    for saga in started {
        let view = second.client.reaches(saga, SagaStatus::Completed).await;
        assert_eq!(worker.carried_out(saga).len(), 4);
        assert!(view.steps.iter().all(|step| step.attempts == 1), "taken over, not timed out: {:?}", view.steps);
    }
}

async fn a_stopped_orchestrator_finishes_what_it_accepted_and_hands_over(rig: &Rig) {
    let (first, mut second) = two(rig).await;
    let worker = rig.worker().await;
    worker.answer(false);
    let started = join_all((0..20).map(|_| first.client.start("trip", ""))).await;
    first.stop.cancel();
    let (status, problem) = first.client.post("/api/sagas", &start_body("trip", "")).await;
    // Either the door is closed already, or the start was accepted and is carried out by the other.
    assert!(status.as_u16() == 503 || status.is_success(), "{status} {problem}");
    tokio::time::timeout(std::time::Duration::from_secs(20), first.orchestrator.join()).await.unwrap();
    second.owns_all().await;
    worker.answer(true);
    for saga in started {
        second.client.reaches(saga, SagaStatus::Completed).await;
        assert_eq!(worker.carried_out(saga).len(), 4);
    }
}

async fn a_takeover_loads_no_saga_that_sleeps(rig: &Rig) {
    let mut first = rig.orchestrator().await;
    first.owns_all().await;
    let worker = rig.worker().await;
    // They wait for a person, with nothing under way.
    let sleeping = join_all((0..30).map(|_| first.client.start("quick-trip", "garble confirm-order 1"))).await;
    for saga in &sleeping {
        first.client.reaches(*saga, SagaStatus::NeedsAttention).await;
    }
    worker.answer(false);
    let awake = join_all((0..5).map(|_| first.client.start("trip", ""))).await;
    until("their commands are out", async || {
        awake.iter().all(|saga| worker.received(*saga, "create-order") > 0).then_some(())
    })
    .await;
    let journal = FlakyJournal::new(rig.journal().await);
    let parts = Parts { journal: Arc::clone(&journal) as Arc<dyn Journal>, ..rig.parts().await };
    first.kill();
    let mut second = Running::start_waiting(parts).await;
    second.owns_all().await;
    worker.answer(true);
    for saga in &awake {
        second.client.reaches(*saga, SagaStatus::Completed).await;
    }
    assert_eq!(journal.breakage.loaded.load(Ordering::SeqCst), awake.len());
    // One that is spoken to wakes, and it alone.
    let (status, body) = second.client.act(sleeping[0], json!({ "action": "retry" })).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    second.client.reaches(sleeping[0], SagaStatus::Completed).await;
    assert_eq!(journal.breakage.loaded.load(Ordering::SeqCst), awake.len() + 1);
}

async fn a_shard_whose_ownership_is_lost_is_served_on(rig: &Rig) {
    let (first, second) = two(rig).await;
    let worker = rig.worker().await;
    for _ in 0..3 {
        let started = join_all((0..20).map(|_| first.client.start("trip", "refuse authorize"))).await;
        (0..SHARDS).for_each(|shard| rig.revoke(shard));
        for saga in started {
            second.client.reaches(saga, SagaStatus::Compensated).await;
            assert_eq!(worker.carried_out(saga).len(), 5);
        }
        let (first, second) = (&first.orchestrator, &second.orchestrator);
        until("both shards are owned again", async || {
            let owned = *first.owned_shards().borrow() + *second.owned_shards().borrow();
            (owned == usize::from(SHARDS) && *first.owned_shards().borrow() > 0).then_some(())
        })
        .await;
    }
}
