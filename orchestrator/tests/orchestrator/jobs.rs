//! Bulk jobs: one act on many sagas, carried out on the server.

use std::{
    collections::BTreeSet,
    sync::{Arc, atomic::Ordering},
};

use contract::{
    JobId, Page, SagaId,
    orchestrator_api::{Job, JobItem, JobOutcome, JobState, JobView},
    saga::SagaStatus,
};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{
    client::Told,
    flaky::FlakyJournal,
    rig::{Parts, Rig, Running, on_both_journals, on_real_servers, until},
    worker::Worker,
};

on_both_journals!(
    a_job_is_previewed_waits_after_its_canary_and_reports_each_saga,
    failures_alone_are_run_again,
    a_job_is_paced_paused_resumed_and_aborted,
    results_that_were_not_noted_are_asked_for_again_and_nothing_is_done_twice,
    what_cannot_be_a_job_is_refused_with_its_reason,
    every_orchestrator_tells_how_a_job_stands_until_it_is_over,
);

on_real_servers!(
    another_orchestrator_goes_on_with_the_job_of_a_dead_one,
    every_orchestrator_tells_how_a_job_stands_until_it_is_over,
);

/// Sagas that wait for a reply that never comes.
async fn waiting(running: &Running, worker: &Worker, count: usize) -> Vec<SagaId> {
    let mut sagas = Vec::new();
    for _ in 0..count {
        sagas.push(running.client.start("trip", "silent hold-room").await);
    }
    for saga in &sagas {
        until("it waits", async || (worker.received(*saga, "hold-room") > 0).then_some(())).await;
    }
    sagas
}

async fn make(running: &Running, body: Value) -> Job {
    let mut body = body;
    body["reason"] = json!("the hotel is closed");
    let (status, job) = running.client.post("/api/jobs", &body).await;
    assert_eq!(status, StatusCode::CREATED, "{job}");
    serde_json::from_value(job).unwrap()
}

async fn change(running: &Running, id: JobId, change: &str) -> (StatusCode, Value) {
    running.client.post(&format!("/api/jobs/{id}/{change}"), &json!({ "reason": "a test wants it" })).await
}

async fn view(running: &Running, id: JobId) -> JobView {
    let (status, body) = running.client.get(&format!("/api/jobs/{id}")).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    serde_json::from_value(body).unwrap()
}

async fn reaches(running: &Running, id: JobId, state: JobState) -> Job {
    until(&format!("{id} is {}", state.as_str()), async || {
        let job = view(running, id).await.job;
        (job.state == state).then_some(job)
    })
    .await
}

async fn items(running: &Running, id: JobId, query: &str) -> Page<JobItem> {
    let (status, body) = running.client.get(&format!("/api/jobs/{id}/items?{query}")).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    serde_json::from_value(body).unwrap()
}

/// How often operators acted on a saga.
async fn acts_on(running: &Running, saga: SagaId) -> usize {
    let journal = serde_json::to_string(&running.client.journal(saga).await).unwrap();
    journal.matches("operator_acted").count()
}

