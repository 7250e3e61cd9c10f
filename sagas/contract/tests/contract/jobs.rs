//! Bulk jobs, as they are asked for and told.

use contract::{
    JobId,
    orchestrator_api::{
        AfterCanary, Canary, Job, JobGroup, JobItem, JobOutcome, JobPreview, JobPreviewRequest, JobRefusals,
        JobRequest, JobRerun, JobState, JobView, SagaFilter,
    },
    saga::{Action, SagaStatus},
};
use uuid::Uuid;

use crate::{
    golden::{Golden, golden},
    samples::{at, attributes, saga, step, user},
};

pub(crate) fn all() -> Vec<Golden> {
    let canary = Some(Canary { sagas: 5, then: AfterCanary::GoOn });
    let rerun = JobRerun { reason: "the provider is back".into(), pace: Some(20), canary, request_id: None };
    vec![
        golden("job_request", request(true)),
        golden("job_request.least", request(false)),
        golden("job_rerun", rerun),
        golden("job_preview_request", JobPreviewRequest { filter: filter() }),
        golden("job_preview", preview()),
        golden("job", job(true)),
        golden("job.least", job(false)),
        golden("job_view", JobView { job: job(false), refusals: vec![refusals()] }),
        golden("job_states", JobState::ALL.to_vec()),
        golden("job_item", item(true)),
        golden("job_item.least", item(false)),
        golden("job_outcomes", JobOutcome::ALL.to_vec()),
    ]
}

fn id(number: u128) -> JobId {
    JobId::from_uuid(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 + number))
}

fn filter() -> SagaFilter {
    SagaFilter {
        paused: true,
        status: vec![SagaStatus::Running, SagaStatus::NeedsAttention],
        name: Some("order".into()),
        version: Some(1),
        business_key: Some("ord_1".into()),
        owner: Some(user().to_string()),
        error: Some("hold-rooms/reply_missing".into()),
        step: Some(step("hold-rooms")),
        parent: Some(saga()),
        ids: vec![saga()],
        attributes: attributes(),
        created_after: Some(at(0)),
        created_before: Some(at(9)),
        finished_after: Some(at(10)),
        finished_before: Some(at(15)),
        holds_before: Some(at(20)),
    }
}

fn request(full: bool) -> JobRequest {
    let named = SagaFilter { name: Some("order".into()), ..SagaFilter::default() };
    JobRequest {
        action: if full { Action::Retry { step: Some(step("hold-rooms")) } } else { Action::Cancel {} },
        filter: if full { filter() } else { named },
        reason: "the hotel called back".into(),
        pace: full.then_some(20),
        canary: full.then_some(Canary { sagas: 5, then: AfterCanary::Wait }),
        request_id: None,
    }
}

fn preview() -> JobPreview {
    let group = |error: bool| JobGroup {
        name: "order".into(),
        version: 1,
        status: if error { SagaStatus::NeedsAttention } else { SagaStatus::Running },
        step: error.then(|| step("hold-rooms")),
        code: error.then(|| "reply_missing".into()),
        sagas: 3,
    };
    JobPreview { sagas: 6, groups: vec![group(true), group(false)] }
}

fn job(full: bool) -> Job {
    Job {
        id: id(11),
        state: if full { JobState::Waiting } else { JobState::Running },
        action: Action::Cancel {},
        filter: full.then(filter),
        parent: (!full).then(|| id(10)),
        actor: user().to_string(),
        role: "operator".into(),
        reason: "the hotel called back".into(),
        pace: 10,
        canary: full.then_some(Canary { sagas: 5, then: AfterCanary::GoOn }),
        sagas: 40,
        done: 3,
        refused: 1,
        vanished: 1,
        trouble: full.then(|| "the broker is away".into()),
        created_at: at(1),
        changed_at: at(2),
    }
}

fn refusals() -> JobRefusals {
    JobRefusals { code: "pivot_passed".into(), sagas: 1 }
}

fn item(full: bool) -> JobItem {
    JobItem {
        place: 1,
        saga_id: saga(),
        outcome: if full { JobOutcome::Refused } else { JobOutcome::Pending },
        code: full.then(|| "pivot_passed".into()),
        message: full.then(|| "step `confirm-rooms` is done".into()),
        at: full.then(|| at(3)),
    }
}

#[test]
fn the_request_for_a_place_of_a_job_is_always_the_same_and_no_other_place_has_it() {
    let (one, other) = (id(0x1_0000_0001), id(0x2_0000_0001));
    assert_eq!(one.request_at(7), one.request_at(7));
    let all: std::collections::BTreeSet<_> = (1..=1_000).map(|place| one.request_at(place)).collect();
    assert_eq!(all.len(), 1_000);
    assert_ne!(one.request_at(1), other.request_at(1));
}
