//! Events as they happen, from any orchestrator, taken up again where a client lost them.

use std::sync::{Arc, atomic::Ordering};

use contract::{SagaId, saga::SagaStatus};
use journal::Journal;
use reqwest::StatusCode;

use crate::{
    client::{Client, Events, Told},
    flaky::FlakyJournal,
    rig::{Parts, Rig, Running, SHARDS, on_both_journals, on_real_servers, until},
};

on_both_journals!(a_stream_tells_every_record_and_ends_with_the_saga, a_stream_on_another_orchestrator_hears_at_once,);

on_real_servers!(a_stream_on_another_orchestrator_hears_at_once);

/// The events of a stream: names and numbers.
async fn follow(client: &Client, saga: SagaId, last: Option<u64>, until_seq: Option<u64>) -> Vec<(String, String)> {
    read(open(client, saga, last).await, until_seq).await
}

/// Opens a stream. It is told of commits from then on.
async fn open(client: &Client, saga: SagaId, last: Option<u64>) -> Events {
    let last = last.map(|last| last.to_string());
    client.events(&format!("/api/sagas/{saga}/events"), last.as_deref()).await.unwrap()
}

async fn read(mut events: Events, until_seq: Option<u64>) -> Vec<(String, String)> {
    let mut told = Vec::new();
    while let Some(Told { event, id, data: _ }) = events.next().await {
        let is_last = until_seq.is_some_and(|seq| id == seq.to_string());
        told.push((event, id));
        if is_last {
            break;
        }
    }
    told
}

fn numbers(told: &[(String, String)]) -> Vec<u64> {
    told.iter().filter(|(event, _)| event == "record").map(|(_, id)| id.parse().unwrap()).collect()
}

async fn a_stream_tells_every_record_and_ends_with_the_saga(rig: &Rig) {
    let running = rig.orchestrator().await;
    let worker = rig.worker().await;
    worker.answer(false);
    let saga = running.client.start("trip", "refuse authorize").await;
    let first = follow(&running.client, saga, None, Some(1)).await;
    assert_eq!(numbers(&first), [1]);
    worker.answer(true);
    let rest = follow(&running.client, saga, Some(1), None).await;
    assert_eq!(rest.last().map(|(event, _)| event.as_str()), Some("end"));
    let head = running.client.reaches(saga, SagaStatus::Compensated).await.head;
    assert_eq!(numbers(&rest), (2..=head).collect::<Vec<_>>());
    let over = running.client.events(&format!("/api/sagas/{saga}/events"), Some(&head.to_string())).await.err();
    assert_eq!(over, Some(StatusCode::NO_CONTENT), "the answer that makes a reader stop asking");
    let foreign = running.client.get(&format!("/api/sagas/{saga}/events?owner=usr_other")).await.0;
    assert_eq!(foreign, StatusCode::NOT_FOUND);

    let wrong = running.client.events(&format!("/api/sagas/{saga}/events"), Some("yesterday")).await.err();
    assert_eq!(wrong, Some(StatusCode::BAD_REQUEST));
    let unknown = kit::ids::saga_id(0, SHARDS);
    assert_eq!(running.client.get(&format!("/api/sagas/{unknown}/events")).await.0, StatusCode::NOT_FOUND);
}

async fn a_stream_on_another_orchestrator_hears_at_once(rig: &Rig) {
    let mut first = rig.orchestrator().await;
    let journal = FlakyJournal::new(rig.journal().await);
    let parts = Parts { journal: Arc::clone(&journal) as Arc<dyn Journal>, ..rig.parts().await };
    let mut second = Running::start_waiting(parts).await;
    second.owns(|owned| owned == usize::from(SHARDS) / 2).await;
    first.owns(|owned| owned == usize::from(SHARDS) / 2).await;
    let worker = rig.worker().await;
    worker.answer(false);
    let saga = first.client.start("trip", "").await;
    until("it waits", async || (worker.received(saga, "create-order") > 0).then_some(())).await;
    let stream = open(&second.client, saga, None).await;
    let since = tokio::time::Instant::now();
    worker.answer(true);
    let told = read(stream, None).await;
    let head = first.client.reaches(saga, SagaStatus::Completed).await.head;
    assert_eq!(numbers(&told), (1..=head).collect::<Vec<_>>());
    assert!(since.elapsed().as_secs() < 10, "told by notes, not found at a renewal");
    let reads = journal.breakage.reads.load(Ordering::SeqCst);
    assert!(reads <= 2, "the records came by message; the journal was read {reads} times");
}
