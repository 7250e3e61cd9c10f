//! Operators' calls through `/ops/api/...`.

use std::sync::Arc;

use contract::{Page, orchestrator_api::SagaSummary};
use reqwest::Method;
use tokio::sync::Notify;

use crate::{
    house::{House, Said},
    keys::user,
    parts::Mood,
};

#[tokio::test]
async fn operators_reach_the_orchestrator_as_themselves() {
    let house = House::open().await;
    Said::of(house.order("one")).await;
    let request =
        house.http.get(house.url("/ops/api/sagas?status=running&page_size=2")).bearer_auth(house.operator_token());
    let request =
        request.header("x-sojourn-actor", "usr_somebody_else").header("x-sojourn-role", "root").header("cookie", "a=b");
    let said = Said::of(request).await;
    let page: Page<SagaSummary> = serde_json::from_str(&said.body).unwrap();
    assert_eq!((said.status, page.items.len()), (200, 1));
    assert_eq!(house.parts.asked_for("GET /api/sagas?status=running&page_size=2"), 1);
    let headers = house.parts.memory().last_headers.clone();
    assert_eq!(headers["x-sojourn-actor"], user(77).to_string().as_str());
    assert_eq!(headers.get_all("x-sojourn-role").iter().collect::<Vec<_>>(), ["operator"]);
    assert_eq!(headers["authorization"], "Bearer development-internal-token");
    assert!(headers.get("cookie").is_none());
    assert!(headers.get("x-request-id").is_some() && headers.get("traceparent").is_some());
}

#[tokio::test]
async fn clients_do_not_reach_it() {
    let house = House::open().await;
    let client = house.get("/ops/api/sagas").await;
    insta::assert_snapshot!("not_an_operator", client.shown());
    assert_eq!(Said::of(house.http.get(house.url("/ops/api/sagas"))).await.status, 401);
    assert_eq!(house.parts.asked_for("/api/sagas"), 0);
}

#[tokio::test]
async fn every_method_body_and_answer_passes_as_it_is() {
    let house = House::open().await;
    for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
        let request = house
            .http
            .request(method.clone(), house.url("/ops/api/echo/a%20b?c=d%26e"))
            .bearer_auth(house.operator_token());
        let said = Said::of(request.header("content-type", "application/json").body("{\"x\":1}")).await;
        assert_eq!((said.status, said.header("etag"), said.header("x-powered-by")), (418, "\"7\"", ""));
        let echoed = said.json();
        assert_eq!(
            (echoed["method"].as_str(), echoed["uri"].as_str()),
            (Some(method.as_str()), Some("/api/echo/a%20b?c=d%26e"))
        );
        assert_eq!(echoed["body"], "{\"x\":1}");
    }
    let wrong = Said::of(house.http.put(house.url("/ops/api/starts")).bearer_auth(house.operator_token())).await;
    assert_eq!((wrong.status, wrong.header("allow")), (405, "GET,HEAD"));
}

#[tokio::test]
async fn a_stream_passes_as_it_comes() {
    let house = House::open().await;
    house.parts.memory().stream = vec!["id: 1\nevent: record\ndata: {}\n\n".into()];
    let request = house.http.get(house.url("/ops/api/sagas/x/events")).bearer_auth(house.operator_token());
    let mut answer = request.header("last-event-id", "5").send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    assert_eq!(answer.chunk().await.unwrap().unwrap(), "id: 1\nevent: record\ndata: {}\n\n");
    assert_eq!(house.parts.memory().last_headers["last-event-id"], "5");
}

#[tokio::test]
async fn an_action_is_not_sent_twice_when_its_outcome_is_unknown() {
    let house = House::with_orchestrators(2, |_| {}).await;
    house.ready().await;
    for (mood, path, status, code, times) in [
        (Mood::Failing, "/api/sagas/x/actions", 502, "bad_gateway", 1),
        // Without a key of its own a second start would be a second saga.
        (Mood::Unsure, "/api/sagas?start", 503, "outcome_unknown", 1),
        (Mood::Busy, "/api/sagas/y/actions", 503, "busy", 2),
    ] {
        house.parts.mood("orchestrator", mood);
        let request = house.http.post(house.url(&format!("/ops{path}"))).bearer_auth(house.operator_token());
        let said = Said::of(request.body("{}")).await;
        assert_eq!((said.status, said.code().as_str()), (status, code), "{mood:?}");
        assert_eq!(house.parts.asked_for(&format!("POST {path}")), times, "{mood:?}");
    }
}

#[tokio::test]
async fn operators_are_told_when_to_look_again() {
    let house = House::open().await;
    house.parts.mood("orchestrator", Mood::Undecided);
    let request = house.http.post(house.url("/ops/api/sagas/x/actions")).bearer_auth(house.operator_token());
    let said = Said::of(request.body("{}")).await;
    assert_eq!((said.status, said.code().as_str(), said.header("retry-after")), (504, "verdict_missing", "5"));
}

#[tokio::test]
async fn an_answer_is_whole_even_when_the_gateway_stops_before_it_comes() {
    let house = House::open().await;
    let gate = Arc::new(Notify::new());
    house.parts.memory().start_gate = Some(Arc::clone(&gate));
    let start = serde_json::json!({
        "name": "order",
        "idempotency": {"key": "k", "fingerprint": "f"},
        "business_key": "ord_1",
        "input": {},
    });
    let request = house.http.post(house.url("/ops/api/sagas")).bearer_auth(house.operator_token()).json(&start);
    let answer = tokio::spawn(Said::of(request));
    while house.parts.asked_for("POST /api/sagas") == 0 {
        tokio::task::yield_now().await;
    }
    house.token.cancel();
    gate.notify_one();
    let said = answer.await.unwrap();
    assert_eq!((said.status, said.json()["business_key"].as_str()), (201, Some("ord_1")));
    house.gateway.stopped().await;
}
