//! Errors by definition, step and code, with the way to act on a whole group.

use askama::Template;
use axum::{
    extract::{Query, State},
    response::Response,
};
use contract::{Page, orchestrator_api::ErrorGroup};
use serde::Deserialize;

use super::{new_job, page, paged};
use crate::{
    app::App,
    failure::Failure,
    frame::Frame,
    view::groups::{self, Group},
    visitor::Visitor,
};

/// A group with the address of the job that retries it.
struct Line {
    group: Group,
    retry: String,
}

#[derive(Template)]
#[template(path = "errors.html")]
struct ErrorsPage {
    frame: Frame,
    lines: Vec<Line>,
    next: Option<String>,
}

/// The address's parameters.
#[derive(Deserialize)]
pub(crate) struct Asked {
    page: Option<String>,
}

pub(crate) async fn list(
    State(app): State<App>,
    visitor: Visitor,
    Query(asked): Query<Asked>,
) -> Result<Response, Failure> {
    let found: Page<ErrorGroup> = app.door.get(&visitor.session, "/errors", &paged(&asked.page)).await?;
    let lines = found.items.iter().map(|group| {
        let query = format!("name:{} error:{} status:needs_attention", group.name, group.error);
        Line { group: groups::group(group, visitor.now), retry: new_job::address("retry", &query) }
    });
    page(&ErrorsPage {
        frame: visitor.frame("Errors"),
        lines: lines.collect(),
        next: found.next_page_token.map(|token| super::next("/ops/errors", token.as_str())),
    })
}
