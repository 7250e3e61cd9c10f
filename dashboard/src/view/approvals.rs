//! A request for the approval of a second operator: what is asked for, by whom and why.

use chrono::{DateTime, Utc};
use contract::orchestrator_api::{Approval, ApprovalGround, ApprovalState, ApprovedRequest};

use super::{
    acts,
    marks::{self, Mark},
    names::{self, Id},
    times::{self, Moment},
};

/// A request in the list, or on the page of its saga.
pub(crate) struct ApprovalRow {
    pub(crate) id: String,
    pub(crate) words: String,
    /// The saga, of an act on one.
    pub(crate) saga: Option<Id>,
    pub(crate) ground: &'static str,
    pub(crate) actor: Id,
    pub(crate) reason: String,
    pub(crate) asked: Moment,
    pub(crate) expires: Moment,
    pub(crate) mark: Mark,
    pub(crate) waits: bool,
    /// True for the request of the person who looks: another one decides.
    pub(crate) own: bool,
    pub(crate) decided: Option<(Id, String)>,
    pub(crate) outcome: Option<String>,
    /// The request, exactly.
    pub(crate) json: String,
}

/// The request as the person `looks` sees it.
pub(crate) fn row(approval: &Approval, looks: &str, now: DateTime<Utc>) -> ApprovalRow {
    let word = approval.act();
    let act = acts::words(word).map_or_else(|| names::title(word), str::to_owned);
    let (words, saga) = match &approval.request {
        ApprovedRequest::Act { saga_id, .. } => (act, Some(names::id(saga_id))),
        ApprovedRequest::Job { sagas, .. } => (format!("{act}, {sagas} sagas"), None),
        ApprovedRequest::Rerun { sagas, .. } => (format!("{act} again, {sagas} sagas"), None),
    };
    ApprovalRow {
        id: approval.id.to_string(),
        words,
        saga,
        ground: ground(approval.ground),
        actor: names::id(&approval.actor),
        reason: approval.reason.clone(),
        asked: times::moment(approval.created_at, now),
        expires: times::moment(approval.expires_at, now),
        mark: marks::of_approval(approval.state),
        waits: approval.state == ApprovalState::Pending,
        own: approval.actor == looks,
        decided: approval.decision.as_ref().map(|one| (names::id(&one.actor), one.reason.clone())),
        outcome: approval.outcome.clone(),
        json: serde_json::to_string_pretty(&approval.request).unwrap_or_default(),
    }
}

/// The ground in words.
pub(crate) const fn ground(ground: ApprovalGround) -> &'static str {
    match ground {
        ApprovalGround::CompensationWaived => "it says that something was undone which Sojourn did not undo",
        ApprovalGround::MoneyEdited => "it changes a sum of money",
        ApprovalGround::PivotPassed => "it gives up a saga that is past its point of no return",
        ApprovalGround::Bulk => "it acts on many sagas, or gives several up",
    }
}
