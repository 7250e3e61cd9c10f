//! `GET /api/approvals`, and asking for an approval: an act that one operator does not do alone is kept as a request, and its
//! author is answered with it.

use axum::{
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
};
use contract::{
    Page, PageToken, SagaId,
    orchestrator_api::{
        APPROVAL_EXPIRES_AFTER, APPROVALS_OPEN_MAX, Approval, ApprovalGround, ApprovalState, ApprovedRequest, Job,
        JobRequest, JobRerun,
    },
    page::page_size,
    saga::Action,
};
use journal::{ApprovalAsked, ApprovalFilter, JournalError};
use kit::http::{ApiError, Json, Query, page_token};
use machine::Operator;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::{Api, problems};
use crate::{four_eyes, names};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    /// Only those that wait.
    #[serde(default)]
    waiting: bool,
    target: Option<String>,
    page_size: Option<u32>,
    page_token: Option<PageToken>,
}

/// The answer to an act that waits for a second operator.
pub(super) struct Waits(Approval);

/// The mark of such an answer, for the audit log.
#[derive(Debug, Clone, Copy)]
pub(super) struct ApprovalAwaited;

impl Waits {
    pub(super) fn response(self) -> Response {
        let place = [(header::LOCATION, format!("/api/approvals/{}", self.0.id))];
        let mut response = (StatusCode::ACCEPTED, place, Json(self.0)).into_response();
        response.extensions_mut().insert(ApprovalAwaited);
        response
    }
}

/// Looks whether an act needs a second operator, and asks for one then. An act whose ground depends on how its saga stands is
/// bound to the record that was looked at.
pub(super) async fn ask_for_act(
    api: &Api,
    saga_id: SagaId,
    action: &Action,
    operator: &Operator,
    if_head: &mut Option<u64>,
) -> Result<Option<Waits>, ApiError> {
    let shared = &api.shared;
    let graver = matches!(action, Action::Resolve { .. }) || four_eyes::depends_on_the_saga(action);
    if !shared.settings.four_eyes || !graver {
        return Ok(None);
    }
    let stored = match shared.journal.get(saga_id).await {
        Ok(found) => found.ok_or_else(|| problems::no_saga(saga_id))?,
        // One that cannot be read may be past its point of no return. No record of it was seen.
        Err(JournalError::BrokenRow { .. } | JournalError::Damaged { .. } | JournalError::NewerReader { .. })
            if matches!(action, Action::Abandon {}) =>
        {
            let request = ApprovedRequest::Act { saga_id, action: action.clone(), head: 0 };
            return ask(api, request, ApprovalGround::PivotPassed, operator).await.map(Some);
        }
        Err(error) => return Err(problems::journal(&error)),
    };
    let seen = stored.records.last().map_or(0, |record| record.seq);
    if if_head.is_some_and(|head| head != seen) || stored.row.status.is_final() {
        // The lane refuses it with its own words.
        return Ok(None);
    }
    *if_head = Some(seen);
    let Some(ground) = four_eyes::of_act(&shared.catalog, &stored, action, shared.clock.now()) else {
        return Ok(None);
    };
    let request = ApprovedRequest::Act { saga_id, action: action.clone(), head: seen };
    ask(api, request, ground, operator).await.map(Some)
}

/// The same for a job.
pub(super) async fn ask_for_job(api: &Api, job: &JobRequest, operator: &Operator) -> Result<Option<Waits>, ApiError> {
    if !api.shared.settings.four_eyes {
        return Ok(None);
    }
    let preview = api.shared.journal.preview_job(&job.filter).await.map_err(|error| problems::journal(&error))?;
    let sagas = u64::from(preview.sagas);
    let Some(ground) = four_eyes::of_job(&job.action, sagas) else { return Ok(None) };
    ask(api, ApprovedRequest::Job { job: Box::new(job.clone()), sagas }, ground, operator).await.map(Some)
}

/// The same for a job over the sagas that refused the act of an earlier one.
pub(super) async fn ask_for_rerun(
    api: &Api,
    parent: &Job,
    rerun: &JobRerun,
    operator: &Operator,
) -> Result<Option<Waits>, ApiError> {
    let sagas = u64::from(parent.refused);
    let ground = four_eyes::of_job(&parent.action, sagas).filter(|_| api.shared.settings.four_eyes);
    let Some(ground) = ground else { return Ok(None) };
    let (job_id, action, rerun) = (parent.id, parent.action.clone(), rerun.clone());
    ask(api, ApprovedRequest::Rerun { job_id, action, rerun, sagas }, ground, operator).await.map(Some)
}

async fn ask(
    api: &Api,
    request: ApprovedRequest,
    ground: ApprovalGround,
    operator: &Operator,
) -> Result<Waits, ApiError> {
    let created_at = api.shared.clock.now();
    let Operator { actor, role, reason } = operator.clone();
    let text = serde_json::to_vec(&request).map_err(|_| ApiError::internal())?;
    let approval = Approval {
        id: kit::ids::approval_id(),
        request,
        digest: Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect(),
        ground,
        actor,
        role,
        reason,
        created_at,
        expires_at: created_at + APPROVAL_EXPIRES_AFTER,
        state: ApprovalState::Pending,
        decision: None,
        outcome: None,
    };
    match api.shared.journal.ask_approval(&approval).await.map_err(|error| problems::journal(&error))? {
        ApprovalAsked::Asked => {
            let Approval { id, actor, .. } = &approval;
            tracing::info!(%id, act = approval.act(), target = approval.target(), actor, "an approval is asked for");
            metrics::counter!(names::APPROVALS, "ground" => ground.as_str()).increment(1);
            Ok(Waits(approval))
        }
        ApprovalAsked::Known(known) => Ok(Waits(*known)),
        ApprovalAsked::TooMany => {
            Err(ApiError::conflict("approvals_exhausted", format!("{APPROVALS_OPEN_MAX} requests wait for approval")))
        }
    }
}

/// The requests, newest first.
pub(super) async fn list(
    State(api): State<Api>,
    Query(Asked { waiting, target, page_size: asked, page_token: token }): Query<Asked>,
) -> Result<Json<Page<Approval>>, ApiError> {
    if target.as_ref().is_some_and(|target| target.contains('\0')) {
        return Err(ApiError::bad_request("query_invalid", "the target has U+0000"));
    }
    let (now, limit) = (api.shared.clock.now(), page_size(asked));
    let listing = format!("approvals {waiting} {target:?}");
    let before = token.map(|token| page_token::read(&token, &listing)).transpose()?;
    let filter = ApprovalFilter { waiting_at: waiting.then_some(now), target };
    let found = api.shared.journal.approvals(&filter, before, limit + 1).await;
    let found = found.map_err(|error| problems::journal(&error))?;
    let page = Page::cut(found, limit as usize, |last| page_token::write(&listing, &last.id));
    Ok(Json(page.map(|approval| approval.seen_at(now))))
}
