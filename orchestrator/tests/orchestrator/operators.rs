//! Repairs by hand, on the orchestrator that owns the saga's shard and on one that does not.

use contract::saga::{SagaStatus, StepStatus};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::{
    client::start_body,
    rig::{Rig, Running, SHARDS, on_both_journals, on_real_servers, until},
};

on_both_journals!(
    whichever_orchestrator_is_asked_the_saga_hears_its_operator,
    what_cannot_be_done_is_refused_with_its_reason,
    a_request_is_carried_out_once_also_after_a_takeover_and_only_on_the_saga_that_was_seen,
    a_command_is_edited_as_it_was_seen_and_a_compensation_resolved_by_hand,
    an_action_needs_a_name_a_role_and_a_reason,
    no_text_of_an_operator_brings_a_card_number_in,
);

on_real_servers!(whichever_orchestrator_is_asked_the_saga_hears_its_operator);

async fn whichever_orchestrator_is_asked_the_saga_hears_its_operator(rig: &Rig) {
    let mut first = rig.orchestrator().await;
    let mut second = Running::start_waiting(rig.parts().await).await;
    second.owns(|owned| owned == usize::from(SHARDS) / 2).await;
    first.owns(|owned| owned == usize::from(SHARDS) / 2).await;
    let worker = rig.worker().await;

    let stuck = first.client.start("quick-trip", "garble confirm-order 1").await;
    first.client.reaches(stuck, SagaStatus::NeedsAttention).await;
    let (_, page) = second.client.get("/api/sagas?status=needs_attention").await;
    assert_eq!(page["items"][0]["id"], json!(stuck));
    let (status, body) = second.client.act(stuck, json!({ "action": "retry" })).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    second.client.reaches(stuck, SagaStatus::Completed).await;

    let skipped = first.client.start("trip", "silent hold-room").await;
    until("the hold is asked for", async || (worker.received(skipped, "hold-room") > 0).then_some(())).await;
    let skip = json!({ "action": "skip", "step": "hold-room", "reply": { "reference": "by-phone" }, "force": true });
    let (status, body) = second.client.act(skipped, skip).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let view = first.client.reaches(skipped, SagaStatus::Completed).await;
    assert!(view.steps[1].skipped && view.steps[1].status == StepStatus::Done);
    let journal = serde_json::to_string(&first.client.journal(skipped).await).unwrap();
    assert!(journal.contains("usr_test") && journal.contains("because a test says so"), "{journal}");

    for asked in [&first, &second] {
        let cancelled = first.client.start("trip", "silent authorize").await;
        until("it waits", async || (worker.received(cancelled, "authorize") > 0).then_some(())).await;
        let (status, body) = asked.client.act(cancelled, json!({ "action": "cancel" })).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        first.client.reaches(cancelled, SagaStatus::Compensated).await;
        assert!(worker.carried_out(cancelled).contains(&"authorize/back".to_owned()), "in doubt is undone too");
    }

    let abandoned = second.client.start("trip", "silent create-order").await;
    let (status, body) = first.client.act(abandoned, json!({ "action": "abandon" })).await;
    assert_eq!((status, &body["status"]), (StatusCode::OK, &json!("abandoned")), "{body}");
}

