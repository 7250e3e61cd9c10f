//! The page of a saga: the business first, what it holds, why it stands; then its steps, and what has happened to it.

use std::sync::Arc;

use askama::Template;
use axum::{
    extract::{Path, Query, State},
    response::Response,
};
use chrono::{DateTime, Utc};
use contract::{
    Page,
    orchestrator_api::{AuditRecord, JournalDifference, SagaSnapshot, SagaTree, StepView, StepWork},
};
use serde::Deserialize;

use super::{
    approvals,
    children::{self, Child},
    left_alone, page, path, plain,
    streams::{self, Drawn, Part},
};
use crate::{
    app::App,
    door::DoorError,
    failure::Failure,
    frame::Frame,
    session::Session,
    view::{
        acted::{self, AuditRow},
        acts::{self, Act},
        approvals::ApprovalRow,
        attributes::{self, Attribute},
        business::{self, Business},
        changes::{self, Change},
        graph, journal, ledger,
        marks::{self, Mark},
        names::{self, Id},
        payloads::{self, Payload},
        prose::{self, Prose},
        refilled::Refilled,
        rows::{self, SagaRow},
        timeline,
        times::{self, Moment},
        waits::{self, Waits},
    },
    visitor::Visitor,
};

/// The most records of one look at the journal, and the most that one call brings.
const RECORDS: usize = 200;

/// The name of the form that has personal fields shown.
pub(super) const REVEAL: &str = "reveal";

/// The rows of the audit log that are shown for one saga.
const AUDIT_ROWS: u32 = 50;

/// The parts of the page of which one is shown at a time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Tab {
    #[default]
    Steps,
    Journal,
    Payloads,
    Waits,
    Tree,
    Audit,
    Raw,
}

impl Tab {
    const ALL: [Self; 7] =
        [Self::Steps, Self::Journal, Self::Payloads, Self::Waits, Self::Tree, Self::Audit, Self::Raw];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Steps => "steps",
            Self::Journal => "journal",
            Self::Payloads => "payloads",
            Self::Waits => "waits",
            Self::Tree => "tree",
            Self::Audit => "audit",
            Self::Raw => "raw",
        }
    }

    /// The words on the tab.
    const fn words(self) -> &'static str {
        match self {
            Self::Waits => "timers and signals",
            Self::Steps | Self::Journal | Self::Payloads | Self::Tree | Self::Audit | Self::Raw => self.as_str(),
        }
    }
}

/// The address's parameters.
#[derive(Default, Deserialize)]
pub(crate) struct Asked {
    #[serde(default)]
    tab: Tab,
    /// Of the journal, the records before this one.
    before: Option<u64>,
    /// Of the journal, the entries of this kind.
    entry: Option<String>,
    /// Of the journal, the records between which the saga's document is compared.
    from: Option<u64>,
    to: Option<u64>,
    /// `shown` for a timeline that is to scale.
    #[serde(default)]
    idle: Idle,
}

/// The stretches of a timeline in which nothing was under way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Idle {
    #[default]
    Folded,
    Shown,
}

impl Idle {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Folded => "folded",
            Self::Shown => "shown",
        }
    }
}

