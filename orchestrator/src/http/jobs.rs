//! `/api/jobs`: one act on many sagas. These routes make jobs, change their state and show them; the owner of a job's shard
//! carries it out.

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use contract::{
    JobId, Page, PageToken, RequestId,
    orchestrator_api::{
        Canary, JOB_PACE_DEFAULT, JOB_PACE_MAX, JOB_SAGAS_MAX, Job, JobItem, JobOutcome, JobPreview, JobPreviewRequest,
        JobRequest, JobRerun, JobState, JobView, SAGA_IDS_MAX, SagaFilter,
    },
    page::page_size,
    problem::FieldError,
    saga::Action,
};
use journal::{JOBS_OPEN_MAX, JobMade, NewJob, Selection};
use kit::http::{ApiError, Json, Path, Query, page_token};
use machine::Operator;
use serde::Deserialize;

use super::{Api, actions, approvals, operator, problems};
use crate::{jobs::JOB_AGE_MAX, starts::fields::BUSINESS_KEY_BYTES_MAX};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    page_size: Option<u32>,
    page_token: Option<PageToken>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ItemsAsked {
    /// Only sagas with this result.
    outcome: Option<JobOutcome>,
    page_size: Option<u32>,
    page_token: Option<PageToken>,
}

/// The body of a change of state.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Why {
    reason: String,
}

/// Makes a job.
pub(super) async fn create(
    State(api): State<Api>,
    headers: HeaderMap,
    Json(request): Json<JobRequest>,
) -> Result<Response, ApiError> {
    let operator = operator::read(&headers, &request.reason)?;
    let action = &request.action;
    actions::refuse_card_number(action)?;
    if matches!(action, Action::Edit { .. } | Action::Resolve { .. }) {
        let detail = format!("`{}` is an act on one saga: its author has looked at that one", action.as_str());
        let error = FieldError { detail: detail.clone(), pointer: "#/action".to_owned() };
        return Err(ApiError::unprocessable("field_invalid", detail, vec![error]));
    }
    check_filter(&request.filter)?;
    match approvals::ask_for_job(&api, &request, &operator).await? {
        Some(waits) => Ok(waits.response()),
        None => make_from(&api, operator, request).await,
    }
}

/// Makes the job of a request that was looked at.
pub(super) async fn make_from(api: &Api, operator: Operator, request: JobRequest) -> Result<Response, ApiError> {
    let JobRequest { action, filter, reason: _, pace, canary, request_id } = request;
    make(api, operator, action, Selection::Filter(filter), Rate { pace, canary }, request_id).await
}

/// Makes a job over the sagas that refused the act of one that is over.
pub(super) async fn rerun(
    State(api): State<Api>,
    Path(id): Path<JobId>,
    headers: HeaderMap,
    Json(request): Json<JobRerun>,
) -> Result<Response, ApiError> {
    let operator = operator::read(&headers, &request.reason)?;
    let parent = find(&api, id).await?;
    if !parent.state.is_over() {
        let detail = format!("the job is {}; its failures are known when it is over", parent.state.as_str());
        return Err(ApiError::conflict("job_unfinished", detail));
    }
    match approvals::ask_for_rerun(&api, &parent, &request, &operator).await? {
        Some(waits) => Ok(waits.response()),
        None => make_again(&api, operator, parent, request).await,
    }
}

/// Makes the job of a request for another run that was looked at.
pub(super) async fn make_again(
    api: &Api,
    operator: Operator,
    parent: Job,
    request: JobRerun,
) -> Result<Response, ApiError> {
    let JobRerun { reason: _, pace, canary, request_id } = request;
    make(api, operator, parent.action, Selection::RefusedBy(parent.id), Rate { pace, canary }, request_id).await
}

/// How fast a job goes, and which of its sagas go first.
struct Rate {
    pace: Option<u16>,
    canary: Option<Canary>,
}