async fn what_cannot_be_done_is_refused_with_its_reason(rig: &Rig) {
    let running = rig.orchestrator().await;
    let worker = rig.worker().await;
    let done = running.client.start("trip", "").await;
    running.client.reaches(done, SagaStatus::Completed).await;
    let (status, problem) = running.client.act(done, json!({ "action": "cancel" })).await;
    assert_eq!((status.as_u16(), &problem["code"]), (409, &json!("saga_finished")), "{problem}");

    let waiting = running.client.start("trip", "silent hold-room").await;
    until("it waits", async || (worker.received(waiting, "hold-room") > 0).then_some(())).await;
    let skip = json!({ "action": "skip", "step": "hold-room", "reply": { "nonsense": 1 }, "force": true });
    let (status, problem) = running.client.act(waiting, skip).await;
    assert_eq!((status.as_u16(), &problem["code"]), (422, &json!("reply_mismatch")), "{problem}");
    let skip = json!({ "action": "skip", "step": "hold-room", "reply": { "reference": "by-phone" } });
    let (status, problem) = running.client.act(waiting, skip).await;
    assert_eq!((status.as_u16(), &problem["code"]), (409, &json!("skip_impossible")), "{problem}");
    let skip = json!({ "action": "skip", "step": "fly", "reply": {} });
    let (status, problem) = running.client.act(waiting, skip).await;
    assert_eq!((status.as_u16(), &problem["code"]), (409, &json!("step_unknown")), "{problem}");

    let unknown = kit::ids::saga_id(0, SHARDS);
    let (status, problem) = running.client.act(unknown, json!({ "action": "cancel" })).await;
    assert_eq!((status.as_u16(), &problem["code"]), (404, &json!("saga_unknown")), "{problem}");
}

async fn a_request_is_carried_out_once_also_after_a_takeover_and_only_on_the_saga_that_was_seen(rig: &Rig) {
    let mut first = rig.orchestrator().await;
    first.owns_all().await;
    let worker = rig.worker().await;
    let saga = first.client.start("trip", "silent hold-room").await;
    until("it waits", async || (worker.received(saga, "hold-room") > 0).then_some(())).await;
    let head = first.client.view(saga).await.head;
    let request = kit::ids::request_id();
    let retry = |if_head: u64| {
        let reply = json!({ "reference": "by-phone" });
        let skip = json!({ "action": "skip", "step": "hold-room", "reply": reply, "force": true });
        let mut named = skip;
        named["request_id"] = json!(request);
        named["if_head"] = json!(if_head);
        named
    };
    let (status, problem) = first.client.act(saga, json!({ "action": "cancel", "if_head": head - 1 })).await;
    assert_eq!((status.as_u16(), &problem["code"]), (409, &json!("head_moved")), "{problem}");
    let (status, body) = first.client.act(saga, retry(head)).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let done = first.client.reaches(saga, SagaStatus::Completed).await;
    // The answer was lost, and the request is repeated: here, and where the shard is served next.
    let (status, body) = first.client.act(saga, retry(head)).await;
    assert_eq!((status, &body["head"]), (StatusCode::OK, &json!(done.head)), "{body}");
    let parts = rig.parts().await;
    first.stop.cancel();
    first.orchestrator.join().await;
    let mut second = Running::start(parts).await;
    second.owns_all().await;
    let (status, body) = second.client.act(saga, retry(head)).await;
    assert_eq!((status, &body["head"]), (StatusCode::OK, &json!(done.head)), "{body}");
}

