//! Messages that no saga can hear, sagas that cannot be read: named, kept, shown, and in no other saga's way.

use std::sync::Arc;

use contract::{
    CommandId, Outcome, StepName,
    envelope::{CommandEnvelope, KIND_COMMAND, KIND_REPLY},
    saga::SagaStatus,
    step::Op,
};
use messaging::{Exchange, Message, Outgoing, QueueName};
use reqwest::StatusCode;
use serde_json::json;

use crate::{
    flaky::FlakyJournal,
    rig::{Parts, Rig, Running, SHARDS, on_both_journals, on_real_servers, until},
    trip, worker,
};

on_both_journals!(
    an_unusable_message_is_kept_and_shown_and_holds_nothing_up,
    a_dead_command_is_told_to_its_saga_and_can_be_sent_again,
    a_saga_of_another_programs_version_is_left_alone,
    a_broken_row_costs_its_own_saga_only,
);

on_real_servers!(
    an_unusable_message_is_kept_and_shown_and_holds_nothing_up,
    a_dead_command_is_told_to_its_saga_and_can_be_sent_again,
);

async fn an_unusable_message_is_kept_and_shown_and_holds_nothing_up(rig: &Rig) {
    let running = rig.orchestrator().await;
    let worker = rig.worker().await;
    let broker = rig.broker().await;
    let saga = running.client.start("trip", "").await;
    running.client.reaches(saga, SagaStatus::Completed).await;
    let known = worker.envelope(saga, "create-order").unwrap();
    let queue = known.reply_to.clone();

    let unknown = kit::ids::saga_id(saga.shard(SHARDS), SHARDS);
    let of = |saga| CommandId { saga, step: StepName::new("no-such-step").unwrap(), op: Op::Action, generation: 1 };
    let saga_unknown = CommandEnvelope { command_id: of(unknown), ..known.clone() };
    let command_unknown = CommandEnvelope { command_id: of(saga), ..known.clone() };
    let broken = format!(r#"{{"command_id":"{}","outcome":"perhaps"}}"#, known.command_id);
    let letters = vec![
        Outgoing::reply(&queue, Message::new("one", KIND_REPLY, "not json")),
        Outgoing::reply(&queue, Message::new("two", "sojourn.novelty", "{}")),
        Outgoing::reply(&queue, Message::new("three", KIND_REPLY, broken)),
        worker::reply(&saga_unknown, Outcome::done(json!({}))),
        worker::reply(&command_unknown, Outcome::done(json!({}))),
    ];
    let sent = letters.len();
    assert!(broker.publish(letters).await.iter().all(Result::is_ok));
    let kept = until("all are kept", async || {
        let (_, page) = running.client.get("/api/dead-letters").await;
        let items = page["items"].as_array().unwrap().clone();
        (items.len() == sent).then_some(items)
    })
    .await;
    let reasons: Vec<_> = kept.iter().map(|letter| letter["reason"].as_str().unwrap()).collect();
    for part in ["not a readable reply", "sojourn.novelty", &format!("no saga {unknown}")] {
        assert!(reasons.iter().any(|reason| reason.contains(part)), "{part}: {reasons:?}");
    }
    assert!(kept.iter().all(|letter| letter["queue"] == json!(queue)), "{kept:?}");
    let (mut paged, mut next) = (Vec::new(), String::new());
    loop {
        let (_, page) = running.client.get(&format!("/api/dead-letters?page_size=2{next}")).await;
        paged.extend(page["items"].as_array().unwrap().iter().cloned());
        let Some(token) = page["next_page_token"].as_str() else { break };
        next = format!("&page_token={token}");
    }
    assert_eq!(paged, kept);
    let view = running.client.view(saga).await;
    assert_eq!(view.dead_letters.len(), 2, "{:?}", view.dead_letters);

    let after = running.client.start("trip", "").await;
    running.client.reaches(after, SagaStatus::Completed).await;
}

async fn a_dead_command_is_told_to_its_saga_and_can_be_sent_again(rig: &Rig) {
    let running = rig.orchestrator().await;
    let broker = rig.broker().await;
    // Before any worker: the command waits in its queue, and dies there by our hand.
    let saga = running.client.start("trip", "").await;
    let mut commands = broker.subscribe(&QueueName::commands("order"), 1).await.unwrap();
    let delivery = commands.next_batch(1).await.unwrap().remove(0);
    assert_eq!(delivery.message.kind, KIND_COMMAND);
    commands.acker().dead_letter(&delivery, "version 1 is not read here").await;
    let view = until("the saga has heard of it", async || {
        let view = running.client.view(saga).await;
        let told = view.steps[0].error.as_ref().is_some_and(|error| error.code == "command_dead_lettered");
        (told && view.dead_letters.len() == 1).then_some(view)
    })
    .await;
    commands.cancel().await;
    // Its step is under way again by itself.
    let redrive = async |letter: i64| {
        let path = format!("/api/dead-letters/{letter}/redrive");
        running.client.post(&path, &json!({ "reason": "fixed" })).await
    };
    let first = view.dead_letters[0].id;
    let (status, problem) = until("it is sent again", async || {
        let answer = redrive(first).await;
        (answer.0 != StatusCode::OK).then_some(answer)
    })
    .await;
    // By itself, or by this letter, which is sent again once.
    let again = ["retry_impossible", "dead_letter_redriven"].map(|code| json!(code)).contains(&problem["code"]);
    assert!(status == StatusCode::CONFLICT && again, "{status} {problem}");
    let worker = rig.worker().await;
    running.client.reaches(saga, SagaStatus::Completed).await;
    assert_eq!(worker.carried_out(saga).len(), 4);

    // One whose step has come to a stand is done again: by a retry in the journal, not by the letter's old body.
    let stuck = running.client.start("quick-trip", "garble confirm-order 1").await;
    running.client.reaches(stuck, SagaStatus::NeedsAttention).await;
    let body = serde_json::to_vec(&worker.envelope(stuck, "confirm-order").unwrap()).unwrap();
    let message = Message::new(kit::ids::message_id().to_string(), KIND_COMMAND, body);
    let dead = Outgoing::to(Exchange::DeadLetters, String::new(), message);
    assert!(broker.publish(vec![dead]).await.iter().all(Result::is_ok));
    let letter = until("the letter is kept", async || {
        running.client.view(stuck).await.dead_letters.first().map(|letter| letter.id)
    })
    .await;
    let (status, body) = redrive(letter).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    assert!(body["redriven_at"].is_string());
    running.client.reaches(stuck, SagaStatus::Completed).await;
    let journal = serde_json::to_string(&running.client.journal(stuck).await).unwrap();
    assert!(journal.contains("operator_acted") && journal.contains("fixed"), "{journal}");
    let (status, problem) = redrive(letter).await;
    assert_eq!((status.as_u16(), &problem["code"]), (409, &json!("dead_letter_redriven")), "{problem}");
    let (status, problem) = redrive(9999).await;
    assert_eq!((status.as_u16(), &problem["code"]), (404, &json!("dead_letter_unknown")));
}

async fn a_saga_of_another_programs_version_is_left_alone(rig: &Rig) {
    let mut old = rig.orchestrator().await;
    old.owns_all().await;
    let saga = old.client.start("trip", "").await;
    let head = old.client.view(saga).await.head;
    // The journal in memory lives as long as one process takes part.
    let parts = Parts { catalog: trip::later_catalog(), ..rig.parts().await };
    old.stop.cancel();
    old.orchestrator.join().await;
    let mut new = Running::start(parts).await;
    new.owns_all().await;
    let worker = rig.worker().await;
    let other = new.client.start("trip", "").await;
    new.client.reaches(other, SagaStatus::Completed).await;
    let (status, problem) = new.client.act(saga, json!({ "action": "cancel" })).await;
    assert_eq!((status.as_u16(), &problem["code"]), (409, &json!("definition_unknown")), "{problem}");
    let view = new.client.view(saga).await;
    assert_eq!((view.head, view.summary.status), (head, SagaStatus::Running));
    assert_eq!(view.cause.unwrap().code, "definition_unknown");
    until("its reply is kept and shown", async || (new.client.view(saga).await.dead_letters.len() == 1).then_some(()))
        .await;
    assert_eq!(worker.carried_out(saga), ["create-order"]);
    let parts = rig.parts().await;
    new.stop.cancel();
    new.orchestrator.join().await;

    // The program that knows it goes on where it stood.
    let again = Running::start(parts).await;
    again.client.reaches(saga, SagaStatus::Completed).await;
}

async fn a_broken_row_costs_its_own_saga_only(rig: &Rig) {
    let mut first = rig.orchestrator().await;
    first.owns_all().await;
    let mut started = Vec::new();
    for _ in 0..6 {
        started.push(first.client.start("trip", "").await);
    }
    let journal = FlakyJournal::new(rig.journal().await);
    let parts = Parts { journal: Arc::clone(&journal) as _, ..rig.parts().await };
    first.stop.cancel();
    first.orchestrator.join().await;

    let broken = started.remove(2);
    *journal.breakage.row_broken.lock().unwrap() = Some(broken);
    let mut second = Running::start(parts).await;
    second.owns_all().await;
    let _worker = rig.worker().await;
    for saga in started {
        second.client.reaches(saga, SagaStatus::Completed).await;
    }
    let (status, problem) = second.client.act(broken, json!({ "action": "cancel" })).await;
    assert_eq!((status.as_u16(), &problem["code"]), (409, &json!("row_broken")), "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("saga_journal"), "{problem}");
    let letters = until("its reply is kept and shown", async || {
        let letters = second.client.view(broken).await.dead_letters;
        (!letters.is_empty()).then_some(letters)
    })
    .await;
    assert!(letters[0].reason.contains("is broken in column"), "{letters:?}");

    let quarantine = async || second.client.get("/api/quarantine").await.1["items"].clone();
    let listed = quarantine().await;
    assert_eq!((listed.as_array().unwrap().len(), &listed[0]["saga_id"]), (1, &json!(broken)), "{listed}");
    assert_eq!(listed[0]["code"], "row_broken", "{listed}");
    let signal = json!({ "id": "evt_1", "payload": { "by": "ann" } });
    let (status, effect) = second.client.post(&format!("/api/sagas/{broken}/signals/approval"), &signal).await;
    assert_eq!((status, &effect["effect"]), (StatusCode::OK, &json!("kept")), "{effect}");
    let release = format!("/api/quarantine/{broken}/release");
    let reason = json!({ "reason": "restored from the backup" });
    let (status, problem) = second.client.post(&release, &reason).await;
    assert_eq!((status.as_u16(), &problem["code"]), (409, &json!("row_broken")), "it is still broken: {problem}");
    // The row is mended: the saga hears the reply that was kept for it, and goes on.
    *journal.breakage.row_broken.lock().unwrap() = None;
    let (status, body) = second.client.post(&release, &reason).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    second.client.reaches(broken, SagaStatus::Completed).await;
    assert_eq!(quarantine().await, json!([]));

    let lost = second.client.start("trip", "silent create-order").await;
    *journal.breakage.row_broken.lock().unwrap() = Some(lost);
    let parts = Parts { journal: Arc::clone(&journal) as _, ..rig.parts().await };
    second.stop.cancel();
    second.orchestrator.join().await;
    let mut third = Running::start(parts).await;
    third.owns_all().await;
    until("it is left alone", async || {
        (!third.client.get("/api/quarantine").await.1["items"].as_array()?.is_empty()).then_some(())
    })
    .await;
    let (status, body) = third.client.act(lost, json!({ "action": "abandon" })).await;
    assert_eq!((status, &body["status"]), (StatusCode::OK, &json!("abandoned")), "{body}");
    assert_eq!(third.client.get("/api/quarantine").await.1["items"], json!([]));
}
