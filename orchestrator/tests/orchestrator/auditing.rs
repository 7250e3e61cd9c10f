//! The audit log: each act of an operator is in it, before and after, and the chain holds.

use contract::{
    orchestrator_api::{HEADER_ACTOR, HEADER_ROLE},
    saga::SagaStatus,
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::{
    client::start_body,
    rig::{Rig, on_both_journals},
};

on_both_journals!(
    what_operators_do_and_are_refused_is_written_down_and_the_chain_holds,
    reads_plans_and_the_acts_of_clients_are_not_written_down,
    an_act_of_another_part_is_written_down_by_the_gateway,
    documents_are_masked_live_ones_too_until_an_operator_has_a_reason,
);

async fn what_operators_do_and_are_refused_is_written_down_and_the_chain_holds(rig: &Rig) {
    let running = rig.orchestrator().await;
    let _worker = rig.worker().await;
    let (status, started) = running.client.post("/api/sagas", &start_body("trip", "")).await;
    assert_eq!(status, StatusCode::CREATED, "{started}");
    let saga = serde_json::from_value(started["saga_id"].clone()).unwrap();
    running.client.reaches(saga, SagaStatus::Completed).await;
    let request = kit::ids::request_id();
    let (status, _) = running.client.act(saga, json!({ "action": "cancel", "request_id": request })).await;
    assert_eq!(status, StatusCode::CONFLICT);
    let redrive = json!({ "reason": "paid with 4242 4242 4242 4242 123" });
    running.client.post("/api/dead-letters/4711/redrive", &redrive).await;

    let (status, page) = running.client.get("/api/audit").await;
    assert_eq!(status, StatusCode::OK, "{page}");
    let rows: Vec<String> = page["items"].as_array().unwrap().iter().rev().map(words).collect();
    let saga = saga.to_string();
    assert_eq!(
        rows,
        [
            "1 usr_test/operator start sagas: asked".to_owned(),
            format!("2 usr_test/operator start {saga}: done, answers 1"),
            format!("3 usr_test/operator cancel {saga}: asked, because a test says so"),
            format!("4 usr_test/operator cancel {saga}: saga_finished, answers 3, because a test says so"),
            "5 usr_test/operator redrive dead-letters/4711: asked, (withheld: it holds a card number)".to_owned(),
            "6 usr_test/operator redrive dead-letters/4711: card_number_refused, answers 5, (withheld: it holds a \
             card number)"
                .to_owned(),
        ]
    );
    assert_eq!(page["items"][2]["request_id"], json!(request), "the operator's own name for it");
    let (_, found) = running.client.get(&format!("/api/audit?target={saga}&act=cancel&page_size=1")).await;
    assert_eq!(found["items"][0]["number"], json!(4));
    let token = found["next_page_token"].as_str().unwrap();
    let (_, found) =
        running.client.get(&format!("/api/audit?target={saga}&act=cancel&page_size=1&page_token={token}")).await;
    assert_eq!((&found["items"][0]["number"], &found["next_page_token"]), (&json!(3), &Value::Null));

    let (_, proof) = running.client.get("/api/audit/verification").await;
    assert_eq!((&proof["checked"], &proof["broken"]), (&json!(6), &Value::Null), "{proof}");
    assert_eq!(proof["head"]["hash"], page["items"][0]["hash"]);
    let (_, proof) = running.client.get("/api/audit/verification?after=4").await;
    assert_eq!((&proof["checked"], &proof["begins_with"]), (&json!(2), &page["items"][2]["hash"]), "{proof}");
}

async fn reads_plans_and_the_acts_of_clients_are_not_written_down(rig: &Rig) {
    let running = rig.orchestrator().await;
    let saga = running.client.start("trip", "").await;
    let path = format!("/api/sagas/{saga}");
    let (status, _) = running.client.post(&format!("{path}/plan"), &json!({ "action": "cancel" })).await;
    assert_eq!(status, StatusCode::OK);
    running.client.get(&path).await;
    let act = json!({ "action": "cancel", "reason": "the client let it go" });
    let request = running.client.request(Method::POST, &format!("{path}/actions")).json(&act);
    let canceled = request.header(HEADER_ACTOR, "usr_ada").header(HEADER_ROLE, "client").send().await.unwrap();
    assert_eq!(canceled.status(), StatusCode::OK);
    let journal = serde_json::to_string(&running.client.journal(saga).await).unwrap();
    assert!(journal.contains("usr_ada"), "the saga's own journal says who it was: {journal}");
    let (_, proof) = running.client.get("/api/audit/verification").await;
    assert_eq!((&proof["checked"], &proof["head"]["number"]), (&json!(0), &json!(0)), "{proof}");
}

async fn an_act_of_another_part_is_written_down_by_the_gateway(rig: &Rig) {
    let running = rig.orchestrator().await;
    let row = |outcome: &str, answers: Option<u64>, reason: &str| {
        json!({
            "request_id": "req_1", "act": "disable", "target": "usr_2", "reason": reason, "outcome": outcome,
            "answers": answers,
        })
    };
    let (status, asked) = running.client.post("/internal/audit", &row("asked", None, "left us")).await;
    assert_eq!((status, &asked["number"]), (StatusCode::OK, &json!(1)), "{asked}");
    running.client.post("/internal/audit", &row("admin_last", Some(1), "left us")).await;
    let (status, refused) = running.client.post("/internal/audit", &row("asked", None, "")).await;
    assert_eq!((status, &refused["code"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("reason_invalid")));
    let (_, page) = running.client.get("/api/audit").await;
    let rows: Vec<String> = page["items"].as_array().unwrap().iter().rev().map(words).collect();
    assert_eq!(
        rows,
        [
            "1 usr_test/operator disable usr_2: asked, left us",
            "2 usr_test/operator disable usr_2: admin_last, answers 1, left us",
        ]
    );
}

async fn documents_are_masked_live_ones_too_until_an_operator_has_a_reason(rig: &Rig) {
    let running = rig.orchestrator().await;
    let _worker = rig.worker().await;
    let saga = running.client.start("trip", "mail zoe@example.com").await;
    running.client.reaches(saga, SagaStatus::Completed).await;
    let read = async |role: &str, path: &str| {
        let request = running.client.request(Method::GET, &format!("/api/sagas/{saga}{path}"));
        let answer = request.header(HEADER_ACTOR, "usr_test").header(HEADER_ROLE, role).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        answer.text().await.unwrap()
    };
    for path in ["", "/journal", "/export", "/events"] {
        for role in ["viewer", "operator", "admin"] {
            let masked = read(role, path).await;
            assert!(!masked.contains("zoe@") && !masked.is_empty(), "{role} {path}: {masked}");
            let says = path.is_empty() || path == "/export";
            assert!(!says || masked.contains("mail (masked)"), "{role} {path}: {masked}");
        }
    }
    // An operator sees the saga whole for a reason, which the audit log keeps.
    let reveal = format!("/api/sagas/{saga}/reveal");
    let (status, problem) = running.client.post(&reveal, &json!({ "reason": "" })).await;
    assert_eq!((status.as_u16(), &problem["code"]), (422, &json!("reason_invalid")), "{problem}");
    let (status, whole) = running.client.post(&reveal, &json!({ "reason": "the client calls" })).await;
    assert!(status == StatusCode::OK && whole.to_string().contains("mail zoe@example.com"), "{whole}");
    let (_, log) = running.client.get(&format!("/api/audit?target={saga}&act=reveal")).await;
    assert_eq!(log["items"][0]["outcome"], "done", "{log}");
    assert_eq!(log["items"][0]["reason"], "the client calls", "{log}");
}

fn words(row: &Value) -> String {
    let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
    let answers = row["answers"].as_u64().map(|number| format!(", answers {number}")).unwrap_or_default();
    let reason = Some(text("reason")).filter(|reason| !reason.is_empty()).map(|reason| format!(", {reason}"));
    let who = format!("{} {}/{}", row["number"], text("actor"), text("role"));
    format!("{who} {} {}: {}{answers}{}", text("act"), text("target"), text("outcome"), reason.unwrap_or_default())
}
