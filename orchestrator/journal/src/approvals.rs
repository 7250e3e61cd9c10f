//! The storage of requests for a second operator's approval: part of the port. Each is decided once, by another person.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use contract::{
    ApprovalId,
    orchestrator_api::{Approval, ApprovalDecision, ApprovalState},
};

use crate::error::JournalError;

/// The outcome of asking for an approval.
#[derive(Debug, Clone)]
pub enum ApprovalAsked {
    /// It waits for a second operator.
    Asked,
    /// The same person has asked for the same before, and it still waits.
    Known(Box<Approval>),
    /// As many wait as may. Nothing has changed.
    TooMany,
}

/// The conditions of a listing of requests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ApprovalFilter {
    /// Only those that wait at that time.
    pub waiting_at: Option<DateTime<Utc>>,
    /// Only those of acts on this object.
    pub target: Option<String>,
}

/// The requests as one process sees them. Their states are as they were decided: one that has expired is still pending here.
#[async_trait]
pub trait Approvals: Send + Sync {
    /// Keeps a request.
    async fn ask_approval(&self, approval: &Approval) -> Result<ApprovalAsked, JournalError>;

    /// The requests, newest first.
    async fn approvals(
        &self,
        filter: &ApprovalFilter,
        before: Option<ApprovalId>,
        limit: u32,
    ) -> Result<Vec<Approval>, JournalError>;

    /// The request of this id.
    async fn approval(&self, id: ApprovalId) -> Result<Option<Approval>, JournalError>;

    /// Decides a request that waits and is not the decider's own; of any other nothing changes, and the answer is false.
    async fn decide_approval(
        &self,
        id: ApprovalId,
        state: ApprovalState,
        decision: &ApprovalDecision,
    ) -> Result<bool, JournalError>;

    /// Notes what came of an approved request.
    async fn settle_approval(&self, id: ApprovalId, outcome: &str) -> Result<(), JournalError>;

    /// Forgets requests that were made before that time. The audit log keeps who asked and who decided.
    async fn forget_approvals(&self, before: DateTime<Utc>) -> Result<u64, JournalError>;
}
