//! The storage of bulk jobs: part of the port. A job's sagas are chosen once, when it is made; each has its own result.
//!
//! Whichever process carries a job out, changes of state are made only from the states that they are meant for, and a
//! result is noted only where there is none: two processes that hold one job for theirs for a moment do no harm.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use contract::{
    JobId, RequestId, SagaId,
    orchestrator_api::{Canary, Job, JobItem, JobOutcome, JobPreview, JobRefusals, JobState, SagaFilter},
    saga::Action,
};
use tokio::sync::watch;

use crate::error::JournalError;

/// The most jobs that are not over: more than people watch over.
pub const JOBS_OPEN_MAX: u32 = 20;

/// The most groups of a preview, the most numerous ones: more than anybody reads.
pub(crate) const JOB_GROUPS_MAX: u32 = 200;

/// A job to be made.
#[derive(Debug, Clone)]
pub struct NewJob {
    /// The job's id.
    pub id: JobId,
    /// The act on each saga.
    pub action: Action,
    /// The choice of its sagas.
    pub selection: Selection,
    /// The person in whose name it acts.
    pub actor: String,
    /// The role of that person.
    pub role: String,
    /// The reason that was given.
    pub reason: String,
    /// Sagas a second.
    pub pace: u16,
    /// The sagas that go first.
    pub canary: Option<Canary>,
    /// The name of the request, under which one job is made.
    pub request_id: Option<RequestId>,
    /// The time of the making.
    pub created_at: DateTime<Utc>,
}

impl NewJob {
    /// The outcome of a request under a name that made this job before.
    pub(crate) fn repeated(&self, made: Job) -> JobMade {
        let (filter, parent) = match &self.selection {
            Selection::Filter(filter) => (Some(filter), None),
            Selection::RefusedBy(parent) => (None, Some(*parent)),
        };
        let asked = (&self.action, filter, parent, &self.actor, &self.reason, self.pace, self.canary);
        let before =
            (&made.action, made.filter.as_ref(), made.parent, &made.actor, &made.reason, made.pace, made.canary);
        if asked == before { JobMade::Made(Box::new(made)) } else { JobMade::RequestReused(made.id) }
    }
}

/// The choice of a job's sagas.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "there is one of them for each job that is made, and none is kept")]
pub enum Selection {
    /// Those that match and have not ended.
    Filter(SagaFilter),
    /// Those that refused the act of an earlier job.
    RefusedBy(JobId),
}

/// The outcome of making a job.
#[derive(Debug, Clone, PartialEq)]
pub enum JobMade {
    /// It is made, or was made before under the name of the request.
    Made(Box<Job>),
    /// The name of the request made this job, which is another one. Nothing was made.
    RequestReused(JobId),
    /// No saga is chosen. Nothing was made.
    NoSagas,
    /// More sagas are chosen than one job takes. Nothing was made.
    TooManySagas,
    /// As many jobs as there may be are not over. Nothing was made.
    TooManyJobs,
}

/// The next work of a job.
#[derive(Debug, Clone, PartialEq)]
pub struct JobWork {
    /// The job as it stands.
    pub job: Job,
    /// True when a person resumed it after its canary.
    pub canary_passed: bool,
    /// The next sagas without a result, with their places; none when all have theirs.
    pub next: Vec<(u32, SagaId)>,
}

/// The result of one saga of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobResult {
    /// The saga's place in the job.
    pub place: u32,
    /// The outcome of the act.
    pub outcome: JobOutcome,
    /// The code of a refusal.
    pub code: Option<String>,
    /// The words of a refusal, or why the saga did not need the act.
    pub message: Option<String>,
}

/// The jobs as one process sees them.
#[async_trait]
pub trait Jobs: Send + Sync {
    /// Makes a job and chooses its sagas, the oldest first.
    async fn make_job(&self, job: &NewJob) -> Result<JobMade, JournalError>;

    /// The sagas that a filter chooses now.
    async fn preview_job(&self, filter: &SagaFilter) -> Result<JobPreview, JournalError>;

    /// The job of that id, if there is one.
    async fn job(&self, id: JobId) -> Result<Option<Job>, JournalError>;

    /// The jobs before that one, newest first, at most `limit`.
    async fn jobs(&self, before: Option<JobId>, limit: u32) -> Result<Vec<Job>, JournalError>;

    /// A job's refusals by code, the most frequent first.
    async fn job_refusals(&self, id: JobId) -> Result<Vec<JobRefusals>, JournalError>;

    /// A job's sagas behind that place, in their order, at most `limit`; of one result, or of all.
    async fn job_items(
        &self,
        id: JobId,
        outcome: Option<JobOutcome>,
        after: u32,
        limit: u32,
    ) -> Result<Vec<JobItem>, JournalError>;

    /// Moves a job from one of these states to another; the job after it, or none when it was in no such state. A job that
    /// is moved from waiting to running has its canary behind it.
    async fn move_job(
        &self,
        id: JobId,
        from: &[JobState],
        to: JobState,
        at: DateTime<Utc>,
    ) -> Result<Option<Job>, JournalError>;

    /// The running jobs of a shard.
    async fn running_jobs(&self, shard: u16) -> Result<Vec<JobId>, JournalError>;

    /// A job's next work, with at most `limit` sagas.
    async fn job_work(&self, id: JobId, limit: u32) -> Result<Option<JobWork>, JournalError>;

    /// Notes results, and why there is no progress, if there is none.
    async fn settle_job(
        &self,
        id: JobId,
        results: &[JobResult],
        trouble: Option<&str>,
        at: DateTime<Utc>,
    ) -> Result<(), JournalError>;

    /// Changes when a job is made or resumed, by any process, and when such a change may have been missed.
    fn jobs_changed(&self) -> watch::Receiver<u64>;

    /// Changes when a job has moved, by any process: its state or its results; and when such a change may have been missed.
    fn jobs_moved(&self) -> watch::Receiver<u64>;

    /// Forgets the jobs that were made before that time.
    async fn forget_jobs(&self, before: DateTime<Utc>) -> Result<u64, JournalError>;
}
