//! Carrying bulk jobs out: one act on many sagas, a few at a time.
//!
//! ```text
//!  owner of the job's shard: read the next sagas -> act on each, over its shard's queue -> note the results -> pause
//! ```
//!
//! A job belongs to a shard, and the process that owns the shard carries it out, so that a job has one runner, and another
//! one soon after the death of the first. Each act is named by the job and the saga's place in it: one that took effect before
//! its runner died is answered, and not done again.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use contract::{
    JobId, SagaId,
    orchestrator_api::{AfterCanary, Job, JobOutcome, JobState},
};
use futures::future::join_all;
use journal::{JobResult, JobWork, JournalError};
use machine::{Operator, codes::REFUSED_ACTION_EXPIRED};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};

use crate::{
    messages::{
        acts::{self, AskedAct, NoVerdict},
        wire::ActEnd,
    },
    names,
    shared::Shared,
};

/// The oldest job that is carried out: what was chosen earlier is not what its maker saw any more.
pub(crate) const JOB_AGE_MAX: TimeDelta = TimeDelta::days(7);

/// Sagas that are acted on at once: a fraction of one lane's batch, and what is finished at most after a pause.
const BATCH_SAGAS_MAX: u16 = 50;

/// The pause after verdicts that did not come, or a journal that did not answer.
const TROUBLE_PAUSE: Duration = Duration::from_secs(2);

/// After so many verdicts that did not come, some two minutes in all, a saga has its failure: its lane does not answer for it.
const VERDICTS_MISSED_MAX: u32 = 8;

/// The code of a saga whose lane gave no verdict, as a single act has it.
const FAILURE_VERDICT_MISSING: &str = "verdict_missing";

/// Carries out the running jobs of a shard for as long as this process owns it.
pub(crate) async fn serve(shared: Arc<Shared>, shard: u16) {
    let mut changed = shared.journal.jobs_changed();
    let mut runners = JoinSet::new();
    let mut running = HashSet::new();
    loop {
        changed.borrow_and_update();
        match shared.journal.running_jobs(shard).await {
            Ok(jobs) => {
                for id in jobs.into_iter().filter(|id| running.insert(*id)) {
                    runners.spawn(run(Arc::clone(&shared), id));
                }
            }
            Err(error) => {
                tracing::warn!(shard, error = kit::settings::error_chain(&error), "jobs cannot be looked for");
                sleep(TROUBLE_PAUSE).await;
                continue;
            }
        }
        tokio::select! {
            told = changed.changed() => {
                if told.is_err() {
                    return;
                }
            }
            Some(ended) = runners.join_next() => {
                if let Ok(id) = ended {
                    running.remove(&id);
                }
            }
        }
    }
}

/// Carries a job out until it rests; the answer is its id.
async fn run(shared: Arc<Shared>, id: JobId) -> JobId {
    tracing::info!(%id, "a job runs");
    let mut missed = HashMap::new();
    loop {
        let began = Instant::now();
        match act_on_next(&shared, id, &mut missed).await {
            Ok(Some(pause)) => sleep_until(began + pause).await,
            Ok(None) => return id,
            Err(error) => {
                tracing::warn!(%id, error = kit::settings::error_chain(&error), "a job stands still");
                sleep(TROUBLE_PAUSE).await;
            }
        }
    }
}

/// The next move of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// Nothing, until a person wants it.
    Rest,
    /// A change of its state.
    Become(JobState),
    /// The end, because it is too old.
    Expire,
    /// Acts on so many sagas.
    Act(usize),
}

