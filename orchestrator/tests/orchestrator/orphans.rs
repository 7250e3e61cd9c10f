//! Open sagas that a lane does not know of: found among the journal's open sagas, and taken up again.

use std::sync::Arc;

use contract::saga::SagaStatus;
use futures::future::join_all;
use journal::Journal;
use reqwest::StatusCode;
use serde_json::json;

use crate::{
    families::child_of,
    flaky::FlakyJournal,
    rig::{Parts, Rig, Running, on_both_journals, until},
};

/// Sagas that commit enough records on either shard for a page of open sagas to be compared.
const ENOUGH_SAGAS: usize = 250;

on_both_journals!(a_saga_that_a_takeover_missed_is_found_and_finished);

async fn a_saga_that_a_takeover_missed_is_found_and_finished(rig: &Rig) {
    let mut first = rig.orchestrator().await;
    first.owns_all().await;
    let worker = rig.worker().await;
    // The first copy of its command is lost, and only a lane that knows of it sends another.
    let missed = first.client.start("trip", "silent create-order 1").await;
    until("its command is out", async || (worker.received(missed, "create-order") > 0).then_some(())).await;
    // A parent with nothing to do but to wait for a child that is being undone.
    let parent = first.client.start("family-trip", "silent hold-room; silent walk/back").await;
    let leg = child_of(&first.client, parent, "leg").await;
    child_of(&first.client, parent, "pay").await;
    assert_eq!(first.client.act(parent, json!({ "action": "cancel" })).await.0, StatusCode::OK);
    until("its child is to be undone", async || (worker.received(leg, "walk/back") > 0).then_some(())).await;
    let journal = FlakyJournal::new(rig.journal().await);
    *journal.breakage.missed.lock().unwrap() = Some(missed);
    let parts = Parts { journal: Arc::clone(&journal) as Arc<dyn Journal>, ..rig.parts().await };
    first.kill();
    let mut second = Running::start_waiting(parts).await;
    second.owns_all().await;
    until("its explanation says so", async || {
        let (_, explanation) = second.client.get(&format!("/api/sagas/{missed}/explanation")).await;
        (explanation["reasons"][0] == json!({ "reason": "orphaned" })).then_some(())
    })
    .await;
    assert_eq!(worker.received(missed, "create-order"), 1);

    *journal.breakage.missed.lock().unwrap() = None;
    let others = join_all((0..ENOUGH_SAGAS).map(|_| second.client.start("trip", ""))).await;
    for saga in others {
        second.client.reaches(saga, SagaStatus::Completed).await;
    }
    second.client.reaches(missed, SagaStatus::Completed).await;
    assert_eq!((worker.received(missed, "create-order"), worker.carried_out(missed).len()), (2, 4));
    assert_eq!(second.client.view(parent).await.summary.status, SagaStatus::Compensating);
    let metrics = kit::metrics::install().render();
    assert!(metrics.contains("sojourn_orchestrator_orphans_total 1\n"), "it is counted, and no parent that waits");
}
