//! The look of the overview: what it asks the door for, and how that is laid out.

use std::sync::Arc;

use askama::Template;
use chrono::{DateTime, TimeDelta, Utc};
use contract::{
    Page,
    orchestrator_api::{DeadLetterView, ErrorGroup, PauseView, Processes, SagaCounts, SagaSummary, Throughput},
    saga::SagaStatus,
};

use crate::{
    app::App,
    door::DoorError,
    failure::Failure,
    looks::{Looker, Window},
    pages::{
        looking::{self, Eye},
        open_counts::{self, Count, counts},
    },
    session::Session,
    view::{
        charts::{self, Bar, Chart},
        groups::{self, Group},
        names,
        rows::{self, SagaRow},
        times::{self, Moment},
        ways::{self, Way},
    },
    visitor::Visitor,
};

/// The lines of each part of the page: what fits on a screen beside the others.
const LINES: u32 = 8;

/// Between two looks at what asks every lane, or reads every saga that ended.
const LOOK_DEEPLY_EVERY: TimeDelta = TimeDelta::seconds(15);

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
    attention: Vec<SagaRow>,
    groups: Vec<Group>,
    lapsing: Vec<SagaRow>,
    newest: Vec<SagaRow>,
    quarantined: u64,
    orphans: u64,
    letters: usize,
    pauses: Vec<String>,
    oldest: Option<(String, Moment)>,
    ages: Vec<Bar>,
    window: Window,
    charts: [Chart; 2],
    lanes: String,
    clocks: String,
    ways: Vec<Way>,
}

/// All that is read from the door.
struct Read {
    counts: SagaCounts,
    attention: Page<SagaSummary>,
    errors: Page<ErrorGroup>,
    lapsing: Page<SagaSummary>,
    newest: Page<SagaSummary>,
    letters: Page<DeadLetterView>,
    pauses: Page<PauseView>,
}

/// The part that is read less often.
struct Deep {
    at: DateTime<Utc>,
    throughput: Throughput,
    processes: Processes,
}

/// Joins those who look at the overview, and begins the look for the first one.
pub(super) fn join(app: &App, visitor: &Visitor, window: Window) -> Looker<(&'static str, Window), (), Arc<str>> {
    let role = visitor.session.person().role.as_str();
    let (looker, begins) = app.overviews.join((role, window), Arc::clone(&visitor.session), ());
    if begins {
        let eye = OverviewEye { role, window, deep: None, known: String::new() };
        tokio::spawn(looking::keep_looking(app.clone(), Arc::clone(&app.overviews), (role, window), eye));
    }
    looker
}

/// The look of all overviews of one role and one length of the charts.
struct OverviewEye {
    role: &'static str,
    window: Window,
    deep: Option<Deep>,
    /// The page that was seen last, as of a fixed time.
    known: String,
}

impl Eye<(), Arc<str>> for OverviewEye {
    fn role(&self) -> &'static str {
        self.role
    }

    async fn look(
        &mut self,
        app: &App,
        session: &Session,
        _wishes: Vec<()>,
        now: DateTime<Utc>,
    ) -> Result<(Arc<str>, bool), Failure> {
        let read = look(app, session, self.window, &mut self.deep, now).await?;
        let (page, timeless) = draw(&read, &self.deep, self.window, now)?;
        // As seen from one fixed time, two looks differ only when something has happened.
        let is_news = timeless != self.known;
        self.known = timeless;
        Ok((page.into(), is_news))
    }

    fn forget(&mut self) {
        self.deep = None;
        self.known.clear();
    }
}

async fn look(
    app: &App,
    session: &Session,
    window: Window,
    deep: &mut Option<Deep>,
    now: DateTime<Utc>,
) -> Result<Read, DoorError> {
    let size = || ("page_size", LINES.to_string());
    let door = &app.door;
    if deep.as_ref().is_none_or(|deep| now - deep.at >= LOOK_DEEPLY_EVERY) {
        let (minutes, step) = window.minutes();
        let asked = [("minutes", minutes.to_string()), ("step_minutes", step.to_string())];
        let (throughput, processes) = futures::try_join!(
            door.get::<Throughput>(session, "/throughput", &asked),
            door.get::<Processes>(session, "/processes", &[]),
        )?;
        *deep = Some(Deep { at: now, throughput, processes });
    }
    let open = open_counts::parameters();
    let attention = [("status", SagaStatus::NeedsAttention.as_str().to_owned()), size()];
    let lapsing = [("status", "running,compensating".to_owned()), ("sort", "holds_until".to_owned()), size()];
    let (newest, lines) = ([size()], [size()]);
    let (counts, attention, errors, lapsing, newest, letters, pauses) = futures::try_join!(
        door.get(session, "/counts", &open),
        door.get(session, "/sagas", &attention),
        door.get(session, "/errors", &lines),
        door.get(session, "/sagas", &lapsing),
        door.get(session, "/sagas", &newest),
        door.get(session, "/dead-letters", &[]),
        door.get(session, "/pauses", &[]),
    )?;
    Ok(Read { counts, attention, errors, lapsing, newest, letters, pauses })
}

/// The page as of now, and as of a fixed time.
fn draw(
    read: &Read,
    deep: &Option<Deep>,
    window: Window,
    now: DateTime<Utc>,
) -> Result<(String, String), askama::Error> {
    let page = Live::new(read, deep.as_ref(), window, now).render()?;
    Ok((page, Live::new(read, deep.as_ref(), window, DateTime::UNIX_EPOCH).render()?))
}

impl Live {
    fn new(read: &Read, deep: Option<&Deep>, window: Window, now: DateTime<Utc>) -> Self {
        let Read { counts: open, attention, errors, lapsing, newest, letters, pauses } = read;
        let lines = |page: &Page<SagaSummary>| page.items.iter().map(|saga| rows::saga(saga, now)).collect();
        let nothing = Throughput { step_seconds: 60, points: Vec::new(), counted_from: None };
        let throughput = deep.map_or(&nothing, |deep| &deep.throughput);
        let processes = deep.map(|deep| &deep.processes);
        let oldest =
            open.oldest_open.map(|saga| (format!("/ops/sagas/{}", saga.id), times::moment(saga.created_at, now)));
        Self {
            counts: counts(open, None),
            flows: flows(open),
            attention: lines(attention),
            groups: errors.items.iter().map(|group| groups::group(group, now)).collect(),
            lapsing: lines(lapsing),
            newest: lines(newest),
            quarantined: open.quarantined,
            orphans: processes.map_or(0, ways::orphans),
            letters: letters.items.iter().filter(|letter| letter.redriven_at.is_none()).count(),
            pauses: pauses.items.iter().map(|pause| pause.pause.scope.to_string()).collect(),
            oldest,
            ages: charts::ages(&open.ages),
            window,
            charts: [charts::ended(throughput), charts::durations(throughput)],
            lanes: processes.map(ways::lanes).unwrap_or_default(),
            clocks: processes.map(ways::clocks).unwrap_or_default(),
            ways: processes.map(|processes| ways::ways(processes, now)).unwrap_or_default(),
        }
    }
}

fn flows(open: &SagaCounts) -> Vec<Flow> {
    let mut known: Vec<(&str, u32)> = open.groups.iter().map(|group| (group.name.as_str(), group.version)).collect();
    known.dedup();
    let flow =
        |flow: (&str, u32)| Flow { name: names::title(flow.0), version: flow.1, counts: counts(open, Some(flow)) };
    known.into_iter().map(flow).collect()
}
