//! The list of sagas: filtered by the query bar, page by page.

use askama::Template;
use axum::{
    extract::{Query as FromQuery, State},
    response::{Redirect, Response},
};
use contract::{
    Page,
    orchestrator_api::{SagaQuery, SagaSummary},
};
use serde::Deserialize;

use super::{jobs, page, paged};
use crate::{
    app::App,
    failure::Failure,
    frame::Frame,
    view::rows::{self, SagaRow},
    visitor::Visitor,
};

/// One term of the query, with the address of the list without it.
struct Term {
    text: String,
    without: String,
}

#[derive(Template)]
#[template(path = "sagas.html")]
struct SagasPage {
    frame: Frame,
    terms: Vec<Term>,
    /// The reason why the query cannot be read.
    wrong: Option<String>,
    sagas: Vec<SagaRow>,
    next: Option<String>,
    /// The address of the page that acts on all that match.
    job: String,
}

/// The address's parameters.
#[derive(Deserialize)]
pub(crate) struct Asked {
    #[serde(default)]
    q: String,
    #[serde(default)]
    page: Option<String>,
}

pub(crate) async fn list(
    State(app): State<App>,
    visitor: Visitor,
    FromQuery(asked): FromQuery<Asked>,
) -> Result<Response, Failure> {
    let mut frame = visitor.frame("Sagas");
    frame.query.clone_from(&asked.q);
    let query = match SagaQuery::read(&asked.q, visitor.now) {
        Ok(query) => query,
        Err(wrong) => {
            return page(&SagasPage {
                frame,
                terms: Vec::new(),
                wrong: Some(wrong.to_string()),
                sagas: Vec::new(),
                next: None,
                job: String::new(),
            });
        }
    };
    let mut parameters = query.parameters();
    parameters.extend(paged(&asked.page));
    let found: Page<SagaSummary> = app.door.get(&visitor.session, "/sagas", &parameters).await?;
    let terms = query.terms.iter().enumerate();
    page(&SagasPage {
        frame,
        terms: terms
            .map(|(at, text)| Term { text: text.clone(), without: address(&query.without(at), None) })
            .collect(),
        wrong: None,
        job: jobs::address("retry", &asked.q),
        sagas: found.items.iter().map(|saga| rows::saga(saga, visitor.now)).collect(),
        next: found.next_page_token.map(|token| address(&asked.q, Some(token.as_str()))),
    })
}

/// The sagas that wait for a person.
pub(crate) async fn attention() -> Redirect {
    Redirect::to(&address("status:needs_attention", None))
}

/// The address of the list for a query, from a place on.
pub(super) fn address(query: &str, token: Option<&str>) -> String {
    let mut pairs = form_urlencoded::Serializer::new(String::new());
    if !query.is_empty() {
        pairs.append_pair("q", query);
    }
    pairs.extend_pairs(token.map(|token| ("page", token)));
    let pairs = pairs.finish();
    if pairs.is_empty() { "/ops/sagas".to_owned() } else { format!("/ops/sagas?{pairs}") }
}
