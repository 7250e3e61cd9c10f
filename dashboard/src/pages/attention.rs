//! The list of sagas that need a person. It brings itself up to date and moves nothing under its reader: a saga that needs nobody
//! any more stays where it stands, struck out, and new ones wait behind a bar. All who have it open share one look.

use std::{
    collections::{HashMap, HashSet},
    convert::Infallible,
    sync::Arc,
};

use askama::Template as _;
use axum::{
    extract::{Query as FromQuery, State},
    http::StatusCode,
    response::{
        IntoResponse as _, Redirect, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use chrono::{DateTime, SecondsFormat, Utc};
use contract::{
    Page, SagaId,
    limits::PAGE_SIZE_MAX,
    orchestrator_api::{RecordView, SagaFilter, SagaOrder, SagaQuery, SagaSummary},
    saga::SagaStatus,
};
use futures::stream;
use serde::Deserialize;

use super::{
    looking::{self, Eye},
    saga_table::{Newer, Row, Table},
};
use crate::{
    app::App,
    attention::{Act, Attention},
    door::DoorError,
    failure::Failure,
    looks::Looker,
    session::Session,
    view::{columns::Columns, saga_addresses},
    visitor::Visitor,
};

/// Comments in between keep proxies from closing a quiet stream.
const HEARTBEAT_EVERY: std::time::Duration = std::time::Duration::from_secs(10);

/// The sagas that one request of a look names.
const IDS_AT_ONCE: usize = 100;

/// The sagas whose last act is asked for in one look: each is two requests, and a job releases many at once.
const ACTS_AT_ONCE: usize = 8;

/// The entries of a journal that tell that somebody had a saga go on. The journal has the acts of jobs too.
const ACTS: [&str; 2] = ["operator_acted", "signal_received"];

/// The sagas that wait for a person.
pub(crate) async fn show() -> Redirect {
    Redirect::to(&saga_addresses::address("status:needs_attention"))
}

/// True for the query of this list, in any order.
pub(super) fn is_asked(query: &SagaQuery) -> bool {
    query.filter == SagaFilter { status: vec![SagaStatus::NeedsAttention], ..SagaFilter::default() }
}

/// True for this list and for parts of it: the sagas that need a person and are of a definition, a client or an error besides.
pub(super) fn is_narrowed(query: &SagaQuery) -> bool {
    query.filter.status == [SagaStatus::NeedsAttention]
}

/// The address of the live stream of a list that shows these sagas.
pub(super) fn stream_address(
    query: &str,
    columns: &Columns,
    shown: &[SagaSummary],
    goes_on: bool,
    opened_at: DateTime<Utc>,
) -> String {
    let ids: Vec<_> = shown.iter().map(|saga| saga.id.to_string()).collect();
    let opened_at = opened_at.to_rfc3339_opts(SecondsFormat::Millis, true);
    let pairs =
        [("q", query.to_owned()), ("ids", ids.join(",")), ("goes_on", goes_on.to_string()), ("opened_at", opened_at)];
    let columns = columns.words().map(|words| ("columns", words));
    let pairs = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs.into_iter().chain(columns)).finish();
    format!("/ops/attention/live?{pairs}")
}

/// The list as its page shows it.
#[derive(Deserialize)]
pub(crate) struct Shown {
    q: String,
    #[serde(default)]
    ids: String,
    /// True when older ones stand on its next page.
    goes_on: bool,
    /// Acts of before it have not changed what the page shows.
    opened_at: DateTime<Utc>,
    #[serde(default)]
    columns: String,
}

/// The table of the list, each time that something of it has changed.
pub(crate) async fn live(
    State(app): State<App>,
    visitor: Visitor,
    FromQuery(Shown { q, ids, goes_on, opened_at, columns }): FromQuery<Shown>,
) -> Result<Response, Failure> {
    let ids: Result<Vec<SagaId>, _> = ids.split(',').filter(|id| !id.is_empty()).map(str::parse).collect();
    let ids: Arc<[SagaId]> = ids.map_err(|error| Failure::Wrong(error.to_string()))?.into();
    let query = SagaQuery::read(&q, visitor.now).map_err(|wrong| Failure::Wrong(wrong.to_string()))?;
    if ids.len() > PAGE_SIZE_MAX as usize || !is_asked(&query) {
        return Err(Failure::Wrong("no list of sagas that need a person has this".to_owned()));
    }
    let columns = Columns::read([columns.as_str()].into_iter());
    let may_act = visitor.session.person().may_act();
    let list = List { q, query, columns, ids: Arc::clone(&ids), goes_on, opened_at, may_act };
    let mut looker = join(&app, &visitor, ids);
    // What is known before the stream begins is told by a status: the page then asks for a login, or waits for longer.
    match looker.first(&app.stopping).await {
        Ok(_) => {}
        Err(DoorError::LoginEnded) => return Ok(StatusCode::FORBIDDEN.into_response()),
        Err(_) => return Ok(StatusCode::SERVICE_UNAVAILABLE.into_response()),
    }
    looker.seen.mark_changed();
    let state = (app, visitor, looker, list, String::new());
    let events = stream::unfold(state, |(app, visitor, mut looker, list, mut known)| async move {
        loop {
            let seen = looker.next(&app.stopping).await?;
            let now = app.clock.now();
            if visitor.session.is_over(now) {
                return None;
            }
            // The first look may have begun before these rows were wished for.
            if !seen.has_all(&list.ids) {
                continue;
            }
            // As seen from one fixed time, two tables differ only when something has happened.
            let timeless = list.table(&seen, DateTime::UNIX_EPOCH).render().ok()?;
            if timeless != known {
                known = timeless;
                let event = Event::default().data(list.table(&seen, now).render().ok()?);
                return Some((Ok::<_, Infallible>(event), (app, visitor, looker, list, known)));
            }
        }
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(HEARTBEAT_EVERY)).into_response())
}

/// One open list.
struct List {
    q: String,
    query: SagaQuery,
    columns: Columns,
    ids: Arc<[SagaId]>,
    goes_on: bool,
    opened_at: DateTime<Utc>,
    may_act: bool,
}

impl List {
    fn table(&self, seen: &Attention, now: DateTime<Utc>) -> Table {
        let sagas = self.ids.iter().filter_map(|id| seen.sagas.get(id)?.as_ref());
        let rows =
            sagas.map(|saga| Row::new(saga, seen.why_gone(saga, self.opened_at).map(str::to_owned), now)).collect();
        // The other orders have the new ones on another page.
        let newer = if self.query.order == SagaOrder::Newest { seen.unseen(&self.ids, !self.goes_on) } else { 0 };
        let address = saga_addresses::address_with(&self.q, &self.columns, None);
        let newer = (newer > 0).then(|| Newer { words: format!("{newer} new"), address });
        Table::new(rows, &self.query, self.columns.clone(), self.may_act, newer)
    }
}

fn join(app: &App, visitor: &Visitor, ids: Arc<[SagaId]>) -> Looker<&'static str, Arc<[SagaId]>, Arc<Attention>> {
    let role = visitor.session.person().role.as_str();
    let (looker, begins) = app.attention.join(role, Arc::clone(&visitor.session), ids);
    if begins {
        let eye = AttentionEye { role, known: Arc::default() };
        tokio::spawn(looking::keep_looking(app.clone(), Arc::clone(&app.attention), role, eye));
    }
    looker
}

