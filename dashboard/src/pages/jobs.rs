//! Jobs: one act on many sagas. The sagas that it would have are shown first; then it runs, canary first, and each saga
//! has a result of its own.

use askama::Template;
use axum::{
    Form,
    extract::{Path, Query, State},
    response::{IntoResponse as _, Redirect, Response},
};
use chrono::{DateTime, Utc};
use contract::{
    Page, RequestId,
    orchestrator_api::{
        JOB_PACE_DEFAULT, JOB_PACE_MAX, JOB_SAGAS_MAX, Job, JobItem, JobOutcome, JobPreview, JobView, SagaFilter,
        SagaQuery, SagaQueryError,
    },
};
use serde::Deserialize;
use serde_json::json;

use super::{page, paged, plain};
use crate::{
    app::App,
    failure::Failure,
    frame::Frame,
    view::{
        marks::{self, Mark},
        names::{self, Id},
        times::{self, Moment},
    },
    visitor::Visitor,
};

/// The acts that a job can do without looking at each saga.
const ACTS: [&str; 5] = ["retry", "cancel", "pause", "resume", "abandon"];

/// One job in the list, and the head of its page.
struct JobRow {
    id: Id,
    mark: Mark,
    act: String,
    sagas: u32,
    done: u32,
    refused: u32,
    vanished: u32,
    percent: u32,
    pace: u16,
    made: Moment,
    actor: Id,
    reason: String,
    trouble: Option<String>,
    over: bool,
    runs: bool,
}

fn row(job: &Job, now: DateTime<Utc>) -> JobRow {
    JobRow {
        id: names::id(job.id),
        mark: marks::of_job(job.state),
        act: names::title(job.action.as_str()),
        sagas: job.sagas,
        done: job.done,
        refused: job.refused,
        vanished: job.vanished,
        percent: (job.settled() * 100).checked_div(job.sagas).unwrap_or(100),
        pace: job.pace,
        made: times::moment(job.created_at, now),
        actor: names::id(&job.actor),
        reason: job.reason.clone(),
        trouble: job.trouble.clone(),
        over: job.state.is_over(),
        runs: job.state == contract::orchestrator_api::JobState::Running,
    }
}

#[derive(Template)]
#[template(path = "jobs.html")]
struct JobsPage {
    frame: Frame,
    jobs: Vec<JobRow>,
    next: Option<String>,
}

/// A place in a listing.
#[derive(Deserialize)]
pub(crate) struct Asked {
    page: Option<String>,
    #[serde(default)]
    outcome: String,
}

pub(crate) async fn list(
    State(app): State<App>,
    visitor: Visitor,
    Query(asked): Query<Asked>,
) -> Result<Response, Failure> {
    let found: Page<Job> = app.door.get(&visitor.session, "/jobs", &paged(&asked.page)).await?;
    page(&JobsPage {
        frame: visitor.frame("Jobs"),
        jobs: found.items.iter().map(|job| row(job, visitor.now)).collect(),
        next: found.next_page_token.map(|token| super::next("/ops/jobs", token.as_str())),
    })
}

/// One saga of a job.
struct Item {
    place: u32,
    saga: Id,
    outcome: &'static str,
    message: String,
}

