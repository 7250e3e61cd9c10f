//! Child sagas over the journal, the broker and the HTTP interface.

use std::sync::{Arc, atomic::Ordering};

use contract::{
    SagaId,
    saga::{SagaStatus, StepStatus},
};
use machine::catalog::CHILDREN_MAX;
use serde_json::{Value, json};

use crate::{
    client::Client,
    flaky::FlakyJournal,
    rig::{Parts, Rig, Running, on_both_journals, on_real_servers, until},
};

on_both_journals!(
    a_family_begins_in_one_record_and_its_end_moves_the_parent,
    a_child_that_is_refused_refuses_its_step,
    a_cancel_goes_down_and_a_completed_child_is_undone_again,
    a_parent_waits_for_a_child_that_needs_a_person_and_a_person_for_one_that_was_given_up,
    a_takeover_finds_the_ends_that_the_parent_never_heard_of,
    a_child_that_was_left_alone_hears_its_parent_once_it_is_released,
    a_parent_hears_of_a_child_that_was_abandoned_unread,
    as_many_children_as_there_may_be_begin_and_end_and_are_shown_in_one_tree,
);

on_real_servers!(
    a_family_begins_in_one_record_and_its_end_moves_the_parent,
    a_cancel_goes_down_and_a_completed_child_is_undone_again,
    a_takeover_finds_the_ends_that_the_parent_never_heard_of,
    a_parent_hears_of_a_child_that_was_abandoned_unread,
);

/// The child that a step of the saga started, once it has.
pub(crate) async fn child_of(client: &Client, saga: SagaId, step: &str) -> SagaId {
    until(&format!("{step} has a child"), async || {
        let view = client.view(saga).await;
        view.steps.into_iter().find(|view| view.name.as_str() == step)?.child
    })
    .await
}

async fn sentence(client: &Client, saga: SagaId) -> String {
    let (_, explanation) = client.get(&format!("/api/sagas/{saga}/explanation")).await;
    explanation["sentence"].as_str().unwrap_or_else(|| panic!("{explanation}")).to_owned()
}

async fn a_family_begins_in_one_record_and_its_end_moves_the_parent(rig: &Rig) {
    let mut running = rig.orchestrator().await;
    running.owns_all().await;
    let client = &running.client;
    let worker = rig.worker().await;
    worker.answer(false);
    let parent = client.start("family-trip", "").await;
    let leg = child_of(client, parent, "leg").await;
    let view = client.view(leg).await;
    assert_eq!((view.summary.parent, view.summary.parent_step.unwrap().as_str()), (Some(parent), "leg"));
    assert_eq!((view.summary.business_key.as_str(), view.summary.owner.as_deref()), ("ord_1", Some("usr_1")));
    assert_eq!(view.summary.attributes.to_string(), "leg_to:4", "read from its own input");
    assert_eq!(leg.shard(crate::rig::SHARDS), parent.shard(crate::rig::SHARDS));
    assert_eq!(sentence(client, parent).await, format!("`leg` waits for its child {leg}, which is running."));
    let (_, listed) = client.get(&format!("/api/sagas?parent={parent}")).await;
    assert_eq!((listed["items"].as_array().unwrap().len(), &listed["items"][0]["id"]), (1, &json!(leg)), "{listed}");
    worker.answer(true);
    let view = client.reaches(parent, SagaStatus::Completed).await;
    assert_eq!(view.steps[0].reply, Some(json!({ "reference": "walk-1", "until": null })), "the child's result");
    let pay = child_of(client, parent, "pay").await;
    assert_eq!(worker.carried_out(leg), ["walk"]);
    assert_eq!(worker.carried_out(pay), ["create-order", "hold-room", "authorize", "confirm-order"]);
    let (_, tree) = client.get(&format!("/api/sagas/{parent}/tree")).await;
    let below = |tree: &Value| {
        let children = tree["children"].as_array().unwrap().iter();
        children.map(|child| (child["name"].clone(), child["status"].clone())).collect::<Vec<_>>()
    };
    assert_eq!(tree["id"], json!(parent));
    assert_eq!(below(&tree), [(json!("leg"), json!("completed")), (json!("trip"), json!("completed"))]);
}

async fn a_child_that_is_refused_refuses_its_step(rig: &Rig) {
    let running = rig.orchestrator().await;
    let worker = rig.worker().await;
    let parent = running.client.start("family-trip", "refuse authorize").await;
    let view = running.client.reaches(parent, SagaStatus::Compensated).await;
    let cause = view.cause.unwrap();
    assert_eq!((cause.step.unwrap().as_str(), cause.code.as_str(), cause.refused), ("pay", "as_told", true));
    let leg = child_of(&running.client, parent, "leg").await;
    assert_eq!(worker.carried_out(leg), ["walk", "walk/back"], "what was completed before is undone");
    assert_eq!(running.client.view(leg).await.summary.status, SagaStatus::Compensated);
}

