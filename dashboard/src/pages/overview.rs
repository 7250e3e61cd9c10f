//! The overview: what needs a person first, then how much is open and why, then what is new.

use std::{convert::Infallible, sync::Arc, time::Duration};

use askama::Template;
use axum::{
    extract::State,
    response::{
        IntoResponse as _, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use chrono::{DateTime, TimeDelta, Utc};
use contract::{
    Page,
    orchestrator_api::{
        DeadLetterView, ErrorGroup, JobPreview, JobPreviewRequest, PauseView, QuarantinedSaga, SagaFilter, SagaSummary,
    },
    saga::SagaStatus,
};
use futures::stream;

use super::{page, sagas};
use crate::{
    app::App,
    door::DoorError,
    failure::Failure,
    frame::Frame,
    session::Session,
    view::{
        groups::{self, Group},
        marks::{self, Mark},
        names,
        rows::{self, SagaRow},
    },
    visitor::Visitor,
};

/// The lines of each part of the page: what fits on a screen beside the others.
const LINES: u32 = 8;

/// How often an open overview looks again.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Comments in between keep proxies from closing a quiet stream.
const HEARTBEAT_EVERY: Duration = Duration::from_secs(10);

/// A number with a word, and the list behind it.
struct Count {
    mark: Mark,
    number: u64,
    address: String,
}

/// The open sagas of one definition.
struct Flow {
    name: String,
    version: u32,
    counts: Vec<Count>,
}

/// The part of the page that its live stream brings anew.
#[derive(Template)]
#[template(path = "overview_live.html")]
struct Live {
    counts: Vec<Count>,
    flows: Vec<Flow>,
    /// True when there are more open sagas than were counted.
    cut: bool,
    attention: Vec<SagaRow>,
    groups: Vec<Group>,
    lapsing: Vec<SagaRow>,
    newest: Vec<SagaRow>,
    quarantined: usize,
    letters: usize,
    pauses: Vec<String>,
}

#[derive(Template)]
#[template(path = "overview.html")]
struct OverviewPage {
    frame: Frame,
    live: String,
}

pub(crate) async fn show(State(app): State<App>, visitor: Visitor) -> Result<Response, Failure> {
    let live = look(&app, &visitor.session, visitor.now).await?.render()?;
    page(&OverviewPage { frame: visitor.frame("Overview"), live })
}

/// The same part of the page, each time that something of it has changed.
pub(crate) async fn live(State(app): State<App>, visitor: Visitor) -> Response {
    let session = Arc::clone(&visitor.session);
    let events = stream::unfold((app, session, String::new()), |(app, session, known)| async move {
        loop {
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = app.stopping.cancelled() => return None,
            }
            let now = app.clock.now();
            if session.is_over(now) {
                return None;
            }
            // A look that fails ends the stream: the page says so, and the browser asks again.
            let shown = look(&app, &session, now).await.ok()?.render().ok()?;
            if shown != known {
                return Some((Ok::<_, Infallible>(Event::default().data(&shown)), (app, session, shown)));
            }
        }
    });
    Sse::new(events).keep_alive(KeepAlive::new().interval(HEARTBEAT_EVERY)).into_response()
}

async fn look(app: &App, session: &Session, now: DateTime<Utc>) -> Result<Live, DoorError> {
    let size = || ("page_size", LINES.to_string());
    let door = &app.door;
    let everything = SagaFilter { created_before: Some(now + TimeDelta::days(1)), ..SagaFilter::default() };
    let open = JobPreviewRequest { filter: everything };
    let attention = [("status", SagaStatus::NeedsAttention.as_str().to_owned()), size()];
    let lapsing = [("status", "running,compensating".to_owned()), ("sort", "holds_until".to_owned()), size()];
    let (newest, lines) = ([size()], [size()]);
    let (open, attention, errors, lapsing, newest, quarantine, letters, pauses) = futures::try_join!(
        counted(door.post::<JobPreview>(session, "/jobs/preview", &open)),
        door.get::<Page<SagaSummary>>(session, "/sagas", &attention),
        door.get::<Page<ErrorGroup>>(session, "/errors", &lines),
        door.get::<Page<SagaSummary>>(session, "/sagas", &lapsing),
        door.get::<Page<SagaSummary>>(session, "/sagas", &newest),
        door.get::<Page<QuarantinedSaga>>(session, "/quarantine", &[]),
        door.get::<Page<DeadLetterView>>(session, "/dead-letters", &[]),
        door.get::<Page<PauseView>>(session, "/pauses", &[]),
    )?;
    let lines = |page: Page<SagaSummary>| page.items.iter().map(|saga| rows::saga(saga, now)).collect();
    Ok(Live {
        counts: open.as_ref().map(|open| counts(open, None)).unwrap_or_default(),
        flows: open.as_ref().map(flows).unwrap_or_default(),
        cut: open.is_some_and(|open| open.sagas > contract::orchestrator_api::JOB_SAGAS_MAX),
        attention: lines(attention),
        groups: errors.items.iter().map(|group| groups::group(group, now)).collect(),
        lapsing: lapsing
            .items
            .iter()
            .filter(|saga| saga.holds_until.is_some())
            .map(|saga| rows::saga(saga, now))
            .collect(),
        newest: lines(newest),
        quarantined: quarantine.items.len(),
        letters: letters.items.iter().filter(|letter| letter.redriven_at.is_none()).count(),
        pauses: pauses.items.iter().map(|pause| pause.pause.scope.to_string()).collect(),
    })
}

/// A count is a plan of a job, which viewers may not ask for: they see the lists and no numbers.
async fn counted(asked: impl Future<Output = Result<JobPreview, DoorError>>) -> Result<Option<JobPreview>, DoorError> {
    match asked.await {
        Ok(counted) => Ok(Some(counted)),
        Err(DoorError::Refused(problem)) if problem.code == "role_missing" => Ok(None),
        Err(error) => Err(error),
    }
}

/// The open sagas by status, of all definitions or of one.
fn counts(open: &JobPreview, flow: Option<(&str, u32)>) -> Vec<Count> {
    let statuses = [SagaStatus::NeedsAttention, SagaStatus::Running, SagaStatus::Compensating];
    let counted = statuses.map(|status| {
        let of = open.groups.iter().filter(|group| {
            group.status == status && flow.is_none_or(|flow| flow == (group.name.as_str(), group.version))
        });
        let query = match flow {
            Some((name, _)) => format!("status:{} name:{name}", status.as_str()),
            None => format!("status:{}", status.as_str()),
        };
        let number = of.map(|group| u64::from(group.sagas)).sum();
        Count { mark: marks::of_saga(status), number, address: sagas::address(&query) }
    });
    counted.into()
}

fn flows(open: &JobPreview) -> Vec<Flow> {
    let mut known: Vec<(&str, u32)> = open.groups.iter().map(|group| (group.name.as_str(), group.version)).collect();
    known.sort_unstable();
    known.dedup();
    let flow =
        |flow: (&str, u32)| Flow { name: names::title(flow.0), version: flow.1, counts: counts(open, Some(flow)) };
    known.into_iter().map(flow).collect()
}