async fn make(
    api: &Api,
    operator: Operator,
    action: Action,
    selection: Selection,
    Rate { pace, canary }: Rate,
    request_id: Option<RequestId>,
) -> Result<Response, ApiError> {
    let pace = pace.unwrap_or(JOB_PACE_DEFAULT);
    if !(1..=JOB_PACE_MAX).contains(&pace) {
        return Err(wrong("#/pace", format!("the pace is {pace}; 1 to {JOB_PACE_MAX} sagas a second are taken")));
    }
    if canary.is_some_and(|canary| canary.sagas == 0) {
        return Err(wrong("#/canary/sagas", "a canary has at least one saga".to_owned()));
    }
    let Operator { actor, role, reason } = operator;
    let (id, created_at) = (kit::ids::job_id(), api.shared.clock.now());
    let new = NewJob { id, action, selection, actor, role, reason, pace, canary, request_id, created_at };
    match api.shared.journal.make_job(&new).await.map_err(|error| problems::journal(&error))? {
        JobMade::Made(job) => {
            let Job { id, action, sagas, actor, .. } = &*job;
            tracing::info!(%id, action = action.as_str(), sagas, actor, "a job is made");
            Ok((StatusCode::CREATED, [(header::LOCATION, format!("/api/jobs/{id}"))], Json(*job)).into_response())
        }
        JobMade::RequestReused(made) => {
            let detail = format!("this request id was used for another request, which made {made}");
            Err(ApiError::unprocessable("idempotency_key_reused", detail, Vec::new()))
        }
        JobMade::NoSagas => {
            let detail = "no saga is chosen: none matches that has not ended, or none refused the act";
            Err(ApiError::unprocessable("job_empty", detail, Vec::new()))
        }
        JobMade::TooManySagas => {
            let detail = format!("more than {JOB_SAGAS_MAX} sagas are chosen; cut them by the time of their start");
            Err(ApiError::unprocessable("job_too_large", detail, Vec::new()))
        }
        JobMade::TooManyJobs => {
            Err(ApiError::conflict("jobs_exhausted", format!("{JOBS_OPEN_MAX} jobs are not over yet")))
        }
    }
}

/// Tells the sagas that a job would have, and does nothing.
pub(super) async fn preview(
    State(api): State<Api>,
    Json(JobPreviewRequest { filter }): Json<JobPreviewRequest>,
) -> Result<Json<JobPreview>, ApiError> {
    check_filter(&filter)?;
    api.shared.journal.preview_job(&filter).await.map(Json).map_err(|error| problems::journal(&error))
}

/// The jobs, newest first.
pub(super) async fn list(
    State(api): State<Api>,
    Query(Asked { page_size: asked, page_token: token }): Query<Asked>,
) -> Result<Json<Page<Job>>, ApiError> {
    let limit = page_size(asked);
    let before = token.map(|token| page_token::read(&token, "jobs")).transpose()?;
    let jobs = api.shared.journal.jobs(before, limit + 1).await.map_err(|error| problems::journal(&error))?;
    Ok(Json(Page::cut(jobs, limit as usize, |last| page_token::write("jobs", &last.id))))
}

/// One job, with its refusals by code.
pub(super) async fn show(State(api): State<Api>, Path(id): Path<JobId>) -> Result<Json<JobView>, ApiError> {
    let job = find(&api, id).await?;
    let refusals = api.shared.journal.job_refusals(id).await.map_err(|error| problems::journal(&error))?;
    Ok(Json(JobView { job, refusals }))
}

/// The sagas of a job with their results, in their order.
pub(super) async fn items(
    State(api): State<Api>,
    Path(id): Path<JobId>,
    Query(ItemsAsked { outcome, page_size: asked, page_token: token }): Query<ItemsAsked>,
) -> Result<Json<Page<JobItem>>, ApiError> {
    let limit = page_size(asked);
    let listing = format!("sagas of {id} {outcome:?}");
    let after: u32 = token.map(|token| page_token::read(&token, &listing)).transpose()?.unwrap_or_default();
    find(&api, id).await?;
    let items = api.shared.journal.job_items(id, outcome, after, limit + 1).await;
    let items = items.map_err(|error| problems::journal(&error))?;
    Ok(Json(Page::cut(items, limit as usize, |last| page_token::write(&listing, &last.place))))
}