/// The look of all open lists of one role.
struct AttentionEye {
    role: &'static str,
    known: Arc<Attention>,
}

impl Eye<Arc<[SagaId]>, Arc<Attention>> for AttentionEye {
    fn role(&self) -> &'static str {
        self.role
    }

    async fn look(
        &mut self,
        app: &App,
        session: &Session,
        wishes: Vec<Arc<[SagaId]>>,
        _now: DateTime<Utc>,
    ) -> Result<(Arc<Attention>, bool), Failure> {
        let size = || ("page_size", PAGE_SIZE_MAX.to_string());
        let status = ("status", SagaStatus::NeedsAttention.as_str().to_owned());
        let newest: Page<SagaSummary> = app.door.get(session, "/sagas", &[status, size()]).await?;
        let mut seen = Attention { newest: newest.items.iter().map(|saga| saga.id).collect(), ..Attention::default() };
        seen.sagas.extend(newest.items.into_iter().map(|saga| (saga.id, Some(saga))));
        // A list shows the newest too, as a rule: only what is not among them is asked for by its id.
        let wished: HashSet<SagaId> = wishes.iter().flat_map(|ids| ids.iter().copied()).collect();
        let others: Vec<SagaId> = wished.into_iter().filter(|id| !seen.sagas.contains_key(id)).collect();
        for ids in others.chunks(IDS_AT_ONCE) {
            let names = ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
            let found: Page<SagaSummary> = app.door.get(session, "/sagas", &[("ids", names), size()]).await?;
            seen.sagas.extend(ids.iter().map(|id| (*id, None)));
            seen.sagas.extend(found.items.into_iter().map(|saga| (saga.id, Some(saga))));
        }
        seen.acts = self.acts(app, session, &seen).await?;
        let is_news = *self.known != seen;
        self.known = Arc::new(seen);
        Ok((Arc::clone(&self.known), is_news))
    }

    fn forget(&mut self) {
        self.known = Arc::default();
    }
}

impl AttentionEye {
    /// The last acts on the sagas that need nobody any more: those that are known, and of some more.
    async fn acts(
        &self,
        app: &App,
        session: &Session,
        seen: &Attention,
    ) -> Result<HashMap<SagaId, Option<Act>>, DoorError> {
        let gone = seen.sagas.values().flatten().filter(|saga| saga.status != SagaStatus::NeedsAttention);
        let (known, unknown): (Vec<_>, Vec<_>) =
            gone.map(|saga| saga.id).partition(|id| self.known.acts.contains_key(id));
        let mut acts: HashMap<_, _> =
            known.into_iter().filter_map(|id| Some((id, self.known.acts.get(&id)?.clone()))).collect();
        for id in unknown.into_iter().take(ACTS_AT_ONCE) {
            let mut last = None;
            for kind in ACTS {
                let of = [("order", "newest"), ("entry", kind), ("page_size", "1")];
                let of = of.map(|(name, value)| (name, value.to_owned()));
                let found: Page<RecordView> = app.door.get(session, &format!("/sagas/{id}/journal"), &of).await?;
                last = last.max(found.items.iter().find_map(Act::of));
            }
            acts.insert(id, last);
        }
        Ok(acts)
    }
}
