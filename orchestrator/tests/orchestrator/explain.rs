//! Why a saga is not moving, asked of whichever orchestrator, in every place where a saga can stand.

use std::sync::Arc;

use contract::{
    Op, Route, SagaId, StepName,
    orchestrator_api::{CommandPlace, Explanation, PossibleAct, StandstillReason},
    saga::{Action, SagaStatus},
};
use reqwest::StatusCode;
use serde_json::json;

use crate::{
    flaky::FlakyBroker,
    rig::{Parts, Rig, Running, SHARDS, on_both_journals, on_real_servers, until},
    trip,
};

on_both_journals!(
    a_saga_that_waits_is_explained_by_its_reply_its_domain_and_its_acts,
    a_silent_domain_a_missing_worker_and_a_lost_broker_are_told_apart,
    a_saga_that_waits_for_a_person_or_has_ended_says_so,
    a_saga_in_quarantine_is_explained_though_it_cannot_be_read,
);

on_real_servers!(a_saga_that_waits_is_explained_by_its_reply_its_domain_and_its_acts);

fn step(name: &str) -> StepName {
    name.parse().unwrap()
}

async fn explained(running: &Running, saga: SagaId) -> Explanation {
    let (status, body) = running.client.get(&format!("/api/sagas/{saga}/explanation")).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let explanation: Explanation = serde_json::from_value(body).unwrap();
    assert!(!explanation.reasons.is_empty() && explanation.sentence.ends_with('.'), "{explanation:?}");
    explanation
}

/// Asks until a reason of this shape is there.
async fn explained_by(
    running: &Running,
    saga: SagaId,
    what: &str,
    is: impl Fn(&StandstillReason) -> bool,
) -> Explanation {
    until(what, async || {
        let explanation = explained(running, saga).await;
        explanation.reasons.iter().any(&is).then_some(explanation)
    })
    .await
}

async fn a_saga_that_waits_is_explained_by_its_reply_its_domain_and_its_acts(rig: &Rig) {
    let mut first = rig.orchestrator().await;
    let mut second = Running::start_waiting(rig.parts().await).await;
    second.owns(|owned| owned == usize::from(SHARDS) / 2).await;
    first.owns(|owned| owned == usize::from(SHARDS) / 2).await;
    let worker = rig.worker().await;
    let saga = first.client.start("trip", "silent hold-room").await;
    until("the hold is asked for", async || (worker.received(saga, "hold-room") > 0).then_some(())).await;
    // One of them owns the saga's shard, the other asks it.
    for asked in [&first, &second] {
        let explanation = explained_by(asked, saga, "its command is confirmed", |reason| {
            matches!(reason, StandstillReason::ReplyAwaited { .. })
        })
        .await;
        let StandstillReason::ReplyAwaited { step: awaited, op, route, since, reply_by } = &explanation.reasons[0]
        else {
            panic!("{explanation:?}");
        };
        assert_eq!((awaited, *op, *route), (&step("hold-room"), Op::Action, Route::Accommodation));
        assert!(since < reply_by && explanation.reasons.len() == 1, "{explanation:?}");
        let open = &explanation.steps[0];
        assert_eq!((open.attempts, open.attempts_max), (1, Some(4)));
        assert_eq!((open.command_is, open.sent_at), (Some(CommandPlace::Confirmed), Some(*since)));
        let domain = &explanation.domains[0];
        assert_eq!((explanation.domains.len(), domain.route), (1, Route::Accommodation));
        assert_eq!(domain.queue.unwrap().consumers, 1);
        let flow = domain.flow.as_ref().unwrap();
        assert!(flow.under_way == 1 && flow.window > 1 && flow.circuit.is_none(), "{flow:?}");
        let lane = explanation.lane.as_ref().unwrap();
        assert!(lane.loaded && lane.broker_takes && lane.shard == saga.shard(SHARDS), "{lane:?}");
        let acts = [
            PossibleAct::Skip { step: step("hold-room"), force: true },
            PossibleAct::Cancel {},
            PossibleAct::Abandon {},
            PossibleAct::Pause {},
        ];
        assert_eq!(explanation.possible, acts);
        assert!(explanation.sentence.contains("`hold-room` awaits the reply of accommodation"), "{explanation:?}");
    }
    let unknown = kit::ids::saga_id(0, SHARDS);
    let (status, problem) = first.client.get(&format!("/api/sagas/{unknown}/explanation")).await;
    assert_eq!((status.as_u16(), &problem["code"]), (404, &json!("saga_unknown")));
}

