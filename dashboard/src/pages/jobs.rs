//! Jobs: one act on many sagas, carried out canary first and at a pace, with a result of its own for each saga.

use std::sync::Arc;

use askama::Template;
use axum::{
    Form,
    extract::{Path, Query, State},
    response::{IntoResponse as _, Redirect, Response},
};
use chrono::{DateTime, TimeDelta, Utc};
use contract::{
    ApprovalId, Page,
    orchestrator_api::{Job, JobItem, JobOutcome, JobState, JobView},
};
use serde::Deserialize;
use serde_json::json;

use super::{
    mistakes::{mistake, unprocessable},
    page, paged, plain,
    streams::{self, Drawn, Part},
};
use crate::{
    app::App,
    door::DoorError,
    failure::Failure,
    frame::Frame,
    session::Session,
    view::{
        form::Given,
        marks::{self, Mark},
        names::{self, Id},
        prose::{self, Prose},
        refilled::Refilled,
        times::{self, Moment},
    },
    visitor::Visitor,
};

/// One job in the list, and the head of its page.
struct JobRow {
    id: Id,
    mark: Mark,
    act: String,
    /// How many sagas it has, in words.
    of: String,
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
    parent: Option<Id>,
    /// The sagas that went first, in words.
    canary: Option<String>,
    /// How long what is to come takes at its pace.
    left: Option<String>,
    over: bool,
    runs: bool,
    /// The canary is over, and a person decides how it goes on.
    waits: bool,
}

fn row(job: &Job, now: DateTime<Utc>) -> JobRow {
    JobRow {
        id: names::id(job.id),
        mark: marks::of_job(job.state),
        act: names::title(job.action.as_str()),
        of: counted(job.sagas),
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
        parent: job.parent.map(names::id),
        canary: job.canary.map(|canary| counted(canary.sagas)),
        left: (job.state == JobState::Running).then(|| left(job)).flatten(),
        over: job.state.is_over(),
        runs: job.state == JobState::Running,
        waits: job.state == JobState::Waiting,
    }
}

/// A number of sagas in words.
fn counted(sagas: u32) -> String {
    if sagas == 1 { "1 saga".to_owned() } else { format!("{sagas} sagas") }
}

/// How long the sagas without a result take at the job's pace; none when there is none.
fn left(job: &Job) -> Option<String> {
    let to_come = job.sagas.saturating_sub(job.settled());
    (to_come > 0).then(|| times::span(TimeDelta::seconds(i64::from(to_come.div_ceil(u32::from(job.pace.max(1)))))))
}

#[derive(Template)]
#[template(path = "jobs.html")]
struct JobsPage {
    frame: Frame,
    jobs: Vec<JobRow>,
    next: Option<String>,
}

/// A place in a listing.
#[derive(Default, Deserialize)]
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
    message: Prose,
}