fn next(work: &JobWork, now: DateTime<Utc>) -> Next {
    let JobWork { job, canary_passed, next } = work;
    if job.state != JobState::Running {
        return Next::Rest;
    }
    if next.is_empty() {
        return Next::Become(JobState::Finished);
    }
    if now - job.created_at > JOB_AGE_MAX {
        return Next::Expire;
    }
    let most = next.len().min(usize::from(job.pace.min(BATCH_SAGAS_MAX)));
    let Some(canary) = job.canary else { return Next::Act(most) };
    let goes_on = *canary_passed || canary.then == AfterCanary::GoOn && job.done == canary.sagas;
    match canary.sagas.checked_sub(job.settled()) {
        Some(0) if !goes_on => Next::Become(JobState::Waiting),
        Some(0) | None => Next::Act(most),
        // A batch ends with the canary.
        Some(left) => Next::Act(most.min(usize::try_from(left).unwrap_or(usize::MAX))),
    }
}

/// Makes the next move; the answer is how long it takes at the job's pace, or none when the job rests.
async fn act_on_next(
    shared: &Shared,
    id: JobId,
    missed: &mut HashMap<u32, u32>,
) -> Result<Option<Duration>, JournalError> {
    let Some(work) = shared.journal.job_work(id, u32::from(BATCH_SAGAS_MAX)).await? else { return Ok(None) };
    let count = match next(&work, shared.clock.now()) {
        Next::Rest => return Ok(None),
        Next::Become(state) => {
            shared.journal.move_job(id, &[JobState::Running], state, shared.clock.now()).await?;
            tracing::info!(%id, state = state.as_str(), "a job rests");
            return Ok(None);
        }
        Next::Expire => {
            let now = shared.clock.now();
            shared.journal.move_job(id, &[JobState::Running], JobState::Aborted, now).await?;
            let why = format!("it was made more than {} days ago", JOB_AGE_MAX.num_days());
            shared.journal.settle_job(id, &[], Some(&why), now).await?;
            return Ok(None);
        }
        Next::Act(count) => count,
    };
    let JobWork { job, canary_passed: _, next } = work;
    let acting =
        next.into_iter().take(count).map(async |(place, saga_id)| (place, act(shared, &job, place, saga_id).await));
    let (mut results, mut trouble) = (Vec::with_capacity(count), None);
    for (place, end) in join_all(acting).await {
        match end {
            Ok(result) => results.push(result),
            Err(why) => {
                let times: &mut u32 = missed.entry(place).or_default();
                *times += u32::from(matches!(why, NoVerdict::TimedOut));
                let message = why.to_string();
                if *times >= VERDICTS_MISSED_MAX {
                    results.push(refused(place, FAILURE_VERDICT_MISSING.to_owned(), message));
                } else {
                    trouble = Some(message);
                }
            }
        }
    }
    shared.journal.settle_job(id, &results, trouble.as_deref(), shared.clock.now()).await?;
    for result in &results {
        missed.remove(&result.place);
        metrics::counter!(names::JOB_RESULTS, "outcome" => result.outcome.as_str()).increment(1);
    }
    let pause = Duration::from_secs(1).mul_f64(lossless(count) / f64::from(job.pace.max(1)));
    Ok(Some(if trouble.is_some() { pause.max(TROUBLE_PAUSE) } else { pause }))
}

fn lossless(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::MAX, f64::from)
}

/// Acts on one saga of a job. The same place has the same request, whenever and by whichever process it is sent.
async fn act(shared: &Shared, job: &Job, place: u32, saga_id: SagaId) -> Result<JobResult, NoVerdict> {
    let reason = format!("{} ({})", job.reason, job.id);
    let operator = Operator { actor: job.actor.clone(), role: job.role.clone(), reason };
    let request_id = Some(job.id.request_at(place));
    let asked = AskedAct { saga_id, action: job.action.clone(), operator, request_id, if_head: None };
    let end = acts::act(shared, asked).await?;
    result(place, end).ok_or(NoVerdict::TimedOut)
}

