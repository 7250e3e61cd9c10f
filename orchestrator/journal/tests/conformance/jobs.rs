//! Bulk jobs: their sagas are chosen once, and each result is noted once.

use chrono::TimeDelta;
use contract::{
    JobId,
    orchestrator_api::{JobOutcome, JobState, SagaFilter},
    saga::{Action, SagaStatus},
};
use journal::{JOBS_OPEN_MAX, JobMade, JobResult, NewJob, Selection};

use crate::{
    adapters::{SHARDS, Storage},
    fixtures::*,
};

fn new_job(selection: Selection) -> NewJob {
    NewJob {
        id: kit::ids::job_id(),
        action: Action::Skip { step: step("hold-rooms"), reply: serde_json::json!({ "held": "\u{0}" }), force: true },
        selection,
        actor: "usr_1".to_owned(),
        role: "operator".to_owned(),
        reason: "because".to_owned(),
        pace: 7,
        canary: None,
        request_id: None,
        created_at: now(),
    }
}

fn orders() -> SagaFilter {
    SagaFilter { name: Some("order".to_owned()), ..SagaFilter::default() }
}

fn result(place: u32, outcome: JobOutcome) -> JobResult {
    let code = (outcome == JobOutcome::Refused).then(|| "pivot_passed".to_owned());
    JobResult { place, outcome, code, message: Some("so it is".to_owned()) }
}

pub(crate) async fn a_job_has_the_sagas_that_matched_when_it_was_made(storage: &dyn Storage) {
    let journal = storage.process().await;
    let mut lane = journal.lane(0).await.unwrap();
    let sagas: Vec<_> = (0..4).map(|_| saga_on(0)).collect();
    commit(&mut *lane, sagas.iter().map(|saga| start(row(*saga), None)).collect()).await;
    commit(&mut *lane, vec![status_on(sagas[0], 2, SagaStatus::Completed, None)]).await;
    commit(&mut *lane, vec![status_on(sagas[2], 2, SagaStatus::NeedsAttention, Some("saga/deadline_passed"))]).await;

    let preview = journal.preview_job(&orders()).await.unwrap();
    let groups: Vec<_> = preview
        .groups
        .iter()
        .map(|group| (group.status, group.step.clone(), group.code.as_deref(), group.sagas))
        .collect();
    let attention = (SagaStatus::NeedsAttention, None, Some("deadline_passed"), 1);
    assert_eq!((preview.sagas, groups), (3, vec![(SagaStatus::Running, None, None, 2), attention]));

    let new = new_job(Selection::Filter(orders()));
    let mut changed = journal.jobs_changed();
    changed.borrow_and_update();
    let JobMade::Made(job) = journal.make_job(&new).await.unwrap() else { panic!("it is made") };
    soon(changed.changed()).await.unwrap();
    commit(&mut *lane, vec![start(row(saga_on(0)), None)]).await;
    assert_eq!((job.sagas, job.settled(), job.state), (3, 0, JobState::Running));
    assert_eq!(journal.job(new.id).await.unwrap(), Some((*job).clone()));
    assert_eq!((job.action, job.filter), (new.action.clone(), Some(orders())));
    let items = journal.job_items(new.id, None, 0, 10).await.unwrap();
    let places: Vec<_> = items.iter().map(|item| (item.place, item.saga_id)).collect();
    assert_eq!(places, [(1, sagas[1]), (2, sagas[2]), (3, sagas[3])]);

    let over = SagaFilter { status: vec![SagaStatus::Completed], ..orders() };
    for nothing in [Selection::Filter(over), Selection::RefusedBy(new.id)] {
        assert_eq!(journal.make_job(&new_job(nothing)).await.unwrap(), JobMade::NoSagas);
    }
    let shard = new.id.shard(SHARDS);
    assert_eq!(journal.running_jobs(shard).await.unwrap(), [new.id]);
    assert_eq!(journal.running_jobs((shard + 1) % SHARDS).await.unwrap(), Vec::<JobId>::new());
    for _ in 1..JOBS_OPEN_MAX {
        let made = journal.make_job(&new_job(Selection::Filter(orders()))).await.unwrap();
        assert!(matches!(made, JobMade::Made(_)));
    }
    let one_more = new_job(Selection::Filter(orders()));
    assert_eq!(journal.make_job(&one_more).await.unwrap(), JobMade::TooManyJobs);
}