async fn a_cancel_goes_down_and_a_completed_child_is_undone_again(rig: &Rig) {
    let mut running = rig.orchestrator().await;
    running.owns_all().await;
    let client = &running.client;
    let worker = rig.worker().await;
    // Under way, with its parent not past its own point of no return.
    let parent = client.start("family-trip", "silent walk").await;
    let leg = child_of(client, parent, "leg").await;
    let (status, body) = client.act(parent, json!({ "action": "cancel" })).await;
    assert_eq!(status.as_u16(), 200, "{body}");
    client.reaches(parent, SagaStatus::Compensated).await;
    let view = client.reaches(leg, SagaStatus::Compensated).await;
    assert_eq!(view.cause.unwrap().code, "saga_cancelled");
    // The pivot waits for a child that can still go back.
    let parent = client.start("family-trip", "silent hold-room").await;
    let (leg, pay) = (child_of(client, parent, "leg").await, child_of(client, parent, "pay").await);
    assert_eq!(client.view(leg).await.summary.status, SagaStatus::Completed);
    let (status, body) = client.act(parent, json!({ "action": "cancel" })).await;
    assert_eq!(status.as_u16(), 200, "{body}");
    client.reaches(parent, SagaStatus::Compensated).await;
    for child in [leg, pay] {
        client.reaches(child, SagaStatus::Compensated).await;
    }
    assert_eq!(worker.carried_out(leg), ["walk", "walk/back"]);
    let back = ["create-order", "hold-room", "hold-room/back", "create-order/back"];
    assert_eq!(worker.carried_out(pay), back);
}

async fn a_parent_waits_for_a_child_that_needs_a_person_and_a_person_for_one_that_was_given_up(rig: &Rig) {
    let running = rig.orchestrator().await;
    let client = &running.client;
    let _worker = rig.worker().await;
    let parent = client.start("family-trip", "garble confirm-order").await;
    let pay = child_of(client, parent, "pay").await;
    client.reaches(pay, SagaStatus::NeedsAttention).await;
    assert_eq!(client.view(parent).await.summary.status, SagaStatus::Running);
    assert_eq!(sentence(client, parent).await, format!("`pay` waits for its child {pay}, which needs a person."));
    let (status, body) = client.act(pay, json!({ "action": "pause" })).await;
    assert_eq!(status.as_u16(), 200, "{body}");
    let (_, explanation) = client.get(&format!("/api/sagas/{parent}/explanation")).await;
    let reason = &explanation["reasons"][0];
    assert_eq!((&reason["status"], &reason["paused"]), (&json!("needs_attention"), &json!(true)), "{explanation}");
    assert!(
        explanation["sentence"].as_str().unwrap().ends_with("which needs a person and is paused."),
        "{explanation}"
    );
    let (status, body) = client.act(pay, json!({ "action": "abandon" })).await;
    assert_eq!(status.as_u16(), 200, "{body}");
    let view = client.reaches(parent, SagaStatus::NeedsAttention).await;
    let step = &view.steps[1];
    assert_eq!(
        (step.status, step.error.as_ref().unwrap().code.as_str()),
        (StepStatus::NeedsAttention, "child_abandoned")
    );
    let skip = json!({ "action": "skip", "step": "pay", "reply": null });
    let (status, body) = client.act(parent, skip).await;
    assert_eq!(status.as_u16(), 200, "{body}");
    client.reaches(parent, SagaStatus::Completed).await;
}

async fn a_child_that_was_left_alone_hears_its_parent_once_it_is_released(rig: &Rig) {
    let mut first = rig.orchestrator().await;
    first.owns_all().await;
    let worker = rig.worker().await;
    let parent = first.client.start("family-trip", "silent hold-room").await;
    let leg = child_of(&first.client, parent, "leg").await;
    let pay = child_of(&first.client, parent, "pay").await;
    until("the hold is asked for", async || (worker.received(pay, "hold-room") > 0).then_some(())).await;
    let journal = FlakyJournal::new(rig.journal().await);
    *journal.breakage.row_broken.lock().unwrap() = Some(leg);
    let parts = Parts { journal: Arc::clone(&journal) as _, ..rig.parts().await };
    first.stop.cancel();
    first.orchestrator.join().await;

    let mut second = Running::start(parts).await;
    second.owns_all().await;
    let client = &second.client;
    let (status, body) = client.act(parent, json!({ "action": "cancel" })).await;
    assert_eq!(status.as_u16(), 200, "{body}");
    client.reaches(pay, SagaStatus::Compensated).await;
    until("the leg is left alone", async || {
        let (_, quarantine) = client.get("/api/quarantine").await;
        (quarantine["items"][0]["saga_id"] == json!(leg)).then_some(())
    })
    .await;
    *journal.breakage.row_broken.lock().unwrap() = None;
    let reason = json!({ "reason": "restored from the backup" });
    let (status, body) = client.post(&format!("/api/quarantine/{leg}/release"), &reason).await;
    assert_eq!(status.as_u16(), 200, "{body}");
    client.reaches(parent, SagaStatus::Compensated).await;
    assert_eq!(worker.carried_out(leg), ["walk", "walk/back"]);
}

