//! Pauses of domains, definitions and steps: which are in force, what they hold back, a new one, and the end of one.

use askama::Template;
use axum::{
    Form,
    extract::{Path, State},
    response::{IntoResponse as _, Redirect, Response},
};
use contract::{
    Page,
    command::Route,
    orchestrator_api::{PauseScope, PauseView},
};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::json;

use super::page;
use crate::{
    app::App,
    failure::Failure,
    frame::Frame,
    view::{
        names::{self, Id},
        times::{self, Moment},
    },
    visitor::Visitor,
};

/// A pause that is in force, as the page tells it.
struct Pause {
    scope: String,
    since: Moment,
    actor: Id,
    reason: String,
    held_sagas: u64,
    under_way: u64,
    quiescent: bool,
    silent: usize,
}

#[derive(Template)]
#[template(path = "domains.html")]
struct DomainsPage {
    frame: Frame,
    domains: Vec<(&'static str, bool)>,
    pauses: Vec<Pause>,
}

pub(crate) async fn list(State(app): State<App>, visitor: Visitor) -> Result<Response, Failure> {
    let found: Page<PauseView> = app.door.get(&visitor.session, "/pauses", &[]).await?;
    let paused = |route: Route| found.items.iter().any(|view| view.pause.scope == PauseScope::Domain(route));
    let pause = |view: &PauseView| Pause {
        scope: view.pause.scope.to_string(),
        since: times::moment(view.pause.since, visitor.now),
        actor: names::id(&view.pause.actor),
        reason: view.pause.reason.clone(),
        held_sagas: view.held_sagas,
        under_way: view.under_way,
        quiescent: view.quiescent,
        silent: view.silent_shards.len(),
    };
    page(&DomainsPage {
        frame: visitor.frame("Domains"),
        domains: Route::ALL.map(|route| (route.as_str(), paused(route))).into(),
        pauses: found.items.iter().map(pause).collect(),
    })
}

/// The form of a new pause.
#[derive(Deserialize)]
pub(crate) struct NewPause {
    scope: String,
    reason: String,
}

pub(crate) async fn begin(
    State(app): State<App>,
    visitor: Visitor,
    Form(asked): Form<NewPause>,
) -> Result<Response, Failure> {
    let scope: PauseScope = asked.scope.trim().parse().map_err(|error| Failure::Wrong(format!("{error}")))?;
    let body = json!({ "scope": scope, "reason": asked.reason });
    app.door.post::<IgnoredAny>(&visitor.session, "/pauses", &body).await?;
    Ok(Redirect::to("/ops/domains").into_response())
}

/// The reason of an end.
#[derive(Deserialize)]
pub(crate) struct Reason {
    reason: String,
}

pub(crate) async fn end(
    State(app): State<App>,
    visitor: Visitor,
    Path(scope): Path<String>,
    Form(asked): Form<Reason>,
) -> Result<Response, Failure> {
    let scope: PauseScope = scope.parse().map_err(|error| Failure::Wrong(format!("{error}")))?;
    let body = json!({ "reason": asked.reason });
    app.door.post::<IgnoredAny>(&visitor.session, &format!("/pauses/{scope}/end"), &body).await?;
    Ok(Redirect::to("/ops/domains").into_response())
}