async fn a_job_is_previewed_waits_after_its_canary_and_reports_each_saga(rig: &Rig) {
    let running = rig.orchestrator().await;
    let worker = rig.worker().await;
    let over = running.client.start("trip", "").await;
    running.client.reaches(over, SagaStatus::Completed).await;
    let stuck = running.client.start("trip", "garble confirm-order 1").await;
    running.client.reaches(stuck, SagaStatus::NeedsAttention).await;
    let sagas = waiting(&running, &worker, 3).await;

    let filter = json!({ "name": "trip" });
    let (status, preview) = running.client.post("/api/jobs/preview", &json!({ "filter": filter })).await;
    assert_eq!((status, &preview["sagas"]), (StatusCode::OK, &json!(4)), "{preview}");
    let groups = json!([
        { "name": "trip", "version": 1, "status": "running", "sagas": 3 },
        { "name": "trip", "version": 1, "status": "needs_attention", "step": "confirm-order",
          "code": "reply_unreadable", "sagas": 1 },
    ]);
    assert_eq!(preview["groups"], groups, "{preview}");

    let canary = json!({ "sagas": 2 });
    let job = make(&running, json!({ "action": "cancel", "filter": filter, "canary": canary, "pace": 50 })).await;
    assert_eq!(job.sagas, 4);
    let waits = reaches(&running, job.id, JobState::Waiting).await;
    assert_eq!((waits.settled(), waits.refused), (2, 1), "the oldest two, and no more");
    running.client.reaches(sagas[0], SagaStatus::Compensated).await;
    assert_eq!(running.client.view(sagas[1]).await.summary.status, SagaStatus::Running);

    // What is started now is none of the job's.
    let later = waiting(&running, &worker, 1).await[0];
    assert_eq!(change(&running, job.id, "resume").await.0, StatusCode::OK);
    let ended = reaches(&running, job.id, JobState::Finished).await;
    assert_eq!((ended.done, ended.refused, ended.vanished), (3, 1, 0));
    assert_eq!(running.client.view(later).await.summary.status, SagaStatus::Running);
    let JobView { refusals, .. } = view(&running, job.id).await;
    assert_eq!((refusals[0].code.as_str(), refusals[0].sagas), ("pivot_passed", 1));
    let page = items(&running, job.id, "page_size=3").await;
    let told: Vec<_> = page.items.iter().map(|item| (item.place, item.saga_id, item.outcome)).collect();
    let expected = [(1, stuck, JobOutcome::Refused), (2, sagas[0], JobOutcome::Done), (3, sagas[1], JobOutcome::Done)];
    assert_eq!(told, expected);
    let token = page.next_page_token.unwrap();
    let rest = items(&running, job.id, &format!("page_size=3&page_token={}", token.as_str())).await;
    assert_eq!((rest.items[0].saga_id, rest.next_page_token), (sagas[2], None));
    let refused = items(&running, job.id, "outcome=refused").await;
    assert_eq!(refused.items[0].code.as_deref(), Some("pivot_passed"));
    let journal = serde_json::to_string(&running.client.journal(sagas[2]).await).unwrap();
    assert!(journal.contains(&format!("the hotel is closed ({})", job.id)) && journal.contains("usr_test"));

    let (_, page) = running.client.get(&format!("/api/audit?target={}", job.id)).await;
    let acts: Vec<_> = page["items"].as_array().unwrap().iter().map(|row| row["act"].clone()).collect();
    assert_eq!(
        acts,
        [json!("resume"), json!("resume"), json!("cancel")],
        "the making is answered with the job: {page}"
    );
    let (_, page) = running.client.get("/api/jobs").await;
    assert_eq!(page["items"][0]["id"], json!(job.id));
}

async fn failures_alone_are_run_again(rig: &Rig) {
    let running = rig.orchestrator().await;
    let worker = rig.worker().await;
    let sagas = waiting(&running, &worker, 3).await;
    let skip = json!({
        "action": "skip", "step": "create-order", "reply": { "reference": "by-phone" }, "filter": { "name": "trip" },
        "pace": 50,
    });
    let job = make(&running, skip).await;
    let ended = reaches(&running, job.id, JobState::Finished).await;
    assert_eq!(ended.refused, 3);
    // One of them ends meanwhile, and refuses the act in other words.
    assert_eq!(running.client.act(sagas[0], json!({ "action": "abandon" })).await.0, StatusCode::OK);
    let again = json!({ "reason": "the hotel is closed", "canary": { "sagas": 1, "then": "go_on" } });
    let (status, body) = running.client.post(&format!("/api/jobs/{}/rerun", job.id), &again).await;
    assert_eq!(status, StatusCode::CREATED, "{body}");
    let rerun: Job = serde_json::from_value(body).unwrap();
    assert_eq!((rerun.parent, rerun.sagas, rerun.action), (Some(job.id), 3, job.action));
    let waits = reaches(&running, rerun.id, JobState::Waiting).await;
    assert_eq!(waits.refused, 1, "its canary failed, so it does not go on by itself");
    let (status, problem) = running.client.post(&format!("/api/jobs/{}/rerun", rerun.id), &again).await;
    assert_eq!((status.as_u16(), &problem["code"]), (409, &json!("job_unfinished")), "{problem}");
    change(&running, rerun.id, "resume").await;
    reaches(&running, rerun.id, JobState::Finished).await;
    let codes: Vec<_> = items(&running, rerun.id, "").await.items.into_iter().filter_map(|item| item.code).collect();
    assert_eq!(codes, ["saga_finished", "skip_impossible", "skip_impossible"]);
}

