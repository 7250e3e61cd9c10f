//! Failures grouped by definition, step and code.

use contract::{Page, orchestrator_api::ErrorGroup, saga::SagaStatus};
use reqwest::StatusCode;
use serde_json::json;

use crate::rig::{Rig, Running, on_both_journals};

on_both_journals!(failures_are_grouped_in_pages_and_lead_to_their_sagas);

async fn groups(running: &Running, query: &str) -> Page<ErrorGroup> {
    let (status, body) = running.client.get(&format!("/api/errors?{query}")).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    serde_json::from_value(body).unwrap()
}

async fn failures_are_grouped_in_pages_and_lead_to_their_sagas(rig: &Rig) {
    let running = rig.orchestrator().await;
    let _worker = rig.worker().await;
    let refused = running.client.start("trip", "refuse authorize").await;
    let again = running.client.start("trip", "refuse authorize").await;
    let other = running.client.start("quick-trip", "refuse authorize").await;
    for saga in [refused, again, other] {
        running.client.reaches(saga, SagaStatus::Compensated).await;
    }
    let stuck = running.client.start("trip", "garble confirm-order 1").await;
    running.client.reaches(stuck, SagaStatus::NeedsAttention).await;

    let all = groups(&running, "").await;
    let told: Vec<_> = all.items.iter().map(|group| (group.name.as_str(), group.error.as_str(), group.count)).collect();
    let expected = [
        ("quick-trip", "authorize/as_told", 1),
        ("trip", "authorize/as_told", 2),
        ("trip", "confirm-order/reply_unreadable", 1),
    ];
    assert_eq!(told, expected);
    let [_, twice, waits] = &all.items[..] else { panic!("{all:?}") };
    assert_eq!((twice.step.as_ref().unwrap().as_str(), twice.code.as_str()), ("authorize", "as_told"));
    assert_eq!((twice.hours.len(), twice.days.len(), twice.needing_attention), (24, 30, 0));
    assert_eq!(twice.days.iter().sum::<u64>(), 2);
    assert!(twice.first_at <= twice.last_at && waits.needing_attention == 1, "{all:?}");

    let first = groups(&running, "name=trip&page_size=1").await;
    let token = first.next_page_token.unwrap();
    let second = groups(&running, &format!("name=trip&page_size=1&page_token={}", token.as_str())).await;
    assert_eq!((second.items[0].error.as_str(), second.next_page_token), ("confirm-order/reply_unreadable", None));
    let (status, problem) = running.client.get(&format!("/api/errors?page_token={}", token.as_str())).await;
    assert_eq!((status, &problem["code"]), (StatusCode::BAD_REQUEST, &json!("page_token_invalid")));

    let (_, page) = running.client.get("/api/sagas?name=trip&error=authorize/as_told").await;
    let listed: Vec<_> = page["items"].as_array().unwrap().iter().map(|saga| saga["id"].clone()).collect();
    assert_eq!(listed.len(), 2);
    assert!(listed.contains(&json!(refused)) && listed.contains(&json!(again)));
}