#[derive(Template)]
#[template(path = "job.html")]
struct JobPage {
    frame: Frame,
    job: JobRow,
    refusals: Vec<(String, u32)>,
    outcomes: Vec<(&'static str, bool)>,
    items: Vec<Item>,
    next: Option<String>,
}

pub(crate) async fn show(
    State(app): State<App>,
    visitor: Visitor,
    Path(id): Path<String>,
    Query(asked): Query<Asked>,
) -> Result<Response, Failure> {
    let id = plain(&id);
    let mut parameters = paged(&asked.page);
    if !asked.outcome.is_empty() {
        parameters.push(("outcome", asked.outcome.clone()));
    }
    let (at, items) = (format!("/jobs/{id}"), format!("/jobs/{id}/items"));
    let (view, items) = futures::try_join!(
        app.door.get::<JobView>(&visitor.session, &at, &[]),
        app.door.get::<Page<JobItem>>(&visitor.session, &items, &parameters),
    )?;
    let item = |item: &JobItem| Item {
        place: item.place,
        saga: names::id(item.saga_id),
        outcome: item.outcome.as_str(),
        message: [item.code.as_deref(), item.message.as_deref()].into_iter().flatten().collect::<Vec<_>>().join(": "),
    };
    page(&JobPage {
        frame: visitor.frame("Job"),
        job: row(&view.job, visitor.now),
        refusals: view.refusals.iter().map(|refusal| (refusal.code.clone(), refusal.sagas)).collect(),
        outcomes: JobOutcome::ALL.map(|one| (one.as_str(), one.as_str() == asked.outcome)).into(),
        items: items.items.iter().map(item).collect(),
        next: items
            .next_page_token
            .map(|token| super::next(&format!("/ops/jobs/{id}?outcome={}", plain(&asked.outcome)), token.as_str())),
    })
}

/// The form of a new job.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default)]
pub(crate) struct NewJob {
    act: String,
    q: String,
    pace: String,
    canary: String,
    reason: String,
    request_id: String,
}

#[derive(Template)]
#[template(path = "new_job.html")]
struct NewJobPage {
    frame: Frame,
    acts: Vec<(&'static str, bool)>,
    asked: NewJob,
    words: String,
    request_id: RequestId,
    wrong: Option<String>,
    preview: Option<Preview>,
    pace_default: u16,
    pace_max: u16,
}

/// The sagas that the job would have.
struct Preview {
    sagas: u32,
    too_many: bool,
    groups: Vec<PreviewGroup>,
}

/// Sagas of a preview that stand alike.
struct PreviewGroup {
    name: String,
    version: u32,
    mark: Mark,
    error: String,
    sagas: u32,
}

/// The address of the page that makes a job.
pub(super) fn address(act: &str, query: &str) -> String {
    let pairs = [("act", act), ("q", query)];
    format!("/ops/jobs/new?{}", form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish())
}

/// The page of a new job: its sagas are shown before it can be made.
pub(crate) async fn ask(
    State(app): State<App>,
    visitor: Visitor,
    Query(asked): Query<NewJob>,
) -> Result<Response, Failure> {
    let (mut preview, mut wrong) = (None, None);
    if !asked.q.trim().is_empty() {
        match filter(&asked.q, visitor.now) {
            Ok(filter) => {
                let body = json!({ "filter": filter });
                preview = Some(previewed(&app.door.post(&visitor.session, "/jobs/preview", &body).await?));
            }
            Err(words) => wrong = Some(words.to_string()),
        }
    }
    let mut frame = visitor.frame("New job");
    frame.query.clone_from(&asked.q);
    page(&NewJobPage {
        frame,
        acts: ACTS.map(|act| (act, act == asked.act)).into(),
        words: names::title(&asked.act),
        asked,
        request_id: kit::ids::request_id(),
        wrong,
        preview,
        pace_default: JOB_PACE_DEFAULT,
        pace_max: JOB_PACE_MAX,
    })
}

fn previewed(preview: &JobPreview) -> Preview {
    let group = |group: &contract::orchestrator_api::JobGroup| PreviewGroup {
        name: names::title(&group.name),
        version: group.version,
        mark: marks::of_saga(group.status),
        error: group.code.clone().unwrap_or_default(),
        sagas: group.sagas,
    };
    let too_many = preview.sagas > JOB_SAGAS_MAX;
    Preview { sagas: preview.sagas, too_many, groups: preview.groups.iter().map(group).collect() }
}

/// Makes the job.
pub(crate) async fn create(
    State(app): State<App>,
    visitor: Visitor,
    Form(asked): Form<NewJob>,
) -> Result<Response, Failure> {
    let act = ACTS.into_iter().find(|act| *act == asked.act).ok_or_else(|| Failure::Wrong("no such act".to_owned()))?;
    let filter = filter(&asked.q, visitor.now).map_err(|wrong| Failure::Wrong(wrong.to_string()))?;
    let mut body = json!({ "action": act, "filter": filter, "reason": asked.reason, "request_id": asked.request_id });
    if let Ok(pace) = asked.pace.trim().parse::<u16>() {
        body["pace"] = json!(pace);
    }
    if let Ok(canary) = asked.canary.trim().parse::<u32>() {
        body["canary"] = json!({ "sagas": canary });
    }
    let job: Job = app.door.post(&visitor.session, "/jobs", &body).await?;
    Ok(Redirect::to(&format!("/ops/jobs/{}", job.id)).into_response())
}

/// The reason of an act on a job.
#[derive(Deserialize)]
pub(crate) struct Reason {
    reason: String,
}

/// Pauses, resumes, aborts or reruns a job.
pub(crate) async fn act(
    State(app): State<App>,
    visitor: Visitor,
    Path((id, act)): Path<(String, String)>,
    Form(asked): Form<Reason>,
) -> Result<Response, Failure> {
    let known = ["pause", "resume", "abort", "rerun"].into_iter().find(|known| *known == act);
    let act = known.ok_or_else(|| Failure::Wrong("no such act".to_owned()))?;
    let body = json!({ "reason": asked.reason });
    let job: Job = app.door.post(&visitor.session, &format!("/jobs/{}/{act}", plain(&id)), &body).await?;
    Ok(Redirect::to(&format!("/ops/jobs/{}", job.id)).into_response())
}

/// The filter of a job for a query.
fn filter(text: &str, now: DateTime<Utc>) -> Result<SagaFilter, SagaQueryError> {
    SagaQuery::read(text, now)?.into_filter()
}
