//! The page of acts that wait for a second operator, and of those that were decided last.

use askama::Template;
use axum::{
    Form,
    extract::{Path, Query, State},
    response::{Html, IntoResponse as _, Redirect, Response},
};
use contract::{Page, orchestrator_api::Approval};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::json;

use super::{
    mistakes::{mistake, place, unprocessable},
    page, paged, plain,
};
use crate::{
    app::App,
    door::DoorError,
    failure::Failure,
    frame::Frame,
    session::Session,
    view::{
        approvals::{self, ApprovalRow},
        form::Given,
        refilled::Refilled,
    },
    visitor::Visitor,
};

/// Where the page is.
const ADDRESS: &str = "/ops/approvals";

/// The highest number that the rail shows; past it a `+` stands.
const COUNTED_MAX: usize = 99;

#[derive(Template)]
#[template(path = "approvals.html")]
struct ApprovalsPage {
    frame: Frame,
    rows: Vec<ApprovalRow>,
    next: Option<String>,
    /// The place of this page in the list, which its forms come back to.
    place: String,
    /// The form of a decision has the name of its request.
    forms: Refilled,
}

/// A place in the listing.
#[derive(Deserialize)]
pub(crate) struct Asked {
    page: Option<String>,
}

pub(crate) async fn list(
    State(app): State<App>,
    visitor: Visitor,
    Query(asked): Query<Asked>,
) -> Result<Response, Failure> {
    show(&app, &visitor, asked.page, Refilled::default()).await
}

async fn show(app: &App, visitor: &Visitor, place: Option<String>, forms: Refilled) -> Result<Response, Failure> {
    let found: Page<Approval> = app.door.get(&visitor.session, "/approvals", &paged(&place)).await?;
    let looks = visitor.session.person().user_id;
    page(&ApprovalsPage {
        frame: visitor.frame_at("Approvals", super::at(ADDRESS, place.as_deref())),
        rows: found.items.iter().map(|one| approvals::row(one, &looks, visitor.now)).collect(),
        next: found.next_page_token.map(|token| super::next(ADDRESS, token.as_str())),
        place: place.unwrap_or_default(),
        forms,
    })
}

/// The number of those that wait, for the rail; nothing where none does.
pub(crate) async fn count(State(app): State<App>, visitor: Visitor) -> Result<Response, Failure> {
    let asked = [("waiting", "true".to_owned()), ("page_size", (COUNTED_MAX + 1).to_string())];
    let found: Page<Approval> = app.door.get(&visitor.session, "/approvals", &asked).await?;
    let words = match found.items.len() {
        0 => String::new(),
        many if many > COUNTED_MAX => format!("{COUNTED_MAX}+"),
        few => few.to_string(),
    };
    Ok(Html(words).into_response())
}

pub(crate) async fn decide(
    State(app): State<App>,
    visitor: Visitor,
    Path((id, act)): Path<(String, String)>,
    Form(typed): Form<Given>,
) -> Result<Response, Failure> {
    if !matches!(act.as_str(), "approve" | "reject") {
        return Err(Failure::Wrong(format!("`{act}` is no decision")));
    }
    let address = format!("/approvals/{}/{act}", plain(&id));
    let body = json!({ "reason": typed.get("reason") });
    match app.door.post::<IgnoredAny>(&visitor.session, &address, &body).await {
        Ok(IgnoredAny) => Ok(Redirect::to(ADDRESS).into_response()),
        Err(error) => {
            let wrong = mistake(error, &["reason"], &[])?;
            Ok(unprocessable(show(&app, &visitor, place(&typed), Refilled::new(id, typed, wrong)).await?))
        }
    }
}

/// The requests about one saga that wait.
pub(super) async fn of_saga(
    app: &App,
    session: &Session,
    id: &str,
    now: chrono::DateTime<chrono::Utc>,
) -> Result<Vec<ApprovalRow>, DoorError> {
    let asked = [("waiting", "true".to_owned()), ("target", plain(id))];
    let found: Page<Approval> = app.door.get(session, "/approvals", &asked).await?;
    let looks = session.person().user_id;
    Ok(found.items.iter().map(|one| approvals::row(one, &looks, now)).collect())
}