pub(crate) async fn the_results_of_a_job_are_noted_once_and_its_state_changes_only_from_where_it_may(
    storage: &dyn Storage,
) {
    let journal = storage.process().await;
    let mut lane = journal.lane(0).await.unwrap();
    commit(&mut *lane, (0..3).map(|_| start(row(saga_on(0)), None)).collect()).await;
    let new = new_job(Selection::Filter(orders()));
    assert!(matches!(journal.make_job(&new).await.unwrap(), JobMade::Made(_)));

    let other = storage.process().await;
    let mut moved = other.jobs_moved();
    moved.borrow_and_update();
    let some = [result(1, JobOutcome::Done), result(2, JobOutcome::Refused)];
    journal.settle_job(new.id, &some, Some("the third did not answer"), now()).await.unwrap();
    soon(moved.changed()).await.unwrap();
    // A runner that lost its shard comes late.
    journal.settle_job(new.id, &[result(2, JobOutcome::Done)], None, now()).await.unwrap();
    let work = journal.job_work(new.id, 10).await.unwrap().unwrap();
    assert_eq!((work.job.done, work.job.refused, work.job.vanished, work.job.trouble), (1, 1, 0, None));
    assert_eq!(work.next.iter().map(|(place, _)| *place).collect::<Vec<_>>(), [3]);
    let refused = journal.job_items(new.id, Some(JobOutcome::Refused), 0, 10).await.unwrap();
    assert_eq!((refused.len(), refused[0].place, refused[0].code.as_deref()), (1, 2, Some("pivot_passed")));
    let refusals = journal.job_refusals(new.id).await.unwrap();
    assert_eq!((refusals[0].code.as_str(), refusals[0].sagas), ("pivot_passed", 1));

    moved.borrow_and_update();
    let waits = journal.move_job(new.id, &[JobState::Running], JobState::Waiting, now()).await.unwrap();
    soon(moved.changed()).await.unwrap();
    assert_eq!(waits.unwrap().state, JobState::Waiting);
    assert_eq!(journal.move_job(new.id, &[JobState::Running], JobState::Paused, now()).await.unwrap(), None);
    assert!(!journal.job_work(new.id, 10).await.unwrap().unwrap().canary_passed);
    journal.move_job(new.id, &[JobState::Waiting], JobState::Running, now()).await.unwrap().unwrap();
    assert!(journal.job_work(new.id, 10).await.unwrap().unwrap().canary_passed);

    let again = new_job(Selection::RefusedBy(new.id));
    let JobMade::Made(rerun) = journal.make_job(&again).await.unwrap() else { panic!("it is made") };
    assert_eq!((rerun.parent, rerun.sagas, rerun.filter), (Some(new.id), 1, None));
    let listed: Vec<_> = journal.jobs(None, 10).await.unwrap().into_iter().map(|job| job.id).collect();
    assert_eq!(listed, [again.id, new.id]);
    assert_eq!(journal.jobs(Some(again.id), 10).await.unwrap().len(), 1);
    assert_eq!(journal.forget_jobs(now() + TimeDelta::hours(1)).await.unwrap(), 2);
    assert_eq!(journal.job(new.id).await.unwrap(), None);
}

pub(crate) async fn one_name_makes_one_job_and_no_other(storage: &dyn Storage) {
    let journal = storage.process().await;
    let mut lane = journal.lane(0).await.unwrap();
    commit(&mut *lane, vec![start(row(saga_on(0)), None)]).await;
    let request_id = Some(contract::RequestId::from_uuid(kit::ids::uuid_v7()));
    let named = || NewJob { request_id, ..new_job(Selection::Filter(orders())) };
    let JobMade::Made(first) = journal.make_job(&named()).await.unwrap() else { panic!("it is made") };
    assert_eq!(journal.make_job(&named()).await.unwrap(), JobMade::Made(first.clone()));
    let other = NewJob { pace: 8, ..named() };
    assert_eq!(journal.make_job(&other).await.unwrap(), JobMade::RequestReused(first.id));
    assert_eq!(journal.jobs(None, 10).await.unwrap(), [*first]);
}
