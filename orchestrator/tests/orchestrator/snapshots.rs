//! Views of one moment, and what records changed between two of them.

use contract::{
    Page,
    orchestrator_api::{JournalDifference, RecordView, SagaSnapshot},
    saga::{FieldChange, SagaStatus},
};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::rig::{Rig, on_both_journals};

on_both_journals!(
    a_snapshot_is_the_views_of_one_moment_with_the_last_records,
    a_difference_tells_what_records_changed_in_the_saga,
    what_ended_is_listed_by_its_end,
);

async fn a_snapshot_is_the_views_of_one_moment_with_the_last_records(rig: &Rig) {
    let running = rig.orchestrator().await;
    let client = &running.client;
    let saga = client.start("patient-trip", "").await;
    for action in ["pause", "resume", "pause"] {
        assert_eq!(client.act(saga, json!({ "action": action })).await.0, StatusCode::OK);
    }
    let snapshot = async |query: &str| {
        let (status, body) = client.get(&format!("/api/sagas/{saga}/snapshot{query}")).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        serde_json::from_value::<SagaSnapshot>(body).unwrap()
    };
    let seen = snapshot("").await;
    assert!(seen.journal.is_none());
    assert_eq!(seen.saga.head, seen.explanation.head);
    let alone = async |path: &str| client.get(&format!("/api/sagas/{saga}{path}")).await.1;
    assert_eq!(json!(seen.saga), alone("").await);
    assert_eq!(json!(seen.timeline), alone("/timeline").await);
    assert_eq!(json!(seen.explanation)["reasons"], alone("/explanation").await["reasons"]);

    let asked = "records=true&page_size=2&before=4";
    let part = snapshot(&format!("?{asked}")).await.journal.unwrap();
    let seqs = |page: &Page<RecordView>| page.items.iter().map(|record| record.seq).collect::<Vec<_>>();
    assert_eq!(seqs(&part), [3, 2]);
    let token = part.next_page_token.as_ref().unwrap().as_str().to_owned();
    let (_, older) =
        client.get(&format!("/api/sagas/{saga}/journal?order=newest&before=4&page_size=2&page_token={token}")).await;
    assert_eq!(seqs(&serde_json::from_value(older).unwrap()), [1]);
    let acts = snapshot("?records=true&entry=operator_acted").await.journal.unwrap();
    assert_eq!(acts.items.len(), 3);
    assert_eq!(client.get("/api/sagas/saga_00000000000000000000000000000000/snapshot").await.0, StatusCode::NOT_FOUND);
}

async fn a_difference_tells_what_records_changed_in_the_saga(rig: &Rig) {
    let running = rig.orchestrator().await;
    let client = &running.client;
    let _worker = rig.worker().await;
    let saga = client.start("trip", "").await;
    let head = client.reaches(saga, SagaStatus::Completed).await.head;
    let difference = async |from: u64, to: u64| {
        let (status, body) = client.get(&format!("/api/sagas/{saga}/difference?from={from}&to={to}")).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        serde_json::from_value::<JournalDifference>(body).unwrap().changes
    };
    let at = |changes: &[FieldChange], pointer: &str| {
        let found = changes.iter().find(|change| change.pointer == pointer);
        found.map(|change| (change.before.clone().unwrap_or_default(), change.after.clone().unwrap_or_default()))
    };
    let begun = difference(0, 1).await;
    assert_eq!(at(&begun, "/status"), Some((Value::Null, json!("running"))));
    assert_eq!(at(&begun, "/input").unwrap().1["place"], "Malé");
    assert!(begun.iter().all(|change| change.pointer != "/steps" && !change.pointer.ends_with("/kind")), "{begun:?}");
    let ended = difference(1, head).await;
    assert_eq!(at(&ended, "/status"), Some((json!("running"), json!("completed"))));
    assert!(at(&ended, "/input").is_none());
    let back = difference(head, 1).await;
    assert_eq!(at(&back, "/status"), Some((json!("completed"), json!("running"))));
    assert!(difference(head, head).await.is_empty());
    // Step by step it is the same as at once.
    let mut last = Value::Null;
    for seq in 1..=head {
        last = at(&difference(seq - 1, seq).await, "/status").map_or(last, |(_, after)| after);
    }
    assert_eq!(last, "completed");
    let (status, problem) = client.get(&format!("/api/sagas/{saga}/difference?from=1&to={}", head + 1)).await;
    assert_eq!((status, &problem["code"]), (StatusCode::NOT_FOUND, &json!("record_unknown")), "{problem}");
}

async fn what_ended_is_listed_by_its_end(rig: &Rig) {
    let running = rig.orchestrator().await;
    let client = &running.client;
    let waiting = client.start("patient-trip", "").await;
    let _worker = rig.worker().await;
    let mut ended = Vec::new();
    for _ in 0..3 {
        let saga = client.start("trip", "").await;
        client.reaches(saga, SagaStatus::Completed).await;
        ended.insert(0, saga);
    }
    let ids =
        |page: &Value| page["items"].as_array().unwrap().iter().map(|saga| saga["id"].clone()).collect::<Vec<_>>();
    let (_, first) = client.get("/api/sagas?sort=ended&page_size=2").await;
    let token = first["next_page_token"].as_str().unwrap();
    let (_, second) = client.get(&format!("/api/sagas?sort=ended&page_size=2&page_token={token}")).await;
    assert_eq!(json!([ids(&first), ids(&second)].concat()), json!(ended));
    let at = first["items"][0]["finished_at"].as_str().unwrap();
    assert_eq!(ids(&client.get(&format!("/api/sagas?finished_after={at}")).await.1), [json!(ended[0])]);
    let before = client.list(&format!("finished_before={at}")).await;
    assert!(before.iter().all(|saga| saga.id != waiting && saga.id != ended[0]) && before.len() == 2);
}