async fn a_silent_domain_a_missing_worker_and_a_lost_broker_are_told_apart(rig: &Rig) {
    let broker = FlakyBroker::new(rig.broker().await);
    let running = Running::start(Parts { broker: Arc::clone(&broker) as _, ..rig.parts().await }).await;
    let unread = running.client.start("quick-trip", "").await;
    let missing =
        |reason: &StandstillReason| matches!(reason, StandstillReason::ConsumersMissing { route: Route::Order, .. });
    let explanation = explained_by(&running, unread, "no worker reads the queue", missing).await;
    assert!(explanation.sentence.starts_with("No worker reads the queue of order"), "{explanation:?}");

    let worker = rig.worker().await;
    worker.answer(false);
    let unanswered = running.client.start("quick-trip", "").await;
    let silent =
        |reason: &StandstillReason| matches!(reason, StandstillReason::DomainSilent { route: Route::Order, .. });
    let explanation = explained_by(&running, unanswered, "the domain is silent", silent).await;
    assert!(explanation.sentence.starts_with("Order answers nothing since"), "{explanation:?}");
    assert!(!explanation.reasons.iter().any(missing), "{explanation:?}");

    broker.cut();
    let lost = |reason: &StandstillReason| matches!(reason, StandstillReason::LaneSilent { .. });
    let explanation = explained_by(&running, unanswered, "the lane cannot be asked", lost).await;
    assert!(explanation.lane.is_none() && explanation.steps[0].command_is == Some(CommandPlace::Unknown));
    broker.restore();
    worker.answer(true);
    for saga in [unread, unanswered] {
        running.client.reaches(saga, SagaStatus::Completed).await;
    }
}

async fn a_saga_that_waits_for_a_person_or_has_ended_says_so(rig: &Rig) {
    let running = rig.orchestrator().await;
    let _worker = rig.worker().await;
    let stuck = running.client.start("quick-trip", "garble confirm-order 1").await;
    running.client.reaches(stuck, SagaStatus::NeedsAttention).await;
    let explanation = explained(&running, stuck).await;
    let awaited = StandstillReason::PersonAwaited {
        step: step("confirm-order"),
        op: Op::Action,
        code: "reply_unreadable".to_owned(),
    };
    assert_eq!(explanation.reasons, [awaited]);
    let acts = [
        PossibleAct::Retry { steps: vec![step("confirm-order")] },
        PossibleAct::Skip { step: step("confirm-order"), force: false },
        PossibleAct::Edit { steps: vec![step("confirm-order")] },
        PossibleAct::Abandon {},
        PossibleAct::Pause {},
    ];
    assert_eq!(explanation.possible, acts, "past the pivot a cancel is not possible");

    let (status, body) = running.client.act(stuck, serde_json::to_value(Action::Retry { step: None }).unwrap()).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    running.client.reaches(stuck, SagaStatus::Completed).await;
    let explanation = explained(&running, stuck).await;
    assert!(
        matches!(explanation.reasons[..], [StandstillReason::Ended { status: SagaStatus::Completed, .. }]),
        "{explanation:?}"
    );
    assert!(explanation.possible.is_empty() && explanation.lane.is_none());
}

async fn a_saga_in_quarantine_is_explained_though_it_cannot_be_read(rig: &Rig) {
    let mut before = rig.orchestrator().await;
    before.owns_all().await;
    let worker = rig.worker().await;
    let saga = before.client.start("trip", "silent hold-room").await;
    until("the hold is asked for", async || (worker.received(saga, "hold-room") > 0).then_some(())).await;
    let parts = Parts { catalog: trip::later_catalog(), ..rig.parts().await };
    before.kill();
    let mut after = Running::start(parts).await;
    after.owns_all().await;
    let explanation = explained_by(
        &after,
        saga,
        "it is left alone",
        |reason| matches!(reason, StandstillReason::Quarantined { code, .. } if code == "definition_unknown"),
    )
    .await;
    assert_eq!(explanation.possible, [PossibleAct::Release {}, PossibleAct::Abandon {}]);
    assert_eq!(explanation.status, Some(SagaStatus::Running));
}