async fn a_job_is_paced_paused_resumed_and_aborted(rig: &Rig) {
    let running = rig.orchestrator().await;
    let worker = rig.worker().await;
    waiting(&running, &worker, 9).await;
    let began = Instant::now();
    let job = make(&running, json!({ "action": "abandon", "filter": { "status": ["running"] }, "pace": 2 })).await;
    let mut seen = 0;
    until("some are abandoned", async || {
        let settled = view(&running, job.id).await.job.settled();
        // Never more than the pace allows in the time that has passed, however slow the machine.
        assert!(f64::from(settled) <= 2.0 * (began.elapsed().as_secs_f64() + 1.0), "{settled}");
        seen = settled;
        (settled >= 4).then_some(())
    })
    .await;
    let (status, paused) = change(&running, job.id, "pause").await;
    assert_eq!((status, &paused["state"]), (StatusCode::OK, &json!("paused")), "{paused}");
    assert_eq!(change(&running, job.id, "pause").await.0, StatusCode::OK, "a repetition is answered alike");
    assert_eq!(change(&running, job.id, "resume").await.1["state"], json!("running"));
    until("it goes on", async || (view(&running, job.id).await.job.settled() > seen).then_some(())).await;
    assert_eq!(change(&running, job.id, "abort").await.1["state"], json!("aborted"));
    let (status, problem) = change(&running, job.id, "resume").await;
    assert_eq!((status.as_u16(), &problem["code"]), (409, &json!("job_over")), "{problem}");
    let left = items(&running, job.id, "outcome=pending").await.items;
    assert!(!left.is_empty(), "an aborted job leaves the rest alone");
    for item in left.iter().skip(2) {
        assert_eq!(running.client.view(item.saga_id).await.summary.status, SagaStatus::Running);
    }
}

async fn results_that_were_not_noted_are_asked_for_again_and_nothing_is_done_twice(rig: &Rig) {
    let parts = rig.parts().await;
    let journal = FlakyJournal::new(parts.journal);
    let breakage = Arc::clone(&journal.breakage);
    let running = Running::start(Parts { journal, ..parts }).await;
    let worker = rig.worker().await;
    let sagas = waiting(&running, &worker, 4).await;
    breakage.before_settling.store(1, Ordering::SeqCst);
    let job = make(&running, json!({ "action": "cancel", "filter": { "name": "trip" }, "pace": 50 })).await;
    let ended = reaches(&running, job.id, JobState::Finished).await;
    assert_eq!(breakage.before_settling.load(Ordering::SeqCst), 0, "the results were lost once");
    assert_eq!(ended.done, 4);
    for saga in sagas {
        running.client.reaches(saga, SagaStatus::Compensated).await;
        assert_eq!(acts_on(&running, saga).await, 1);
    }
}

async fn another_orchestrator_goes_on_with_the_job_of_a_dead_one(rig: &Rig) {
    let mut first = rig.orchestrator().await;
    first.owns_all().await;
    let second = Running::start_waiting(rig.parts().await).await;
    let worker = rig.worker().await;
    let count = 16;
    let sagas = waiting(&first, &worker, count).await;
    let canary = json!({ "sagas": 2, "then": "go_on" });
    let filter = json!({ "name": "trip" });
    let job = make(&second, json!({ "action": "cancel", "filter": filter, "pace": 4, "canary": canary })).await;
    let before = until("it is in the middle", async || {
        let settled = view(&second, job.id).await.job.settled();
        (settled > 2).then_some(settled)
    })
    .await;
    first.kill();
    assert!(usize::try_from(before).unwrap() < count, "the death comes in the middle: {before}");
    let ended = reaches(&second, job.id, JobState::Finished).await;
    assert_eq!(usize::try_from(ended.done).unwrap(), count, "{ended:?}");
    for saga in &sagas {
        second.client.reaches(*saga, SagaStatus::Compensated).await;
        assert_eq!(acts_on(&second, *saga).await, 1, "each saga takes the act once");
    }
    let told: BTreeSet<_> = items(&second, job.id, "").await.items.into_iter().map(|item| item.saga_id).collect();
    assert_eq!(told, sagas.into_iter().collect());
}