/// Pauses a job. The sagas that are being acted on at this moment still get their results.
pub(super) async fn pause(
    State(api): State<Api>,
    Path(id): Path<JobId>,
    headers: HeaderMap,
    Json(Why { reason }): Json<Why>,
) -> Result<Json<Job>, ApiError> {
    operator::read(&headers, &reason)?;
    change(&api, id, &[JobState::Running], JobState::Paused).await
}

/// Lets a job go on that is paused, or waits after its canary.
pub(super) async fn resume(
    State(api): State<Api>,
    Path(id): Path<JobId>,
    headers: HeaderMap,
    Json(Why { reason }): Json<Why>,
) -> Result<Json<Job>, ApiError> {
    operator::read(&headers, &reason)?;
    let job = find(&api, id).await?;
    if !job.state.is_over() && api.shared.clock.now() - job.created_at > JOB_AGE_MAX {
        let detail = format!("its sagas were chosen more than {} days ago", JOB_AGE_MAX.num_days());
        return Err(ApiError::conflict("job_expired", detail));
    }
    change(&api, id, &[JobState::Paused, JobState::Waiting], JobState::Running).await
}

/// Ends a job. The sagas without a result are left alone.
pub(super) async fn abort(
    State(api): State<Api>,
    Path(id): Path<JobId>,
    headers: HeaderMap,
    Json(Why { reason }): Json<Why>,
) -> Result<Json<Job>, ApiError> {
    operator::read(&headers, &reason)?;
    change(&api, id, &[JobState::Running, JobState::Waiting, JobState::Paused], JobState::Aborted).await
}

/// A change that is repeated is answered as the first time.
async fn change(api: &Api, id: JobId, from: &[JobState], to: JobState) -> Result<Json<Job>, ApiError> {
    let moved = api.shared.journal.move_job(id, from, to, api.shared.clock.now()).await;
    if let Some(job) = moved.map_err(|error| problems::journal(&error))? {
        return Ok(Json(job));
    }
    let job = find(api, id).await?;
    if job.state == to {
        return Ok(Json(job));
    }
    let detail = format!("the job is {}", job.state.as_str());
    Err(if job.state.is_over() {
        ApiError::conflict("job_over", detail)
    } else {
        ApiError::conflict("job_not_running", detail)
    })
}

pub(super) async fn find(api: &Api, id: JobId) -> Result<Job, ApiError> {
    let job = api.shared.journal.job(id).await.map_err(|error| problems::journal(&error))?;
    job.ok_or_else(|| ApiError::not_found("job_unknown", format!("there is no job {id}")))
}

/// A filter that leaves nothing out would be every open saga: nobody means that.
fn check_filter(filter: &SagaFilter) -> Result<(), ApiError> {
    if *filter == SagaFilter::default() {
        let error =
            FieldError { detail: "at least one condition is needed".to_owned(), pointer: "#/filter".to_owned() };
        return Err(ApiError::unprocessable("filter_empty", "the filter would choose every open saga", vec![error]));
    }
    let SagaFilter { name, business_key, owner, error, ids, .. } = filter;
    if ids.len() > SAGA_IDS_MAX {
        return Err(wrong("#/filter/ids", format!("`ids` are more than {SAGA_IDS_MAX}")));
    }
    for (field, text) in [("name", name), ("business_key", business_key), ("owner", owner), ("error", error)] {
        let bytes = 1..=BUSINESS_KEY_BYTES_MAX;
        if text.as_ref().is_some_and(|text| !bytes.contains(&text.len()) || text.contains('\0')) {
            let detail = format!("`{field}` has no byte, more than {BUSINESS_KEY_BYTES_MAX}, or U+0000");
            return Err(wrong(&format!("#/filter/{field}"), detail));
        }
    }
    Ok(())
}

fn wrong(pointer: &str, detail: String) -> ApiError {
    let error = FieldError { detail: detail.clone(), pointer: pointer.to_owned() };
    ApiError::unprocessable("field_invalid", detail, vec![error])
}