/// One step in the table.
struct StepRow {
    name: String,
    mark: Mark,
    kind: &'static str,
    work: String,
    child: Option<Id>,
    attempts: u16,
    /// The next time that matters, with its word.
    next: Option<(&'static str, Moment)>,
    error: Option<String>,
    notes: Vec<String>,
}

/// A saga of the family, so deep below the first one.
struct Member {
    row: SagaRow,
    depth: usize,
    here: bool,
}

/// The changes that the records after one number, up to another, made in the saga's document.
struct Difference {
    from: u64,
    to: u64,
    changes: Vec<Change>,
}

/// The content of the tab.
enum Content {
    Steps(Vec<StepRow>),
    Journal {
        records: Vec<journal::Row>,
        /// The first record that is shown, where others came before it.
        older: Option<u64>,
        /// The kind of the entries that are shown; all when empty.
        kind: String,
        difference: Option<Difference>,
    },
    Payloads {
        payloads: Vec<Payload>,
        may_act: bool,
    },
    Waits(Waits),
    Tree(Vec<Member>),
    Audit(Vec<AuditRow>),
    Raw(String),
}

/// The part of the page that its live stream brings anew.
#[derive(Template)]
#[template(path = "saga_live.html")]
struct Live {
    title: String,
    business: Option<Business>,
    flow: String,
    version: u32,
    mark: Mark,
    paused: bool,
    id: Id,
    owner: Option<Id>,
    attributes: Vec<Attribute>,
    parent: Option<Id>,
    started: Moment,
    finished: Option<Moment>,
    age: String,
    deadline: Option<Moment>,
    holds_until: Option<Moment>,
    next_wake: Option<Moment>,
    sentence: Prose,
    cause: Option<String>,
    acts: Vec<Act>,
    others: Vec<Act>,
    ledger: Vec<ledger::Line>,
    ended: bool,
    drawing: String,
    children: Vec<Child>,
    approvals: Vec<ApprovalRow>,
    timeline: Option<timeline::Drawing>,
    tab: &'static str,
    idle: Idle,
    tabs: Vec<(&'static str, &'static str, bool)>,
    content: Content,
    head: u64,
    forms: Refilled,
}

#[derive(Template)]
#[template(path = "saga.html")]
struct SagaPage {
    frame: Frame,
    id: String,
    tab: &'static str,
    before: Option<u64>,
    entry: String,
    compared: Option<(u64, u64)>,
    idle: &'static str,
    live: String,
    ended: bool,
}

pub(crate) async fn show(
    State(app): State<App>,
    visitor: Visitor,
    Path(id): Path<String>,
    Query(asked): Query<Asked>,
) -> Result<Response, Failure> {
    let live = match look(&app, &visitor.session, &id, &asked, visitor.now).await {
        Ok(live) => live,
        Err(DoorError::Refused(refused)) if refused.status != 404 => {
            return left_alone::unread(&app, &visitor, &id, *refused).await;
        }
        Err(error) => return Err(error.into()),
    };
    draw(&visitor, id, asked, &live)
}

/// The page at the payloads, with the form of a reveal as it was filled in.
pub(super) async fn show_payloads(
    app: &App,
    visitor: &Visitor,
    id: &str,
    forms: Refilled,
) -> Result<Response, Failure> {
    let asked = Asked { tab: Tab::Payloads, ..Asked::default() };
    let live = Live { forms, ..look(app, &visitor.session, id, &asked, visitor.now).await? };
    draw(visitor, plain(id), asked, &live)
}

fn draw(visitor: &Visitor, id: String, asked: Asked, live: &Live) -> Result<Response, Failure> {
    page(&SagaPage {
        frame: visitor.frame(live.title.clone()),
        id,
        tab: asked.tab.as_str(),
        before: asked.before,
        compared: asked.from.zip(asked.to),
        entry: asked.entry.unwrap_or_default(),
        idle: asked.idle.as_str(),
        ended: live.ended,
        live: live.render()?,
    })
}

/// The same page's content, each time that the saga has gone on.
pub(crate) async fn live(
    State(app): State<App>,
    visitor: Visitor,
    Path(id): Path<String>,
    Query(asked): Query<Asked>,
) -> Result<Response, Failure> {
    let session = Arc::clone(&visitor.session);
    let news = app.door.stream(&session, &path(&id, "/events")).await?;
    let part = SagaPart { app: app.clone(), session: Arc::clone(&session), id, asked };
    Ok(streams::serve(&app, session, news, part))
}

/// The saga of an open page.
struct SagaPart {
    app: App,
    session: Arc<Session>,
    id: String,
    asked: Asked,
}

impl Part for SagaPart {
    async fn draw(&self, now: DateTime<Utc>) -> Result<Drawn, Failure> {
        let shown = look(&self.app, &self.session, &self.id, &self.asked, now).await?;
        Ok(Drawn { html: shown.render()?, over: shown.ended })
    }
}

async fn look(app: &App, session: &Session, id: &str, asked: &Asked, now: DateTime<Utc>) -> Result<Live, DoorError> {
    let (at, part) = (path(id, "/snapshot"), records(asked));
    let (snapshot, approvals) = futures::try_join!(
        app.door.get::<SagaSnapshot>(session, &at, &part),
        approvals::of_saga(app, session, id, now),
    )?;
    let (content, children) = futures::try_join!(
        content(app, session, &snapshot, asked, now),
        children::children(app, session, &snapshot.saga, now),
    )?;
    let SagaSnapshot { saga: view, explanation: why, timeline: times, .. } = snapshot;
    let saga = &view.summary;
    let (chosen, others) = acts::acts(&why, session.person().may_act());
    let mut nodes = graph::needed(&view.steps);
    graph::time(&mut nodes, &view.steps, &times);
    children.iter().for_each(|child| graph::lead(&mut nodes, &child.step, &child.row));
    Ok(Live {
        title: format!("{} {}", names::title(&saga.name), names::shortened(&saga.business_key)),
        business: business::business(&view.input),
        flow: names::title(&saga.name),
        version: saga.version,
        mark: marks::of_saga(saga.status),
        paused: saga.paused,
        id: names::id(saga.id),
        owner: saga.owner.as_ref().map(names::id),
        attributes: attributes::all(&saga.attributes),
        parent: saga.parent.map(names::id),
        started: times::moment(saga.created_at, now),
        finished: saga.finished_at.map(|at| times::moment(at, now)),
        age: times::span(saga.finished_at.unwrap_or(now) - saga.created_at),
        deadline: view.deadline_at.map(|at| times::moment(at, now)),
        holds_until: saga.holds_until.map(|at| times::moment(at, now)),
        next_wake: view.next_wake_at.or(why.next_wake_at).map(|at| times::moment(at, now)),
        sentence: prose::prose(&why.sentence),
        acts: chosen,
        others,
        cause: view.cause.as_ref().map(|cause| format!("{}: {}", cause.code, cause.message)),
        ledger: ledger::lines(&view.steps, now),
        ended: saga.status.is_final(),
        drawing: graph::draw(&nodes).map_err(|error| DoorError::Unreadable(error.to_string()))?,
        children,
        approvals,
        timeline: timeline::draw(&times, asked.idle == Idle::Folded, now),
        tab: asked.tab.as_str(),
        idle: asked.idle,
        tabs: Tab::ALL.map(|one| (one.as_str(), one.words(), one == asked.tab)).into(),
        content,
        head: view.head,
        forms: Refilled::default(),
    })
}

async fn content(
    app: &App,
    session: &Session,
    snapshot: &SagaSnapshot,
    asked: &Asked,
    now: DateTime<Utc>,
) -> Result<Content, DoorError> {
    let SagaSnapshot { saga: view, explanation: why, journal: records, .. } = snapshot;
    let id = view.summary.id.to_string();
    Ok(match asked.tab {
        Tab::Steps => Content::Steps(view.steps.iter().map(|step| step_row(step, now)).collect()),
        Tab::Journal => {
            let items = records.as_ref().map_or(&[][..], |part| &part.items);
            let more = records.as_ref().is_some_and(|part| part.next_page_token.is_some());
            let older = items.last().map(|first| first.seq).filter(|_| more);
            let difference = difference(app, session, &id, asked).await?;
            let records = items.iter().map(|record| journal::row(record, now)).collect();
            Content::Journal { records, older, kind: asked.entry.clone().unwrap_or_default(), difference }
        }
        Tab::Payloads => {
            let may_act = session.person().may_act();
            Content::Payloads { payloads: payloads::payloads(view), may_act }
        }
        Tab::Waits => Content::Waits(waits::waits(view, why, session.person().may_act(), now)),
        Tab::Tree => {
            let tree: SagaTree = app.door.get(session, &path(&id, "/tree"), &[]).await?;
            let mut members = Vec::new();
            family(&tree, 0, &id, now, &mut members);
            Content::Tree(members)
        }
        Tab::Audit => {
            let of = [("target", id), ("page_size", AUDIT_ROWS.to_string())];
            let acts: Page<AuditRecord> = app.door.get(session, "/audit", &of).await?;
            Content::Audit(acts.items.iter().map(|act| acted::row(act, now)).collect())
        }
        Tab::Raw => Content::Raw(serde_json::to_string_pretty(view).unwrap_or_default()),
    })
}

/// The part of the journal that comes with the saga: the newest records up to the one before `before`, of one kind of entry
/// or of all.
fn records(asked: &Asked) -> Vec<(&'static str, String)> {
    if asked.tab != Tab::Journal {
        return Vec::new();
    }
    let mut part = vec![("records", "true".to_owned()), ("page_size", RECORDS.to_string())];
    part.extend(asked.before.map(|before| ("before", before.to_string())));
    part.extend(asked.entry.iter().filter(|entry| !entry.is_empty()).map(|entry| ("entry", entry.clone())));
    part
}

async fn difference(app: &App, session: &Session, id: &str, asked: &Asked) -> Result<Option<Difference>, DoorError> {
    let Some((from, to)) = asked.from.zip(asked.to) else { return Ok(None) };
    let of = [("from", from.to_string()), ("to", to.to_string())];
    let found: JournalDifference = app.door.get(session, &path(id, "/difference"), &of).await?;
    Ok(Some(Difference { from, to, changes: changes::changes(&found.changes) }))
}

fn family(tree: &SagaTree, depth: usize, here: &str, now: DateTime<Utc>, members: &mut Vec<Member>) {
    let row = rows::saga(&tree.saga, now);
    members.push(Member { row, depth, here: tree.saga.id.to_string() == here });
    for child in &tree.children {
        family(child, depth + 1, here, now, members);
    }
}

fn step_row(step: &StepView, now: DateTime<Utc>) -> StepRow {
    let work = match &step.work {
        StepWork::Command { command, .. } => command.clone(),
        StepWork::Signal { signal } => format!("the signal {signal}"),
        StepWork::Child { saga, saga_version } => format!("the saga {} v{saga_version}", names::words(saga)),
        StepWork::Timer {} => "a time".to_owned(),
    };
    let next = [("again", step.retry_at), ("until", step.wake_at), ("held until", step.valid_until)];
    let mut notes = Vec::new();
    if step.skipped {
        notes.push("outcome given by an operator".to_owned());
    }
    if !step.edited.is_empty() {
        let fields: Vec<&str> = step.edited.iter().map(|change| change.pointer.as_str()).collect();
        notes.push(format!("command edited: {}", fields.join(", ")));
    }
    notes.extend(step.resolved.as_ref().map(|evidence| format!("undone by hand: {}", evidence.as_str())));
    StepRow {
        name: step.name.to_string(),
        mark: marks::of_step(step),
        kind: marks::kind(step.kind),
        work,
        child: step.child.map(names::id),
        attempts: step.attempts,
        next: next.into_iter().find_map(|(word, at)| Some((word, times::moment(at?, now)))),
        error: step.error.as_ref().map(|error| format!("{}: {}", error.code, error.message)),
        notes,
    }
}