async fn a_parent_hears_of_a_child_that_was_abandoned_unread(rig: &Rig) {
    let mut first = rig.orchestrator().await;
    first.owns_all().await;
    let worker = rig.worker().await;
    let parent = first.client.start("family-trip", "silent hold-room").await;
    let pay = child_of(&first.client, parent, "pay").await;
    until("the hold is asked for", async || (worker.received(pay, "hold-room") > 0).then_some(())).await;
    let journal = FlakyJournal::new(rig.journal().await);
    *journal.breakage.row_broken.lock().unwrap() = Some(pay);
    *journal.breakage.unwritable.lock().unwrap() = Some(pay);
    let parts = Parts { journal: Arc::clone(&journal) as _, ..rig.parts().await };
    first.stop.cancel();
    first.orchestrator.join().await;

    let mut second = Running::start(parts).await;
    second.owns_all().await;
    let client = &second.client;
    let quarantine = async || client.get("/api/quarantine").await.1["items"].clone();
    until("the child is left alone", async || (quarantine().await[0]["saga_id"] == json!(pay)).then_some(())).await;
    let alone =
        format!("`pay` waits for its child {pay}, which is left alone until a person releases it (row_broken).");
    assert_eq!(sentence(client, parent).await, alone);
    let (status, problem) = client.act(pay, json!({ "action": "abandon" })).await;
    assert_eq!((status.as_u16(), &problem["code"]), (409, &json!("journal_damaged")), "{problem}");
    *journal.breakage.unwritable.lock().unwrap() = None;
    // The first commit after that is likely the parent's: the lane that is lost by it has told nobody, and its next owner
    // has only the row to tell from.
    journal.breakage.before_commit.store(1, Ordering::SeqCst);
    let (status, body) = client.act(pay, json!({ "action": "abandon" })).await;
    assert_eq!((status.as_u16(), &body["status"]), (200, &json!("abandoned")), "{body}");
    let view = client.reaches(parent, SagaStatus::NeedsAttention).await;
    assert_eq!(view.steps[1].error.as_ref().unwrap().code, "child_abandoned");
    assert_eq!(quarantine().await, json!([]), "it has ended, though it still cannot be read");
    let (status, body) = client.act(pay, json!({ "action": "abandon" })).await;
    assert_eq!((status.as_u16(), &body["status"]), (200, &json!("abandoned")), "{body}");
    // To everything else it is a saga that has ended.
    let (status, problem) = client.act(pay, json!({ "action": "retry" })).await;
    assert_eq!((status.as_u16(), &problem["code"]), (409, &json!("saga_finished")), "{problem}");
    let signal = json!({ "id": "evt_1", "payload": {} });
    let (status, problem) = client.post(&format!("/api/sagas/{pay}/signals/approval"), &signal).await;
    assert_eq!((status.as_u16(), &problem["code"]), (409, &json!("saga_finished")), "{problem}");
}

async fn as_many_children_as_there_may_be_begin_and_end_and_are_shown_in_one_tree(rig: &Rig) {
    let running = rig.orchestrator().await;
    let _worker = rig.worker().await;
    let parent = running.client.start("caravan", "").await;
    running.client.reaches(parent, SagaStatus::Completed).await;
    let (status, tree) = running.client.get(&format!("/api/sagas/{parent}/tree")).await;
    assert_eq!(status.as_u16(), 200, "{tree}");
    let children = |of: &Value| of["children"].as_array().unwrap().clone();
    let groups = children(&tree);
    let legs: Vec<_> = groups.iter().flat_map(children).collect();
    assert_eq!(groups.len() + legs.len(), CHILDREN_MAX);
    assert!(groups.iter().chain(&legs).all(|saga| saga["status"] == "completed"), "{tree}");
}

async fn a_takeover_finds_the_ends_that_the_parent_never_heard_of(rig: &Rig) {
    let mut first = rig.orchestrator().await;
    first.owns_all().await;
    let worker = rig.worker().await;
    worker.answer(false);
    let mut parents = Vec::new();
    for _ in 0..20 {
        parents.push(first.client.start("family-trip", "").await);
    }
    // All are in the middle of it when the orchestrator dies, and most when the next one does.
    worker.answer(true);
    let parts = rig.parts().await;
    first.kill();
    let mut second = Running::start_waiting(parts).await;
    second.owns_all().await;
    let parts = rig.parts().await;
    second.kill();
    let mut third = Running::start_waiting(parts).await;
    third.owns_all().await;
    for parent in parents {
        third.client.reaches(parent, SagaStatus::Completed).await;
        let (_, tree) = third.client.get(&format!("/api/sagas/{parent}/tree")).await;
        let children = tree["children"].as_array().unwrap();
        assert!(children.len() == 2 && children.iter().all(|child| child["status"] == "completed"), "{tree}");
    }
}