async fn every_orchestrator_tells_how_a_job_stands_until_it_is_over(rig: &Rig) {
    let (first, second) = (rig.orchestrator().await, rig.orchestrator().await);
    let worker = rig.worker().await;
    waiting(&first, &worker, 3).await;
    let filter = json!({ "name": "trip" });
    let job = make(&first, json!({ "action": "cancel", "filter": filter, "canary": { "sagas": 1 } })).await;
    let path = format!("/api/jobs/{}/events", job.id);
    let mut streams = Vec::new();
    for running in [&first, &first, &second] {
        streams.push(running.client.events(&path, None).await.unwrap());
    }
    let mut told = async |state: JobState| {
        for stream in &mut streams {
            loop {
                let Told { event, id, data } = stream.next().await.expect("the stream lasts until the job is over");
                let JobView { job, refusals } = serde_json::from_str(&data).unwrap();
                let over = job.state.is_over();
                assert_eq!((event.as_str(), id.as_str()), if over { ("end", "end") } else { ("progress", "") });
                if job.state == state {
                    assert_eq!((job.done, refusals.len()), (if over { 3 } else { 1 }, 0), "{job:?}");
                    break;
                }
            }
        }
    };
    told(JobState::Waiting).await;
    assert_eq!(change(&second, job.id, "resume").await.0, StatusCode::OK);
    told(JobState::Finished).await;
    for stream in &mut streams {
        assert_eq!(stream.next().await, None);
    }
    // Who comes late hears the end at once; who has heard it is told to ask no more.
    let late = second.client.events(&path, None).await.unwrap().next().await.unwrap();
    assert_eq!(late.event, "end");
    assert_eq!(second.client.events(&path, Some("end")).await.err(), Some(StatusCode::NO_CONTENT));
    let unknown = format!("/api/jobs/{}/events", kit::ids::job_id());
    assert_eq!(first.client.events(&unknown, None).await.err(), Some(StatusCode::NOT_FOUND));
}

async fn what_cannot_be_a_job_is_refused_with_its_reason(rig: &Rig) {
    let running = rig.orchestrator().await;
    for (body, status, code) in [
        (json!({ "action": "cancel", "filter": {} }), 422, "filter_empty"),
        (json!({ "action": "cancel", "filter": { "name": "" } }), 422, "field_invalid"),
        (json!({ "action": "cancel", "filter": { "name": "trip" } }), 422, "job_empty"),
        (json!({ "action": "cancel", "filter": { "status": ["completed"] } }), 422, "job_empty"),
        (json!({ "action": "cancel", "filter": { "name": "trip" }, "pace": 0 }), 422, "field_invalid"),
        (json!({ "action": "cancel", "filter": { "name": "trip" }, "canary": { "sagas": 0 } }), 422, "field_invalid"),
        (json!({ "action": "cancel", "filter": { "nam": "trip" } }), 422, "body_invalid"),
        (json!({ "action": "explode", "filter": { "name": "trip" } }), 422, "body_invalid"),
    ] {
        let mut asked = body;
        asked["reason"] = json!("because");
        let (found, problem) = running.client.post("/api/jobs", &asked).await;
        assert_eq!((found.as_u16(), &problem["code"]), (status, &json!(code)), "{asked}: {problem}");
    }
    let unknown = kit::ids::job_id();
    let (status, problem) = running.client.get(&format!("/api/jobs/{unknown}")).await;
    assert_eq!((status.as_u16(), &problem["code"]), (404, &json!("job_unknown")), "{problem}");
}