async fn a_command_is_edited_as_it_was_seen_and_a_compensation_resolved_by_hand(rig: &Rig) {
    let running = rig.orchestrator().await;
    let worker = rig.worker().await;
    let poisoned = running.client.start("trip", "garble confirm-order").await;
    running.client.reaches(poisoned, SagaStatus::NeedsAttention).await;
    let edit = |script: Value, if_head: &Value| json!({ "action": "edit", "step": "confirm-order", "patch": { "script": script }, "if_head": if_head });
    let asked = json!({ "action": "edit", "step": "confirm-order", "patch": { "script": "" } });
    let (status, plan) = running.client.post(&format!("/api/sagas/{poisoned}/plan"), &asked).await;
    let change = json!({ "pointer": "/script", "before": "garble confirm-order", "after": "" });
    assert_eq!((status, &plan["changes"]), (StatusCode::OK, &json!([change])), "{plan}");
    for (act, code, place) in [
        (edit(json!(""), &Value::Null), "field_invalid", "#/if_head"),
        (edit(json!(7), &plan["head"]), "command_mismatch", "#/patch"),
    ] {
        let (status, problem) = running.client.act(poisoned, act).await;
        assert_eq!((status.as_u16(), &problem["code"]), (422, &json!(code)), "{problem}");
        assert_eq!(problem["errors"][0]["pointer"], place, "{problem}");
    }
    let (status, body) = running.client.act(poisoned, edit(json!(""), &plan["head"])).await;
    assert_eq!((status, &body["steps"][3]["edited"]), (StatusCode::OK, &json!([change])), "{body}");
    running.client.reaches(poisoned, SagaStatus::Completed).await;
    let journal = serde_json::to_string(&running.client.journal(poisoned).await).unwrap();
    assert!(journal.contains("command_edited") && journal.contains("usr_test"), "{journal}");

    let stuck = running.client.start("trip", "refuse confirm-order; refuse hold-room/back").await;
    running.client.reaches(stuck, SagaStatus::NeedsAttention).await;
    let resolve = |evidence: &str| json!({ "action": "resolve", "step": "hold-room", "evidence": evidence });
    let (status, problem) = running.client.act(stuck, resolve("done")).await;
    assert_eq!((status.as_u16(), &problem["code"]), (422, &json!("body_invalid")), "{problem}");
    let (status, body) = running.client.act(stuck, resolve("released by phone, ref. 8812")).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let view = running.client.reaches(stuck, SagaStatus::Compensated).await;
    assert_eq!(view.steps[1].resolved.as_ref().map(contract::Evidence::as_str), Some("released by phone, ref. 8812"));
    assert!(worker.carried_out(stuck).contains(&"create-order/back".to_owned()), "what came before it is undone");
}

async fn an_action_needs_a_name_a_role_and_a_reason(rig: &Rig) {
    let running = rig.orchestrator().await;
    let saga = running.client.start("trip", "").await;
    let path = format!("/api/sagas/{saga}/actions");
    let body = json!({ "action": "cancel", "reason": "because" });
    let nameless = running.client.request(Method::POST, &path).json(&body).send().await.unwrap();
    assert_eq!(nameless.status(), StatusCode::BAD_REQUEST);
    for (body, code) in [
        (json!({ "action": "cancel" }), "body_invalid"),
        (json!({ "action": "cancel", "reason": "" }), "reason_invalid"),
        (json!({ "action": "explode", "reason": "because" }), "body_invalid"),
    ] {
        let (status, problem) = running.client.post(&path, &body).await;
        assert_eq!((status.as_u16(), &problem["code"]), (422, &json!(code)), "{problem}");
    }
}

async fn no_text_of_an_operator_brings_a_card_number_in(rig: &Rig) {
    let running = rig.orchestrator().await;
    let saga = running.client.start("trip", "").await;
    let actions = format!("/api/sagas/{saga}/actions");
    let start = |name: &str, value: Value| {
        let mut body = start_body("trip", "");
        body[name] = value;
        body
    };
    let card = "2026-11 4242 4242 4242 4242 123";
    let skip = json!({ "action": "skip", "step": "hold-room", "reason": "because", "reply": { "reference": card } });
    for (path, body, place) in [
        (actions.as_str(), json!({ "action": "cancel", "reason": card }), "#/reason"),
        (actions.as_str(), skip, "#/reply/reference"),
        ("/api/dead-letters/4711/redrive", json!({ "reason": card }), "#/reason"),
        ("/api/sagas", start("input", json!({ "place": card, "script": "" })), "#/input/place"),
        ("/api/sagas", start("business_key", json!(card)), "#/business_key"),
        ("/api/sagas", start("owner", json!(card)), "#/owner"),
        ("/api/sagas", start("idempotency", json!({ "key": card, "fingerprint": "f" })), "#/idempotency/key"),
    ] {
        let (status, problem) = running.client.post(path, &body).await;
        assert_eq!((status.as_u16(), &problem["code"]), (422, &json!("card_number_refused")), "{problem}");
        assert_eq!(problem["errors"][0]["pointer"], place);
        assert!(!problem.to_string().contains("4242"), "{problem}");
    }
}
