//! The list of sagas: filtered by the query bar, page by page, with the columns that the address names. What is selected,
//! or all that matches, can be acted on by a job.

use askama::Template;
use axum::{
    extract::{Query as FromQuery, State},
    http::HeaderMap,
    response::{IntoResponse as _, Response},
};
use contract::{
    Page, SagaId,
    orchestrator_api::{SagaOrder, SagaQuery, SagaSummary},
};
use serde::Deserialize;

use super::{
    attention, new_job, page, paged,
    saga_table::{Row, Table},
};
use crate::{
    app::App,
    cookies,
    failure::Failure,
    frame::{self, Frame},
    view::{
        columns::Columns,
        refilled::Refilled,
        saga_addresses::{LIST, address_with},
        views::{self, View},
    },
    visitor::Visitor,
};

/// The name of the form that saves a view.
pub(super) const SAVE_VIEW: &str = "view";

/// The most new sagas that are counted: past that, the number tells nothing more.
const NEWER_MAX: usize = 100;

/// One term of the query, with the address of the list without it.
struct Term {
    text: String,
    without: String,
}

/// A saved view in the row above the list.
struct ViewLink {
    name: String,
    address: String,
    here: bool,
}

#[derive(Template)]
#[template(path = "sagas.html")]
struct SagasPage {
    frame: Frame,
    terms: Vec<Term>,
    /// The reason why the query cannot be read.
    wrong: Option<String>,
    table: Option<Table>,
    columns: Columns,
    views: Vec<ViewLink>,
    /// This list without its place, as a view keeps it.
    query: String,
    next: Option<String>,
    /// The address of the page that acts on all that match.
    job: String,
    /// The address of the stream that keeps the table up to date.
    stream: Option<String>,
    /// The address that tells how many newer sagas there are, on the first page of a list that begins with them.
    newer: Option<String>,
    first: String,
    /// The address that tells how many sagas match.
    count: String,
    forms: Refilled,
}

/// The address's parameters.
struct Asked {
    q: String,
    page: Option<String>,
    columns: Columns,
}

impl Asked {
    /// A chooser without a script sends a parameter for each of its columns.
    fn read(pairs: &[(String, String)]) -> Self {
        let all = |wanted: &'static str| pairs.iter().filter(move |(name, _)| name == wanted).map(|(_, value)| value);
        Self {
            q: all("q").next().cloned().unwrap_or_default(),
            page: all("page").next().cloned(),
            columns: Columns::read(all("columns").map(String::as_str)),
        }
    }
}

pub(crate) async fn list(
    State(app): State<App>,
    visitor: Visitor,
    headers: HeaderMap,
    FromQuery(pairs): FromQuery<Vec<(String, String)>>,
) -> Result<Response, Failure> {
    show(&app, &visitor, &headers, &pairs, Refilled::default()).await
}

/// The list that these parameters of an address ask for.
pub(super) async fn show(
    app: &App,
    visitor: &Visitor,
    headers: &HeaderMap,
    pairs: &[(String, String)],
    forms: Refilled,
) -> Result<Response, Failure> {
    let Asked { q, page: token, columns } = Asked::read(pairs);
    let at = |q: &str, token: Option<&str>| address_with(q, &columns, token);
    let mut frame = visitor.frame_at("Sagas", at(&q, token.as_deref()));
    frame.query.clone_from(&q);
    let (query, wrong) = match SagaQuery::read(&q, visitor.now) {
        Ok(query) => (query, None),
        Err(wrong) => (SagaQuery::default(), Some(wrong.to_string())),
    };
    frame.query_is_wrong = wrong.is_some();
    if attention::is_narrowed(&query) {
        frame.title = frame::ATTENTION.to_owned();
        frame.belongs_to(frame::ATTENTION);
    }
    let found = if wrong.is_none() {
        let mut parameters = query.parameters();
        parameters.extend(paged(&token));
        app.door.get::<Page<SagaSummary>>(&visitor.session, "/sagas", &parameters).await?
    } else {
        Page::only(Vec::new())
    };
    let first = at(&q, None);
    let saved = views::read(cookies::read(headers, cookies::VIEWS));
    let of_attention = wrong.is_none() && attention::is_asked(&query);
    let is_counted = wrong.is_none() && token.is_none() && query.order == SagaOrder::Newest && !of_attention;
    let goes_on = token.is_some() || found.next_page_token.is_some();
    let stream = of_attention.then(|| attention::stream_address(&q, &columns, &found.items, goes_on, visitor.now));
    let rows: Vec<_> = found.items.iter().map(|saga| Row::new(saga, None, visitor.now)).collect();
    // A list that its stream may fill has a table, however empty.
    let is_drawn = of_attention || !rows.is_empty();
    let may_act = frame.may_act();
    page(&SagasPage {
        frame,
        terms: (0..query.terms.len())
            .map(|term| Term { text: query.terms[term].clone(), without: at(&query.without(term), None) })
            .collect(),
        wrong,
        views: saved.into_iter().map(|view| view_link(view, &first)).collect(),
        job: new_job::address("retry", &q),
        table: is_drawn.then(|| Table::new(rows, &query, columns.clone(), may_act, None)),
        stream,
        next: found.next_page_token.map(|token| at(&q, Some(token.as_str()))),
        newer: is_counted.then(|| newer_address(&q, found.items.first().map(|saga| saga.id))),
        count: count_address(&q),
        query: first.split_once('?').map(|(_, query)| query.to_owned()).unwrap_or_default(),
        first,
        columns,
        forms,
    })
}

fn view_link(view: View, here: &str) -> ViewLink {
    let View { name, query } = view;
    let address = if query.is_empty() { LIST.to_owned() } else { format!("{LIST}?{query}") };
    ViewLink { here: address == here, name, address }
}

/// The parameters of the question for newer sagas.
#[derive(Deserialize)]
pub(crate) struct Newer {
    #[serde(default)]
    q: String,
    after: Option<SagaId>,
}

/// Tells how many sagas a list has gained at its begin; nothing when none.
pub(crate) async fn newer(
    State(app): State<App>,
    visitor: Visitor,
    FromQuery(asked): FromQuery<Newer>,
) -> Result<Response, Failure> {
    let query = SagaQuery::read(&asked.q, visitor.now).map_err(|wrong| Failure::Wrong(wrong.to_string()))?;
    let mut parameters = query.parameters();
    parameters.push(("page_size", NEWER_MAX.to_string()));
    parameters.extend(asked.after.map(|after| ("after", after.to_string())));
    let found: Page<SagaSummary> = app.door.get(&visitor.session, "/sagas", &parameters).await?;
    Ok(match (found.items.len(), found.next_page_token) {
        (0, _) => String::new(),
        (_, Some(_)) => format!("More than {NEWER_MAX} new"),
        (number, None) => format!("{number} new"),
    }
    .into_response())
}

fn count_address(query: &str) -> String {
    let pair = form_urlencoded::Serializer::new(String::new()).append_pair("q", query).finish();
    format!("{LIST}/count?{pair}")
}

fn newer_address(query: &str, after: Option<SagaId>) -> String {
    let after = after.map(|after| ("after", after.to_string()));
    let pairs = [("q", query.to_owned())].into_iter().chain(after);
    format!("{LIST}/newer?{}", form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish())
}
