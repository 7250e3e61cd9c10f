//! The interface itself: who may call, what is refused and how, pages, filters.

use contract::{Page, orchestrator_api::RecordView, saga::SagaStatus};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::{
    client::start_body,
    rig::{Rig, on_both_journals, until},
};

on_both_journals!(
    wrong_requests_are_refused_by_name,
    the_listing_runs_newest_first_in_pages_that_fit_their_filter,
    a_journal_is_read_in_pages_each_with_where_the_saga_stood,
    health_readiness_and_definitions_are_told,
);

async fn wrong_requests_are_refused_by_name(rig: &Rig) {
    let running = rig.orchestrator().await;
    let client = &running.client;
    let with = |change: fn(&mut Value)| {
        let mut body = start_body("trip", "");
        change(&mut body);
        body
    };
    for (body, status, code) in [
        (start_body("no-such-saga", ""), 404, "definition_unknown"),
        (with(|body| body["version"] = json!(7)), 404, "version_unknown"),
        (with(|body| body["input"] = json!({ "place": 7 })), 422, "input_invalid"),
        (with(|body| body["input"]["place"] = json!("\0")), 422, "field_invalid"),
        (with(|body| body["business_key"] = json!("")), 422, "field_invalid"),
        (with(|body| body["business_key"] = json!("x".repeat(201))), 422, "field_invalid"),
        (with(|body| body["surprise"] = json!(1)), 422, "body_invalid"),
        (with(|body| body["idempotency"] = json!({ "key": "", "fingerprint": "f" })), 422, "field_invalid"),
        (with(|body| body["input"]["place"] = json!("x".repeat(65 * 1024))), 413, "input_too_large"),
        (with(|body| body["input"]["place"] = json!("x".repeat(80 * 1024))), 413, "body_too_large"),
    ] {
        let (got, problem) = client.post("/api/sagas", &body).await;
        assert_eq!((got.as_u16(), &problem["code"]), (status, &json!(code)), "{problem}");
        assert!(problem["type"].as_str().unwrap().ends_with(code));
    }
    let pointed = client.post("/api/sagas", &with(|body| body["input"] = json!({ "place": 7 }))).await.1;
    assert_eq!(pointed["errors"][0]["pointer"], "#/input/place", "{pointed}");

    let malformed = client.request(Method::POST, "/api/sagas").header("content-type", "application/json");
    assert_eq!(malformed.body("{").send().await.unwrap().status(), StatusCode::BAD_REQUEST);
    for (path, status) in [
        ("/api/sagas/nonsense", 404),
        ("/api/sagas/saga_00000000000000000000000000000000", 404),
        ("/api/sagas?status=sleeping", 400),
        ("/api/sagas?page_size=many", 400),
        ("/api/sagas?page_token=x", 400),
        ("/api/sagas?page_token=", 400),
        ("/api/sagas?color=red", 400),
        ("/api/nothing", 404),
    ] {
        let (got, problem) = client.get(path).await;
        assert_eq!(got.as_u16(), status, "{path}: {problem}");
        assert!(problem["code"].is_string(), "{path}: {problem}");
    }
    let stranger = reqwest::get(format!("http://{}/api/sagas", running.orchestrator.address())).await.unwrap();
    assert_eq!(stranger.status(), StatusCode::UNAUTHORIZED);
}

async fn the_listing_runs_newest_first_in_pages_that_fit_their_filter(rig: &Rig) {
    let running = rig.orchestrator().await;
    let client = &running.client;
    let mut started = Vec::new();
    for i in 0..5 {
        let mut body = start_body("trip", "");
        body["business_key"] = json!(format!("ord_{i}"));
        let (status, answer) = client.post("/api/sagas", &body).await;
        assert_eq!(status, StatusCode::CREATED);
        started.push(answer["saga_id"].clone());
    }
    let ids = |page: &Value| -> Vec<Value> {
        page["items"].as_array().unwrap().iter().map(|item| item["id"].clone()).collect()
    };
    let mut seen = Vec::new();
    let mut path = "/api/sagas?status=running&owner=usr_1&page_size=2".to_owned();
    loop {
        let (status, page) = client.get(&path).await;
        assert_eq!(status, StatusCode::OK, "{page}");
        seen.extend(ids(&page));
        let Some(token) = page["next_page_token"].as_str() else { break };
        let other = client.get(&format!("/api/sagas?status=completed&page_token={token}")).await;
        assert_eq!((other.0.as_u16(), &other.1["code"]), (400, &json!("page_token_invalid")));
        path = format!("/api/sagas?status=running&owner=usr_1&page_size=2&page_token={token}");
    }
    let mut newest_first = seen.clone();
    newest_first.sort_by(|a, b| b.as_str().cmp(&a.as_str()));
    assert_eq!(seen, newest_first);
    assert_eq!(seen.len(), 5);
    assert!(started.iter().all(|id| seen.contains(id)));

    let (_, page) = client.get("/api/sagas?q=ord_3").await;
    assert_eq!(ids(&page), [started[3].clone()]);
    let (_, page) = client.get(&format!("/api/sagas?q={}", started[1].as_str().unwrap())).await;
    assert_eq!(ids(&page), [started[1].clone()]);
    let mut body = start_body("trip", "");
    body["input"]["place"] = json!("Reykjavik");
    let (_, far) = client.post("/api/sagas", &body).await;
    let (_, page) = client.get("/api/sagas?attributes=letters:9&status=running").await;
    assert_eq!(ids(&page), [far["saga_id"].clone()]);
    assert_eq!(page["items"][0]["attributes"], json!({ "letters": "9" }));
    let (_, counts) = client.get("/api/counts?attributes=letters:4").await;
    assert_eq!(counts["sagas"], 5);
    let (status, problem) = client.get("/api/sagas?attributes=letters").await;
    assert_eq!((status.as_u16(), &problem["code"]), (400, &json!("query_invalid")), "{problem}");
    let (_, definitions) = client.get("/api/definitions").await;
    let trip = definitions["items"].as_array().unwrap().iter().find(|one| one["name"] == "trip");
    assert_eq!(trip.unwrap()["attributes"], json!(["letters"]));

    let (_, page) = client.get("/api/sagas?owner=usr_2").await;
    assert!(ids(&page).is_empty());
    let (_, page) = client.get("/api/sagas?created_before=2020-01-01T00:00:00Z").await;
    assert!(ids(&page).is_empty());
}

