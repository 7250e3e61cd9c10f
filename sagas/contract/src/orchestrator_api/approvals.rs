//! Approvals: acts that one operator asks for and another one has carried out.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::{JobRequest, JobRerun};
use crate::{
    ids::{ApprovalId, JobId, SagaId},
    saga::Action,
};

/// The most sagas of a job that one operator makes alone: more are a decision about a day's business.
pub const JOB_ALONE_SAGAS_MAX: u64 = 100;

/// The most requests that wait for a second operator: more are a sign that nobody looks.
pub const APPROVALS_OPEN_MAX: usize = 200;

/// How long a request waits: over a night shift. What was true then is to be looked at anew later.
pub const APPROVAL_EXPIRES_AFTER: TimeDelta = TimeDelta::hours(24);

/// The reason why an act needs a second operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalGround {
    /// It says that something was undone which the engine did not undo.
    CompensationWaived,
    /// It changes a sum of money.
    MoneyEdited,
    /// It gives up a saga that is past its point of no return, or that cannot be read.
    PivotPassed,
    /// It acts on many sagas, or on sagas of which one of the above may be true.
    Bulk,
}

impl ApprovalGround {
    /// The word on the wire and in the journal.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CompensationWaived => "compensation_waived",
            Self::MoneyEdited => "money_edited",
            Self::PivotPassed => "pivot_passed",
            Self::Bulk => "bulk",
        }
    }
}

/// The request exactly as it was made.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "of", rename_all = "snake_case")]
pub enum ApprovedRequest {
    /// An act on one saga, as it stood.
    Act {
        /// The saga that is acted on.
        saga_id: SagaId,
        /// The act with its fields.
        action: Action,
        /// The journal's last number: the act is refused once there is a later one.
        head: u64,
    },
    /// A job over many sagas: those that match when it is approved.
    Job {
        /// The request for the job.
        job: Box<JobRequest>,
        /// The number of sagas that matched when it was asked for.
        sagas: u64,
    },
    /// A job over the sagas that refused the act of an earlier one.
    Rerun {
        /// The earlier job.
        job_id: JobId,
        /// The act of the earlier job.
        action: Action,
        /// The request for the job.
        rerun: JobRerun,
        /// The number of the sagas.
        sagas: u64,
    },
}

/// The states of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalState {
    /// It waits for a second operator.
    Pending,
    /// A second operator had it carried out.
    Approved,
    /// A second operator refused it.
    Rejected,
    /// Its time passed.
    Expired,
}

impl ApprovalState {
    /// The word on the wire and in the journal.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
            Self::Expired => "expired",
        }
    }
}

/// A request for the approval of a second operator.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Approval {
    /// The id of the request.
    pub id: ApprovalId,
    /// The act that is asked for.
    pub request: ApprovedRequest,
    /// The SHA-256 of the request, in lower-case hexadecimal digits.
    pub digest: String,
    /// The reason why it needs a second operator.
    pub ground: ApprovalGround,
    /// The person who asks.
    pub actor: String,
    /// The role of that person.
    pub role: String,
    /// The reason that was given.
    pub reason: String,
    /// The time of the request.
    pub created_at: DateTime<Utc>,
    /// The time at which it is void.
    pub expires_at: DateTime<Utc>,
    /// The state of the request.
    pub state: ApprovalState,
    /// The second operator's decision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<ApprovalDecision>,
    /// The outcome of an approved one: `done`, or the code of the refusal; absent while that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
}

/// The decision of the second operator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalDecision {
    /// The id of the second operator.
    pub actor: String,
    /// The role of that person.
    pub role: String,
    /// The reason that was given.
    pub reason: String,
    /// The time of the decision.
    pub at: DateTime<Utc>,
}

impl Approval {
    /// The object of the act: a saga's id, `jobs`, or the id of the job that is run again.
    #[must_use]
    pub fn target(&self) -> String {
        match &self.request {
            ApprovedRequest::Act { saga_id, .. } => saga_id.to_string(),
            ApprovedRequest::Job { .. } => "jobs".to_owned(),
            ApprovedRequest::Rerun { job_id, .. } => job_id.to_string(),
        }
    }

    /// The act's word.
    #[must_use]
    pub fn act(&self) -> &'static str {
        match &self.request {
            ApprovedRequest::Act { action, .. } | ApprovedRequest::Rerun { action, .. } => action.as_str(),
            ApprovedRequest::Job { job, .. } => job.action.as_str(),
        }
    }

    /// The request as it stands at that time.
    #[must_use]
    pub fn seen_at(mut self, now: DateTime<Utc>) -> Self {
        if self.state == ApprovalState::Pending && self.expires_at <= now {
            self.state = ApprovalState::Expired;
        }
        self
    }
}
