//! Two orchestrators on one installation: shards are shared, a dead one's are taken over, nothing is decided twice.

use contract::orchestrator_api::SagaStatus;
use futures::future::join_all;

use crate::rig::{Rig, Running, SHARDS, on_both_journals, on_real_servers, scenarios, until};

on_both_journals!(
    two_orchestrators_share_the_shards_and_either_answers_for_all_sagas,
    a_killed_orchestrators_sagas_are_finished_by_the_other,
    a_stopped_orchestrator_finishes_what_it_accepted_and_hands_over,
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

async fn two_orchestrators_share_the_shards_and_either_answers_for_all_sagas(rig: &Rig) {
    let (first, second) = two(rig).await;
    let worker = rig.worker().await;
    for (here, there) in [(&first, &second), (&second, &first)] {
        let saga = here.client.start("trip", "refuse authorise").await;
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
    let (status, problem) = first.client.post("/api/sagas", &crate::client::start_body("trip", "")).await;
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

async fn a_shard_whose_ownership_is_lost_is_served_on(rig: &Rig) {
    let (first, second) = two(rig).await;
    let worker = rig.worker().await;
    for _ in 0..3 {
        let started = join_all((0..20).map(|_| first.client.start("trip", "refuse authorise"))).await;
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