/// The result of the saga at a place, from a verdict; none when the verdict is that of an earlier request which came too late.
fn result(place: u32, end: ActEnd) -> Option<JobResult> {
    let settled = |outcome, message| JobResult { place, outcome, code: None, message };
    Some(match end {
        ActEnd::Accepted | ActEnd::Kept => settled(JobOutcome::Done, None),
        ActEnd::Unchanged { why } => settled(JobOutcome::Done, Some(why)),
        ActEnd::Refused { code, .. } if code == REFUSED_ACTION_EXPIRED => return None,
        ActEnd::Refused { code, message } => refused(place, code, message),
        ActEnd::NoSuchSaga => settled(JobOutcome::Vanished, None),
        ActEnd::Parked { code, detail } => refused(place, code, detail),
    })
}

fn refused(place: u32, code: String, message: String) -> JobResult {
    JobResult { place, outcome: JobOutcome::Refused, code: Some(code), message: Some(message) }
}

#[cfg(test)]
mod tests {
    use contract::{orchestrator_api::Canary, saga::Action};

    use super::*;

    fn work(canary: Option<Canary>, done: u32, refused: u32, left: u32) -> JobWork {
        let id = kit::ids::job_id();
        let created_at = DateTime::UNIX_EPOCH;
        let job = Job {
            id,
            state: JobState::Running,
            action: Action::Cancel {},
            filter: None,
            parent: None,
            actor: "usr_1".to_owned(),
            role: "operator".to_owned(),
            reason: "because".to_owned(),
            pace: 5,
            canary,
            sagas: done + refused + left,
            done,
            refused,
            vanished: 0,
            trouble: None,
            created_at,
            changed_at: created_at,
        };
        let next = (0..left).map(|place| (done + refused + place + 1, kit::ids::saga_id(0, 1))).collect();
        JobWork { job, canary_passed: false, next }
    }

    fn after(sagas: u32, then: AfterCanary) -> Option<Canary> {
        Some(Canary { sagas, then })
    }

    fn next_now(work: &JobWork) -> Next {
        next(work, DateTime::UNIX_EPOCH)
    }

    #[test]
    fn a_batch_holds_what_the_pace_allows_and_ends_with_the_canary() {
        assert_eq!(next_now(&work(None, 0, 0, 9)), Next::Act(5));
        assert_eq!(next_now(&work(None, 7, 0, 2)), Next::Act(2));
        assert_eq!(next_now(&work(after(7, AfterCanary::Wait), 5, 0, 9)), Next::Act(2));
        assert_eq!(next_now(&work(None, 9, 0, 0)), Next::Become(JobState::Finished));
    }

    #[test]
    fn a_job_waits_after_its_canary_unless_all_of_it_took_the_act_and_that_is_enough() {
        assert_eq!(next_now(&work(after(3, AfterCanary::Wait), 3, 0, 9)), Next::Become(JobState::Waiting));
        assert_eq!(next_now(&work(after(3, AfterCanary::GoOn), 2, 1, 9)), Next::Become(JobState::Waiting));
        assert_eq!(next_now(&work(after(3, AfterCanary::GoOn), 3, 0, 9)), Next::Act(5));
        let resumed = JobWork { canary_passed: true, ..work(after(3, AfterCanary::Wait), 2, 1, 9) };
        assert_eq!(next_now(&resumed), Next::Act(5));
        assert_eq!(next_now(&work(after(3, AfterCanary::Wait), 4, 4, 9)), Next::Act(5));
        assert_eq!(next_now(&work(after(30, AfterCanary::Wait), 3, 0, 0)), Next::Become(JobState::Finished));
    }

    #[test]
    fn an_old_job_is_not_carried_out_any_more() {
        let work = work(None, 0, 0, 9);
        assert_eq!(next(&work, DateTime::UNIX_EPOCH + JOB_AGE_MAX + TimeDelta::seconds(1)), Next::Expire);
    }

    #[test]
    fn the_verdict_on_an_earlier_request_that_came_too_late_is_none() {
        let late = ActEnd::Refused { code: REFUSED_ACTION_EXPIRED.to_owned(), message: String::new() };
        assert_eq!(result(1, late), None);
        assert_eq!(result(1, ActEnd::NoSuchSaga).unwrap().outcome, JobOutcome::Vanished);
    }
}
