//! A week of history that leaves the journal, seen from outside.

use std::{fs::File, io::Read as _, sync::Arc};

use chrono::TimeDelta;
use contract::saga::SagaStatus;
use flate2::read::GzDecoder;
use kit::clock::ShiftedClock;
use orchestrator::Retirement;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::rig::{Parts, Rig, Running, on_real_servers, until};

on_real_servers!(an_old_week_is_exported_and_leaves_and_its_open_sagas_go_on);

async fn an_old_week_is_exported_and_leaves_and_its_open_sagas_go_on(rig: &Rig) {
    let mut present = rig.orchestrator().await;
    present.owns_all().await;
    let _worker = rig.worker().await;
    let ended = present.client.start("trip", "").await;
    present.client.reaches(ended, SagaStatus::Completed).await;
    let open = present.client.start("patient-trip", "short").await;
    until("it waits for its signal", async || {
        let (_, explanation) = present.client.get(&format!("/api/sagas/{open}/explanation")).await;
        (explanation["reasons"][0]["reason"] == "signal_awaited").then_some(())
    })
    .await;
    let (status, one) = present.client.get(&format!("/api/sagas/{ended}/export")).await;
    assert_eq!(status, StatusCode::OK, "{one}");
    assert_eq!(present.client.get("/api/exports").await.1["items"], json!([]));
    present.stop.cancel();
    present.orchestrator.join().await;

    // Two months later, where a month is kept.
    let (folder, shift) = (tempfile::tempdir().unwrap(), tempfile::NamedTempFile::new().unwrap());
    std::fs::write(shift.path(), TimeDelta::days(60).num_seconds().to_string()).unwrap();
    let retirement = Some(Retirement { folder: folder.path().to_owned(), age: TimeDelta::days(30) });
    let clock = Arc::new(ShiftedClock { file: shift.path().to_owned() });
    let mut later = Running::start(Parts { clock, retirement, ..rig.parts().await }).await;
    later.owns_all().await;
    let week = until("a week has left", async || {
        let (_, page) = later.client.get("/api/exports").await;
        let weeks = page["items"].as_array()?;
        weeks.iter().find(|week| week["sagas"] == 1 && week["state"] == "dropped").cloned()
    })
    .await;
    let mut exported = String::new();
    let file = File::open(folder.path().join(week["saga_file"].as_str().unwrap())).unwrap();
    GzDecoder::new(file).read_to_string(&mut exported).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&exported).unwrap(), one, "as it was exported alone");
    let (status, problem) = later.client.get(&format!("/api/sagas/{ended}")).await;
    assert_eq!((status, &problem["code"]), (StatusCode::NOT_FOUND, &json!("saga_unknown")), "{problem}");
    let signal = json!({ "id": "evt_1", "payload": { "by": "ann" } });
    let (status, effect) = later.client.post(&format!("/api/sagas/{open}/signals/approval"), &signal).await;
    assert_eq!((status, &effect["effect"]), (StatusCode::OK, &json!("woke")), "{effect}");
    later.client.reaches(open, SagaStatus::Completed).await;
}
