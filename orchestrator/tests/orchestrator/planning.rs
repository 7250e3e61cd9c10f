//! The plan of an act: what it would send is told, and nothing is sent.

use contract::saga::SagaStatus;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::{
    rig::{Rig, SHARDS, on_both_journals, until},
    worker::Worker,
};

on_both_journals!(
    a_plan_tells_what_the_act_then_does_and_does_nothing_itself,
    many_sagas_are_planned_at_once_and_summed_up_by_step,
);

async fn a_plan_tells_what_the_act_then_does_and_does_nothing_itself(rig: &Rig) {
    let running = rig.orchestrator().await;
    let worker = rig.worker().await;
    let saga = running.client.start("trip", "silent authorize").await;
    until("it waits", async || (worker.received(saga, "authorize") > 0).then_some(())).await;
    let before = running.client.view(saga).await;

    let path = format!("/api/sagas/{saga}/plan");
    let (status, plan) = running.client.post(&path, &json!({ "action": "cancel" })).await;
    assert_eq!(status, StatusCode::OK, "{plan}");
    let steps: Vec<_> = plan["commands"].as_array().unwrap().iter().map(words).collect();
    assert_eq!(
        steps,
        [
            "0 now payment.void of authorize",
            "1 after_replies accommodation.release_rooms of hold-room",
            "2 after_replies order.reject of create-order",
        ]
    );
    assert_eq!((&plan["end"], &plan["head"]), (&json!("compensated"), &json!(before.head)));
    assert!(!plan.to_string().contains("silent authorize"), "no input is shown: {plan}");

    let (_, abandon) = running.client.post(&path, &json!({ "action": "abandon" })).await;
    assert_eq!(abandon["left"].as_array().map(Vec::len), Some(3), "{abandon}");
    let (status, retry) = running.client.post(&path, &json!({ "action": "retry" })).await;
    assert_eq!((status, &retry["refused"]["code"]), (StatusCode::OK, &json!("retry_impossible")), "{retry}");
    assert_eq!(running.client.view(saga).await.head, before.head, "a plan commits nothing");
    assert!(!backs(&worker, saga).contains(&"authorize/back".to_owned()), "a plan sends nothing");

    let (status, body) = running.client.act(saga, json!({ "action": "cancel", "if_head": before.head })).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    running.client.reaches(saga, SagaStatus::Compensated).await;
    assert_eq!(backs(&worker, saga), ["authorize/back", "hold-room/back", "create-order/back"]);
    let (_, over) = running.client.post(&path, &json!({ "action": "cancel" })).await;
    assert_eq!((&over["refused"]["code"], &over["end"]), (&json!("saga_finished"), &json!("compensated")), "{over}");
}

async fn many_sagas_are_planned_at_once_and_summed_up_by_step(rig: &Rig) {
    let running = rig.orchestrator().await;
    let worker = rig.worker().await;
    let mut ids = Vec::new();
    for _ in 0..2 {
        let saga = running.client.start("trip", "silent hold-room").await;
        until("it waits", async || (worker.received(saga, "hold-room") > 0).then_some(())).await;
        ids.push(saga);
    }
    let unknown = kit::ids::saga_id(0, SHARDS);
    ids.push(unknown);
    let (status, plans) = running.client.post("/api/plans", &json!({ "action": "cancel", "saga_ids": ids })).await;
    assert_eq!(status, StatusCode::OK, "{plans}");
    assert_eq!(plans["plans"].as_array().map(Vec::len), Some(2), "{plans}");
    assert_eq!(plans["unplanned"][0]["code"], json!("saga_unknown"));
    let hold = plans["summary"].as_array().unwrap().iter().find(|total| total["step"] == "hold-room").unwrap();
    assert_eq!((&hold["now"], &hold["later"]), (&json!(2), &json!(0)), "{hold}");

    let too_many: Vec<_> = (0..=contract::orchestrator_api::PLANS_MAX).map(|_| unknown).collect();
    for ids in [Vec::new(), too_many] {
        let (status, problem) =
            running.client.post("/api/plans", &json!({ "action": "cancel", "saga_ids": ids })).await;
        assert_eq!((status.as_u16(), &problem["code"]), (422, &json!("field_invalid")), "{problem}");
    }
}

fn words(command: &Value) -> String {
    let text = |name: &str| command[name].as_str().unwrap_or_default().to_owned();
    format!("{} {} {} of {}", command["round"], text("when"), text("command"), text("step"))
}

/// The compensations that a saga's worker has carried out.
fn backs(worker: &Worker, saga: contract::SagaId) -> Vec<String> {
    worker.carried_out(saga).into_iter().filter(|step| step.ends_with("/back")).collect()
}
