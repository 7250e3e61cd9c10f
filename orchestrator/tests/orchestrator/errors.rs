//! Figures: failures grouped by definition, step and code; sagas counted; the ended ones over time; the processes.

use contract::{
    Page,
    orchestrator_api::{ErrorGroup, Processes, SagaCounts, Throughput},
    saga::SagaStatus,
};
use reqwest::StatusCode;
use serde_json::json;

use crate::rig::{Rig, Running, on_both_journals, until};

on_both_journals!(failures_are_grouped_in_pages_and_all_sagas_are_counted);

async fn groups(running: &Running, query: &str) -> Page<ErrorGroup> {
    let (status, body) = running.client.get(&format!("/api/errors?{query}")).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    serde_json::from_value(body).unwrap()
}

async fn failures_are_grouped_in_pages_and_all_sagas_are_counted(rig: &Rig) {
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

    let counts = async |query: &str| {
        let (status, body) = running.client.get(&format!("/api/counts?{query}")).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        serde_json::from_value::<SagaCounts>(body).unwrap()
    };
    let all = counts("").await;
    let told: Vec<_> = all.groups.iter().map(|group| (group.name.as_str(), group.status, group.sagas)).collect();
    let expected = [
        ("quick-trip", SagaStatus::Compensated, 1),
        ("trip", SagaStatus::Compensated, 2),
        ("trip", SagaStatus::NeedsAttention, 1),
    ];
    assert_eq!((all.sagas, told), (4, expected.to_vec()));
    assert_eq!(all.oldest_open.map(|oldest| oldest.id), Some(stuck));
    assert_eq!(counts("name=trip&error=authorize/as_told&page_size=1").await.sagas, 2);
    assert_eq!(counts(&format!("q={refused}&name=other")).await.sagas, 1);
    let (status, problem) = running.client.get("/api/counts?status=runing").await;
    assert_eq!((status, &problem["code"]), (StatusCode::BAD_REQUEST, &json!("status_unknown")));

    let (_, body) = running.client.get("/api/throughput?minutes=1440&step_minutes=720").await;
    let Throughput { points, counted_from, .. } = serde_json::from_value(body).unwrap();
    assert_eq!((points.len(), counted_from), (2, None));
    assert_eq!(points.iter().map(|point| point.compensated).sum::<u64>(), 3);
    assert!(points.iter().all(|point| point.durations.is_some() == (point.compensated > 0)), "{points:?}");
    let (status, problem) = running.client.get("/api/throughput?minutes=1441").await;
    assert_eq!((status, &problem["code"]), (StatusCode::BAD_REQUEST, &json!("query_invalid")));

    let processes = until("every lane tells of itself", async || {
        let (_, body) = running.client.get("/api/processes").await;
        let processes: Processes = serde_json::from_value(body).unwrap();
        processes.silent_shards.is_empty().then_some(processes)
    })
    .await;
    let [orchestrator] = &processes.orchestrators[..] else { panic!("{processes:?}") };
    assert!(orchestrator.lanes.iter().all(|lane| lane.orphans == 0), "{processes:?}");
    assert!(processes.domains.iter().any(|way| way.queue.is_some_and(|queue| queue.consumers > 0)), "{processes:?}");
}
