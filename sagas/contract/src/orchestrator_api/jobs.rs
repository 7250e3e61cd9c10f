//! Bulk jobs: one act on many sagas, carried out on the server, canary first and at a pace.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    attributes::Attributes,
    ids::{JobId, RequestId, SagaId},
    saga::{Action, SagaStatus},
    step::StepName,
};

/// The most sagas of one job: chosen in one short statement, and a day of work at a careful pace. A larger set is cut by
/// the time of its start.
pub const JOB_SAGAS_MAX: u32 = 50_000;

/// The pace of a job that names none, in sagas a second: far below what a shard does beside its other work.
pub const JOB_PACE_DEFAULT: u16 = 10;

/// The highest pace, in sagas a second: half of what a small machine can do at all.
pub const JOB_PACE_MAX: u16 = 200;

/// The most ids of one filter: more than a person selects, and a request of some 40 KiB.
pub const SAGA_IDS_MAX: usize = 1_000;

/// The conditions on sagas, those of the listing. All that are given must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SagaFilter {
    /// Any of these; every status when empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub status: Vec<SagaStatus>,
    /// The definition's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The definition's version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
    /// Exactly this business key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub business_key: Option<String>,
    /// Exactly this owner.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Exactly this error group, as `hold-rooms/room_sold_out`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Failed at this step, however.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<StepName>,
    /// Only those that are paused.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub paused: bool,
    /// The children of this saga.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<SagaId>,
    /// Any of these, at most [`SAGA_IDS_MAX`]; every saga when empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<SagaId>,
    /// All of these search attributes.
    #[serde(skip_serializing_if = "Attributes::is_empty")]
    pub attributes: Attributes,
    /// Started at that time or later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_after: Option<DateTime<Utc>>,
    /// Started before that time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_before: Option<DateTime<Utc>>,
    /// Ended at that time or later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_after: Option<DateTime<Utc>>,
    /// Ended before that time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_before: Option<DateTime<Utc>>,
    /// Holding something that lapses before that time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub holds_before: Option<DateTime<Utc>>,
}

/// A request for a job.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct JobRequest {
    /// The act on each saga.
    #[serde(flatten)]
    pub action: Action,
    /// The sagas: those that match now and have not ended. An empty filter is refused.
    pub filter: SagaFilter,
    /// The reason; it goes into the journal of each saga.
    pub reason: String,
    /// Sagas a second, 1 to [`JOB_PACE_MAX`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pace: Option<u16>,
    /// The sagas that go first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<Canary>,
    /// Names the request, so that it can be repeated when its answer was lost: one name makes one job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<RequestId>,
}

/// A request for a new job over the sagas that refused the act of an earlier one.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobRerun {
    /// The reason; it goes into the journal of each saga.
    pub reason: String,
    /// Sagas a second, 1 to [`JOB_PACE_MAX`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pace: Option<u16>,
    /// The sagas that go first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<Canary>,
    /// Names the request, as in [`JobRequest`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<RequestId>,
}

/// The first sagas of a job, after which it waits, or looks at what came of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Canary {
    /// The number of the sagas, the oldest ones.
    pub sagas: u32,
    /// The sequel of the canary.
    #[serde(default)]
    pub then: AfterCanary,
}

/// The sequel of a canary.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AfterCanary {
    /// The job waits until it is resumed.
    #[default]
    Wait,
    /// The job goes on when all of the canary took the act, and waits otherwise.
    GoOn,
}

/// The state of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Sagas are acted on.
    Running,
    /// The canary is over, and a person is asked.
    Waiting,
    /// A person paused it.
    Paused,
    /// Every saga has its result.
    Finished,
    /// A person ended it, or it grew too old; the sagas without a result were left alone.
    Aborted,
}

impl JobState {
    /// Every state of a job.
    pub const ALL: [Self; 5] = [Self::Running, Self::Waiting, Self::Paused, Self::Finished, Self::Aborted];

    /// The word in columns and on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Paused => "paused",
            Self::Finished => "finished",
            Self::Aborted => "aborted",
        }
    }

    /// True when nothing more will happen.
    #[must_use]
    pub const fn is_over(self) -> bool {
        match self {
            Self::Finished | Self::Aborted => true,
            Self::Running | Self::Waiting | Self::Paused => false,
        }
    }
}

/// A job as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// The job's id.
    pub id: JobId,
    /// The state of the job.
    pub state: JobState,
    /// The act on each saga.
    #[serde(flatten)]
    pub action: Action,
    /// The filter that chose the sagas; absent for a job over the failures of another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<SagaFilter>,
    /// The job whose failures these sagas were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<JobId>,
    /// The person who made the job, and in whose name it acts.
    pub actor: String,
    /// The role of that person.
    pub role: String,
    /// The reason that was given.
    pub reason: String,
    /// Sagas a second.
    pub pace: u16,
    /// The sagas that go first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<Canary>,
    /// The number of its sagas.
    pub sagas: u32,
    /// Those of them that took the act, or did not need it any more.
    pub done: u32,
    /// Those that refused it.
    pub refused: u32,
    /// Those that do not exist any more.
    pub vanished: u32,
    /// The reason why it makes no progress now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// The time at which it was made, and its sagas chosen.
    pub created_at: DateTime<Utc>,
    /// The time of its last change of state.
    pub changed_at: DateTime<Utc>,
}

impl Job {
    /// The number of the sagas that have their result.
    #[must_use]
    pub const fn settled(&self) -> u32 {
        self.done + self.refused + self.vanished
    }
}

/// A job with its refusals by their codes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobView {
    /// The job as it stands.
    #[serde(flatten)]
    pub job: Job,
    /// The refusals, the most frequent code first.
    pub refusals: Vec<JobRefusals>,
}

/// The sagas of a job that refused its act with one code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobRefusals {
    /// The code of the refusals.
    pub code: String,
    /// The number of sagas.
    pub sagas: u32,
}

/// One saga of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobItem {
    /// Its place in the job, from 1.
    pub place: u32,
    /// The id of the saga.
    pub saga_id: SagaId,
    /// The outcome of the act.
    pub outcome: JobOutcome,
    /// The code of a refusal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The words of a refusal, or why the saga did not need the act.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The time of the result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<DateTime<Utc>>,
}

/// The result of one saga of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobOutcome {
    /// There is none yet.
    Pending,
    /// The saga took the act, or did not need it any more.
    Done,
    /// The saga refused the act.
    Refused,
    /// There is no such saga any more.
    Vanished,
}

impl JobOutcome {
    /// Every result of a saga.
    pub const ALL: [Self; 4] = [Self::Pending, Self::Done, Self::Refused, Self::Vanished];

    /// The word in columns and on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Vanished => "vanished",
        }
    }
}

/// A request for the sagas that a job would have.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobPreviewRequest {
    /// The filter of the job.
    pub filter: SagaFilter,
}

/// The sagas that a job would have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobPreview {
    /// The number of the sagas; one more than [`JOB_SAGAS_MAX`] when there are too many for one job.
    pub sagas: u32,
    /// The sagas by definition, status and error, the most numerous first.
    pub groups: Vec<JobGroup>,
}

/// Sagas of a preview that have definition, status and error in common.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobGroup {
    /// The definition's name.
    pub name: String,
    /// The definition's version.
    pub version: u32,
    /// The status of the sagas.
    pub status: SagaStatus,
    /// The step at which they failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<StepName>,
    /// The code with which they failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The number of the sagas.
    pub sagas: u32,
}
