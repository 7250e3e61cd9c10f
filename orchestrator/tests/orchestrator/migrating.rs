//! A later version takes running sagas over: asked first, then done, and kept over takeovers by later and by earlier programs.

use contract::{
    SagaId,
    saga::{SagaStatus, StepStatus},
};
use machine::Catalog;
use serde_json::{Value, json};

use crate::{
    client::Client,
    rig::{Parts, Rig, Running, on_both_journals, on_real_servers, until},
    trip,
};

on_both_journals!(a_saga_goes_on_under_the_version_that_took_it_over);

on_real_servers!(a_saga_goes_on_under_the_version_that_took_it_over);

/// Kills an orchestrator, and starts one that knows these definitions in its place, owning everything.
async fn replace(rig: &Rig, before: Running, catalog: Catalog) -> Running {
    // Taken before: a journal in memory does not outlive the last process.
    let parts = Parts { catalog, ..rig.parts().await };
    before.kill();
    let mut running = Running::start_waiting(parts).await;
    running.owns_all().await;
    running
}

async fn obstacles(client: &Client, saga: SagaId, to: u32) -> Value {
    let (status, page) = client.get(&format!("/api/migrations?name=patient-trip&to={to}")).await;
    assert_eq!(status.as_u16(), 200, "{page}");
    let items = page["items"].as_array().unwrap();
    assert_eq!((items.len(), &items[0]["id"]), (1, &json!(saga)), "{page}");
    items[0]["obstacles"].clone()
}

async fn a_saga_goes_on_under_the_version_that_took_it_over(rig: &Rig) {
    let mut first = rig.orchestrator().await;
    first.owns_all().await;
    let worker = rig.worker().await;
    let saga = first.client.start("patient-trip", "short").await;
    until("it waits", async || (first.client.view(saga).await.steps[1].status == StepStatus::Waiting).then_some(()))
        .await;

    let second = replace(rig, first, trip::upgraded_catalog()).await;
    let client = &second.client;
    assert_eq!(obstacles(client, saga, 2).await, Value::Null);
    let check = "that version has step `check` before `approval`, which was begun without it";
    assert_eq!(obstacles(client, saga, 3).await, json!([check]));
    let explanation = client.get(&format!("/api/sagas/{saga}/explanation")).await.1;
    let possible = explanation["possible"].as_array().unwrap();
    assert!(possible.contains(&json!({ "act": "migrate", "versions": [2] })), "{explanation}");
    let (status, unknown) = client.get("/api/migrations?name=patient-trip&to=9").await;
    assert_eq!((status.as_u16(), &unknown["code"]), (404, &json!("definition_unknown")));
    let (status, plan) =
        client.post(&format!("/api/sagas/{saga}/plan"), &json!({ "action": "migrate", "version": 2 })).await;
    assert_eq!(status.as_u16(), 200, "{plan}");
    let planned = plan["commands"].as_array().unwrap().iter().map(|command| command["step"].as_str().unwrap());
    assert_eq!((planned.collect::<Vec<_>>(), &plan["end"]), (vec!["confirm-order", "tell"], &json!("completed")));
    for version in [3, 9] {
        let (status, refused) = client.act(saga, json!({ "action": "migrate", "version": version })).await;
        assert_eq!((status.as_u16(), &refused["code"]), (409, &json!("migration_impossible")), "{refused}");
    }
    let (status, migrated) = client.act(saga, json!({ "action": "migrate", "version": 2 })).await;
    assert_eq!((status.as_u16(), &migrated["version"]), (200, &json!(2)), "{migrated}");
    assert_eq!(client.list("name=patient-trip").await[0].version, 2);

    // A program that does not know the version leaves it alone, and one that does goes on with it.
    let earlier = replace(rig, second, trip::catalog()).await;
    until("it is left alone", async || {
        let cause = earlier.client.view(saga).await.cause?;
        (cause.code == "definition_unknown").then_some(())
    })
    .await;
    let third = replace(rig, earlier, trip::upgraded_catalog()).await;
    let signal = json!({ "id": "evt_1", "payload": { "by": "ann" } });
    assert_eq!(third.client.post(&format!("/api/sagas/{saga}/signals/approval"), &signal).await.0.as_u16(), 200);
    let view = third.client.reaches(saga, SagaStatus::Completed).await;
    assert_eq!((view.summary.version, worker.received(saga, "tell")), (2, 1));
    assert_eq!(worker.received(saga, "create-order"), 1);
}
