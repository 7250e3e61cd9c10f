//! The list of sagas: filtered by the query bar, page by page, with the columns that the address names. What is selected,
//! or all that matches, can be acted on by a job.

use askama::Template;
use axum::{
    extract::{Query as FromQuery, State},
    http::HeaderMap,
    response::{IntoResponse as _, Redirect, Response},
};
use contract::{
    Page, SagaId,
    orchestrator_api::{SagaOrder, SagaQuery, SagaSummary},
};
use serde::Deserialize;

use super::{new_job, page, paged};
use crate::{
    app::App,
    cookies,
    failure::Failure,
    frame::Frame,
    view::{
        columns::{Column, Columns},
        rows::{self, SagaRow},
        views::{self, View},
    },
    visitor::Visitor,
};

/// The most new sagas that are counted: past that, the number tells nothing more.
const NEWER_MAX: usize = 100;

/// One term of the query, with the address of the list without it.
struct Term {
    text: String,
    without: String,
}

/// A column's head: its word, and where the list can be ordered by it, the address that does so.
struct Head {
    title: &'static str,
    sorted: Option<&'static str>,
    order: Option<String>,
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
    sagas: Vec<SagaRow>,
    columns: Columns,
    heads: Vec<Head>,
    views: Vec<ViewLink>,
    /// This list without its place, as a view keeps it.
    query: String,
    next: Option<String>,
    /// The address of the page that acts on all that match.
    job: String,
    /// The address that tells how many newer sagas there are, on the first page of a list that begins with them.
    newer: Option<String>,
    first: String,
    /// The address that tells how many sagas match.
    count: String,
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
    let Asked { q, page: token, columns } = Asked::read(&pairs);
    let at = |q: &str, token: Option<&str>| address_with(q, &columns, token);
    let mut frame = visitor.frame("Sagas");
    frame.query.clone_from(&q);
    let (query, wrong) = match SagaQuery::read(&q, visitor.now) {
        Ok(query) => (query, None),
        Err(wrong) => (SagaQuery::default(), Some(wrong.to_string())),
    };
    frame.query_is_wrong = wrong.is_some();
    let found = if wrong.is_none() {
        let mut parameters = query.parameters();
        parameters.extend(paged(&token));
        app.door.get::<Page<SagaSummary>>(&visitor.session, "/sagas", &parameters).await?
    } else {
        Page::only(Vec::new())
    };
    let first = at(&q, None);
    let saved = views::read(cookies::read(&headers, cookies::VIEWS));
    let is_live = wrong.is_none() && token.is_none() && query.order == SagaOrder::Newest;
    page(&SagasPage {
        frame,
        terms: (0..query.terms.len())
            .map(|term| Term { text: query.terms[term].clone(), without: at(&query.without(term), None) })
            .collect(),
        wrong,
        heads: columns.all().iter().map(|column| head(*column, &query, &columns)).collect(),
        views: saved.into_iter().map(|view| view_link(view, &first)).collect(),
        job: new_job::address("retry", &q),
        sagas: found.items.iter().map(|saga| rows::saga(saga, visitor.now)).collect(),
        next: found.next_page_token.map(|token| at(&q, Some(token.as_str()))),
        newer: is_live.then(|| newer_address(&q, found.items.first().map(|saga| saga.id))),
        count: count_address(&q),
        query: first.split_once('?').map(|(_, query)| query.to_owned()).unwrap_or_default(),
        first,
        columns,
    })
}

fn view_link(view: View, here: &str) -> ViewLink {
    let View { name, query } = view;
    let address = if query.is_empty() { LIST.to_owned() } else { format!("{LIST}?{query}") };
    ViewLink { here: address == here, name, address }
}

/// The head of a column. Starts are in the order of the ids, and what lapses first is an order of its own.
fn head(column: Column, query: &SagaQuery, columns: &Columns) -> Head {
    let (sorted, order) = match (column, query.order) {
        (Column::Started, SagaOrder::Newest) => (Some("descending"), Some("oldest")),
        (Column::Started, SagaOrder::Oldest) => (Some("ascending"), Some("newest")),
        (Column::Started, SagaOrder::HoldsUntil) => (None, Some("newest")),
        (Column::Holds, SagaOrder::HoldsUntil) => (Some("ascending"), Some("newest")),
        (Column::Holds, SagaOrder::Newest | SagaOrder::Oldest) => (None, Some("holds")),
        (Column::Key | Column::Error | Column::Client | Column::Changed | Column::Ended, _) => (None, None),
    };
    let by = |word: &str| {
        let others = query.terms.iter().map(String::as_str).filter(|term| !term.starts_with("sort:"));
        let order = (word != "newest").then(|| format!("sort:{word}"));
        let terms: Vec<&str> = others.chain(order.as_deref()).collect();
        address_with(&terms.join(" "), columns, None)
    };
    Head { title: column.title(), sorted, order: order.map(by) }
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

/// The sagas that wait for a person.
pub(crate) async fn attention() -> Redirect {
    Redirect::to(&address("status:needs_attention"))
}

/// The address of the list.
pub(super) const LIST: &str = "/ops/sagas";

/// The address of the list for a query.
pub(super) fn address(query: &str) -> String {
    address_with(query, &Columns::read([].into_iter()), None)
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

fn address_with(query: &str, columns: &Columns, token: Option<&str>) -> String {
    let mut pairs = form_urlencoded::Serializer::new(String::new());
    if !query.is_empty() {
        pairs.append_pair("q", query);
    }
    pairs.extend_pairs(columns.words().map(|words| ("columns", words)));
    pairs.extend_pairs(token.map(|token| ("page", token)));
    let pairs = pairs.finish();
    if pairs.is_empty() { LIST.to_owned() } else { format!("{LIST}?{pairs}") }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    #[test]
    fn a_list_is_ordered_by_the_columns_that_an_index_backs() {
        let query = SagaQuery::read("status:running sort:oldest", DateTime::UNIX_EPOCH).unwrap();
        let columns = Columns::read(["key,started,holds"].into_iter());
        let heads: Vec<_> = columns.all().iter().map(|column| head(*column, &query, &columns)).collect();
        let told: Vec<_> = heads.iter().map(|head| (head.sorted, head.order.as_deref())).collect();
        let expected = [
            (None, None),
            (Some("ascending"), Some("/ops/sagas?q=status%3Arunning&columns=key%2Cstarted%2Cholds")),
            (None, Some("/ops/sagas?q=status%3Arunning+sort%3Aholds&columns=key%2Cstarted%2Cholds")),
        ];
        assert_eq!(told, expected);
    }
}