/// The part of a job's page that its live stream brings anew.
#[derive(Template)]
#[template(path = "job_live.html")]
struct Live {
    may_act: bool,
    job: JobRow,
    refusals: Vec<(String, u32)>,
    outcomes: Vec<(&'static str, bool)>,
    items: Vec<Item>,
    next: Option<String>,
    /// The form of the acts on the job has the name of the job.
    forms: Refilled,
}

impl Live {
    fn shows_all(&self) -> bool {
        self.outcomes.iter().all(|(_, here)| !here)
    }
}

#[derive(Template)]
#[template(path = "job.html")]
struct JobPage {
    frame: Frame,
    live: String,
    /// The address of the live stream, of a job that is not over.
    stream: Option<String>,
}

pub(crate) async fn show(
    State(app): State<App>,
    visitor: Visitor,
    Path(id): Path<String>,
    Query(asked): Query<Asked>,
) -> Result<Response, Failure> {
    draw(&app, &visitor, &plain(&id), &asked, Refilled::default()).await
}

async fn draw(app: &App, visitor: &Visitor, id: &str, asked: &Asked, forms: Refilled) -> Result<Response, Failure> {
    let live = Live { forms, ..look(app, &visitor.session, id, asked, visitor.now).await? };
    let pairs =
        [("outcome", asked.outcome.as_str())].into_iter().chain(asked.page.as_deref().map(|page| ("page", page)));
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    page(&JobPage {
        frame: visitor.frame_at("Job", format!("/ops/jobs/{id}?{query}")),
        stream: (!live.job.over).then(|| format!("/ops/jobs/{id}/live?{query}")),
        live: live.render()?,
    })
}

/// The same page's content, each time that the job has gone on.
pub(crate) async fn live(
    State(app): State<App>,
    visitor: Visitor,
    Path(id): Path<String>,
    Query(asked): Query<Asked>,
) -> Result<Response, Failure> {
    let (session, id) = (Arc::clone(&visitor.session), plain(&id));
    let news = app.door.stream(&session, &format!("/jobs/{id}/events")).await?;
    let part = JobPart { app: app.clone(), session: Arc::clone(&session), id, asked };
    Ok(streams::serve(&app, session, news, part))
}

/// The job of an open page.
struct JobPart {
    app: App,
    session: Arc<Session>,
    id: String,
    asked: Asked,
}

impl Part for JobPart {
    async fn draw(&self, now: DateTime<Utc>) -> Result<Drawn, Failure> {
        let shown = look(&self.app, &self.session, &self.id, &self.asked, now).await?;
        Ok(Drawn { html: shown.render()?, over: shown.job.over })
    }
}

async fn look(app: &App, session: &Session, id: &str, asked: &Asked, now: DateTime<Utc>) -> Result<Live, DoorError> {
    let mut parameters = paged(&asked.page);
    if !asked.outcome.is_empty() {
        parameters.push(("outcome", asked.outcome.clone()));
    }
    let (at, items) = (format!("/jobs/{id}"), format!("/jobs/{id}/items"));
    let (view, items) = futures::try_join!(
        app.door.get::<JobView>(session, &at, &[]),
        app.door.get::<Page<JobItem>>(session, &items, &parameters),
    )?;
    let item = |item: &JobItem| Item {
        place: item.place,
        saga: names::id(item.saga_id),
        outcome: item.outcome.as_str(),
        message: prose::prose(
            &[item.code.as_deref(), item.message.as_deref()].into_iter().flatten().collect::<Vec<_>>().join(": "),
        ),
    };
    Ok(Live {
        may_act: session.person().may_act(),
        job: row(&view.job, now),
        refusals: view.refusals.iter().map(|refusal| (refusal.code.clone(), refusal.sagas)).collect(),
        outcomes: JobOutcome::ALL.map(|one| (one.as_str(), one.as_str() == asked.outcome)).into(),
        items: items.items.iter().map(item).collect(),
        next: items
            .next_page_token
            .map(|token| super::next(&format!("/ops/jobs/{id}?outcome={}", plain(&asked.outcome)), token.as_str())),
        forms: Refilled::default(),
    })
}

/// Pauses, resumes, aborts or reruns a job.
pub(crate) async fn act(
    State(app): State<App>,
    visitor: Visitor,
    Path((id, act)): Path<(String, String)>,
    Form(typed): Form<Given>,
) -> Result<Response, Failure> {
    let known = ["pause", "resume", "abort", "rerun"].into_iter().find(|known| *known == act);
    let act = known.ok_or_else(|| Failure::Wrong("no such act".to_owned()))?;
    let (id, body) = (plain(&id), json!({ "reason": typed.get("reason") }));
    match app.door.post::<Made>(&visitor.session, &format!("/jobs/{id}/{act}"), &body).await {
        Ok(made) => Ok(Redirect::to(&made.address()).into_response()),
        Err(error) => {
            let forms = Refilled::new(id.as_str(), typed, mistake(error, &["reason"], &[])?);
            Ok(unprocessable(draw(&app, &visitor, &id, &Asked::default(), forms).await?))
        }
    }
}

/// A job, or the request for a second operator's approval that stands in its place.
#[derive(Deserialize)]
pub(super) struct Made {
    id: String,
}

impl Made {
    pub(super) fn address(&self) -> String {
        let is_request = self.id.parse::<ApprovalId>().is_ok();
        let (page, id) = (if is_request { "approvals#" } else { "jobs/" }, plain(&self.id));
        format!("/ops/{page}{id}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_tells_what_is_to_come_and_for_how_long() {
        let job = |state: &str, done: u32| -> Job {
            serde_json::from_value(json!({
                "id": "job_01900000000070008000000000000001", "state": state, "action": "retry",
                "actor": "usr_1", "role": "operator", "reason": "again", "pace": 4, "canary": { "sagas": 1 }, "sagas": 10,
                "done": done, "refused": 1, "vanished": 0, "created_at": "2027-01-15T08:00:00Z",
                "changed_at": "2027-01-15T08:00:00Z",
            }))
            .unwrap()
        };
        let told = |state: &str, done: u32| row(&job(state, done), DateTime::UNIX_EPOCH);
        let runs = told("running", 4);
        assert_eq!(
            (runs.of.as_str(), runs.canary.as_deref(), runs.left.as_deref()),
            ("10 sagas", Some("1 saga"), Some("2 s"))
        );
        assert!(told("waiting", 0).waits && told("waiting", 0).left.is_none());
        assert_eq!(told("running", 9).left, None);
    }
}
