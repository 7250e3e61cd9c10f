//! `GET /api/approvals/{id}`, and `POST` to its `approve` and `reject`: a second operator looks at what is asked for, and has it
//! carried out exactly so, or refuses it.

use axum::{
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse as _, Response},
};
use contract::{
    ApprovalId, RequestId,
    orchestrator_api::{
        Approval, ApprovalDecision, ApprovalState, ApprovedRequest, JobRequest, JobRerun, REASON_BYTES_MAX,
    },
};
use kit::http::{ApiError, Json, Path};
use machine::Operator;
use serde::Deserialize;

use super::{Api, actions, jobs, operator, problems};
use crate::messages::acts::AskedAct;

/// The codes after which it is not known what came of an act: it may be approved once more, and takes effect once.
const UNSURE: [&str; 3] = ["verdict_missing", "broker_unavailable", "journal_unavailable"];

/// The body of a decision.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Why {
    reason: String,
}

/// One request by its id.
pub(super) async fn show(State(api): State<Api>, Path(id): Path<ApprovalId>) -> Result<Json<Approval>, ApiError> {
    find(&api, id).await.map(Json)
}

/// Has the act carried out as it was asked for. The saga's journal names both people.
pub(super) async fn approve(
    State(api): State<Api>,
    Path(id): Path<ApprovalId>,
    headers: HeaderMap,
    Json(Why { reason }): Json<Why>,
) -> Result<Response, ApiError> {
    let approval = decide(&api, id, &headers, &reason, ApprovalState::Approved).await?;
    let done = carry_out(&api, &approval).await;
    let outcome = done.as_ref().map_or_else(|error| error.code().to_owned(), |()| "done".to_owned());
    if !UNSURE.contains(&outcome.as_str()) {
        let settled = api.shared.journal.settle_approval(id, &outcome).await;
        settled.map_err(|error| problems::journal(&error))?;
    }
    done?;
    answer(&api, id).await
}

/// Refuses the request: nothing is done.
pub(super) async fn reject(
    State(api): State<Api>,
    Path(id): Path<ApprovalId>,
    headers: HeaderMap,
    Json(Why { reason }): Json<Why>,
) -> Result<Response, ApiError> {
    decide(&api, id, &headers, &reason, ApprovalState::Rejected).await?;
    answer(&api, id).await
}

async fn find(api: &Api, id: ApprovalId) -> Result<Approval, ApiError> {
    let found = api.shared.journal.approval(id).await.map_err(|error| problems::journal(&error))?;
    let found = found.ok_or_else(|| ApiError::not_found("approval_unknown", format!("there is no request {id}")))?;
    Ok(found.seen_at(api.shared.clock.now()))
}

/// The request with the object of its act as its place, so that the audit log names both.
async fn answer(api: &Api, id: ApprovalId) -> Result<Response, ApiError> {
    let approval = find(api, id).await?;
    Ok(([(header::LOCATION, format!("/api/sagas/{}", approval.target()))], Json(approval)).into_response())
}

/// Notes the decision of a second operator, once. An approval whose act has no known outcome can be repeated.
async fn decide(
    api: &Api,
    id: ApprovalId,
    headers: &HeaderMap,
    reason: &str,
    state: ApprovalState,
) -> Result<Approval, ApiError> {
    let Operator { actor, role, reason } = operator::read(headers, reason)?;
    let approval = find(api, id).await?;
    if approval.actor == actor {
        let detail = "nobody decides on a request of their own: another operator does";
        return Err(ApiError::conflict("approval_own", detail));
    }
    let decision = ApprovalDecision { actor, role, reason, at: api.shared.clock.now() };
    let decided = api.shared.journal.decide_approval(id, state, &decision).await;
    let decided = decided.map_err(|error| problems::journal(&error))?;
    let approval = find(api, id).await?;
    let repeated = approval.state == state && state == ApprovalState::Approved && approval.outcome.is_none();
    if decided || repeated {
        return Ok(approval);
    }
    Err(ApiError::conflict("approval_over", format!("the request is {}", approval.state.as_str())))
}

async fn carry_out(api: &Api, approval: &Approval) -> Result<(), ApiError> {
    // The request's own name: what is repeated takes effect once.
    let request_id = Some(RequestId::from_uuid(approval.id.uuid()));
    let operator = named(approval);
    match &approval.request {
        ApprovedRequest::Act { saga_id, action, head } => {
            let (saga_id, action, if_head) = (*saga_id, action.clone(), Some(*head));
            actions::carry_out(api, AskedAct { saga_id, action, operator, request_id, if_head }).await
        }
        ApprovedRequest::Job { job, .. } => {
            let job = JobRequest { request_id, ..(**job).clone() };
            jobs::make_from(api, operator, job).await.map(drop)
        }
        ApprovedRequest::Rerun { job_id, rerun, .. } => {
            let (parent, rerun) = (jobs::find(api, *job_id).await?, JobRerun { request_id, ..rerun.clone() });
            jobs::make_again(api, operator, parent, rerun).await.map(drop)
        }
    }
}

/// The operator who asked, with the one who approved in the reason.
fn named(approval: &Approval) -> Operator {
    let by =
        approval.decision.as_ref().map(|decision| format!(" (approved by {})", decision.actor)).unwrap_or_default();
    let room = REASON_BYTES_MAX.saturating_sub(by.len());
    let reason = &approval.reason;
    let end = (0..=room.min(reason.len())).rev().find(|at| reason.is_char_boundary(*at)).unwrap_or_default();
    let reason = format!("{}{by}", &reason[..end]);
    Operator { actor: approval.actor.clone(), role: approval.role.clone(), reason }
}