async fn a_journal_is_read_in_pages_each_with_where_the_saga_stood(rig: &Rig) {
    let running = rig.orchestrator().await;
    let client = &running.client;
    let _worker = rig.worker().await;
    let saga = client.start("trip", "").await;
    client.reaches(saga, SagaStatus::Completed).await;
    let whole = client.journal(saga).await;
    assert!(whole.items.len() > 3 && whole.next_page_token.is_none(), "{whole:?}");
    let (mut paged, mut next) = (Vec::new(), String::new());
    loop {
        let (status, page) = client.get(&format!("/api/sagas/{saga}/journal?page_size=2{next}")).await;
        assert_eq!(status, StatusCode::OK, "{page}");
        let items = page["items"].as_array().unwrap();
        assert!((1..=2).contains(&items.len()), "{page}");
        paged.extend(items.iter().cloned());
        let Some(token) = page["next_page_token"].as_str() else { break };
        next = format!("&page_token={token}");
    }
    assert_eq!(json!(paged), serde_json::to_value(whole.items).unwrap());

    // One that is longer than the largest page, read from its end.
    let long = client.start("patient-trip", "").await;
    for _ in 0..101 {
        for action in ["pause", "resume"] {
            assert_eq!(client.act(long, json!({ "action": action })).await.0, StatusCode::OK);
        }
    }
    let page = async |query: &str| {
        let (status, body) = client.get(&format!("/api/sagas/{long}/journal?{query}")).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        serde_json::from_value::<Page<RecordView>>(body).unwrap()
    };
    let seqs = |page: &Page<RecordView>| page.items.iter().map(|record| record.seq).collect::<Vec<_>>();
    let newest = page("order=newest&page_size=200").await;
    let token = newest.next_page_token.as_ref().unwrap().as_str().to_owned();
    let older = page(&format!("order=newest&page_size=200&page_token={token}")).await;
    let head = seqs(&newest)[0];
    assert_eq!([seqs(&newest), seqs(&older)].concat(), (1..=head).rev().collect::<Vec<_>>());
    assert_eq!(seqs(&page("order=newest&before=5&page_size=2").await), [4, 3]);
    let acts = page("order=newest&entry=operator_acted&page_size=200").await;
    assert!(
        acts.items.iter().all(|record| record.entries.len() == 1 && record.entries[0]["entry"] == "operator_acted")
    );
    assert_eq!(acts.items.len(), 200);
}

async fn health_readiness_and_definitions_are_told(rig: &Rig) {
    let running = rig.orchestrator().await;
    assert_eq!(running.client.get("/health").await.0, StatusCode::OK);
    until("it is ready", async || (running.client.get("/ready").await.0 == StatusCode::OK).then_some(())).await;
    let (_, definitions) = running.client.get("/api/definitions").await;
    let names: Vec<_> =
        definitions["items"].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap()).collect();
    let known = "caravan family-trip group held-trip hurried-trip leg patient-trip quick-trip trip";
    assert_eq!(names.join(" "), known);
    assert_eq!(definitions["items"][8]["steps"][3]["kind"], "pivot");
    assert_eq!(definitions["items"][6]["steps"][1]["work"], "signal");
    // The patient trip's signal has no time within which it must come, as the linter says.
    let found: Vec<_> =
        definitions["items"].as_array().unwrap().iter().map(|item| item["findings"].to_string()).collect();
    assert!(found[6].contains("wait_"), "{found:?}");
    assert_eq!(found[8], "[]");
}
