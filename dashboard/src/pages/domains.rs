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
    orchestrator_api::{DefinitionView, Definitions, PauseScope, PauseView},
};
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use super::{
    mistakes::{mistake, unprocessable},
    page,
};
use crate::{
    app::App,
    failure::Failure,
    frame::Frame,
    view::{
        form::{Given, Wrong},
        names::{self, Id},
        refilled::Refilled,
        times::{self, Moment},
    },
    visitor::Visitor,
};

/// Where the page is, and the name of its form of a new pause. The form of an end has the name of its scope.
const ADDRESS: &str = "/ops/domains";

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
    /// The definitions and steps that can be paused, as they are typed.
    scopes: Vec<String>,
    forms: Refilled,
}

pub(crate) async fn list(State(app): State<App>, visitor: Visitor) -> Result<Response, Failure> {
    show(&app, &visitor, Refilled::default()).await
}

async fn show(app: &App, visitor: &Visitor, forms: Refilled) -> Result<Response, Failure> {
    let (session, frame) = (&visitor.session, visitor.frame_at("Domains", ADDRESS.to_owned()));
    let found: Page<PauseView> = app.door.get(session, "/pauses", &[]).await?;
    let scopes = if frame.may_act() {
        scopes(&app.door.get::<Definitions>(session, "/definitions", &[]).await?.items)
    } else {
        Vec::new()
    };
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
        frame,
        domains: Route::ALL.map(|route| (route.as_str(), paused(route))).into(),
        pauses: found.items.iter().map(pause).collect(),
        scopes,
        forms,
    })
}

/// The definitions, each with its steps behind it.
fn scopes(definitions: &[DefinitionView]) -> Vec<String> {
    let of = |one: &DefinitionView| {
        let whole = format!("{}@{}", one.name, one.version);
        let steps: Vec<_> = one.steps.iter().map(|step| format!("{whole}:{}", step.name)).collect();
        std::iter::once(whole).chain(steps)
    };
    definitions.iter().flat_map(of).collect()
}

pub(crate) async fn begin(
    State(app): State<App>,
    visitor: Visitor,
    Form(typed): Form<Given>,
) -> Result<Response, Failure> {
    let body = match new_pause(&typed) {
        Ok(body) => body,
        Err(wrong) => return again(&app, &visitor, ADDRESS, typed, wrong).await,
    };
    match app.door.post::<IgnoredAny>(&visitor.session, "/pauses", &body).await {
        Ok(IgnoredAny) => Ok(Redirect::to(ADDRESS).into_response()),
        Err(error) => {
            let codes = [("step_unknown", "scope"), ("pauses_exhausted", "")];
            let wrong = mistake(error, &["scope", "reason"], &codes)?;
            again(&app, &visitor, ADDRESS, typed, wrong).await
        }
    }
}

/// The request for the pause that a form asks for.
fn new_pause(typed: &Given) -> Result<Value, Wrong> {
    let text = |name: &str| typed.get(name).map(|text| text.trim()).unwrap_or_default();
    let scope: PauseScope = text("scope").parse().map_err(|error| Wrong::at("scope", format!("{error}")))?;
    Ok(json!({ "scope": scope, "reason": text("reason") }))
}

pub(crate) async fn end(
    State(app): State<App>,
    visitor: Visitor,
    Path(scope): Path<String>,
    Form(typed): Form<Given>,
) -> Result<Response, Failure> {
    let scope: PauseScope = scope.parse().map_err(|error| Failure::Wrong(format!("{error}")))?;
    let body = json!({ "reason": typed.get("reason") });
    match app.door.post::<IgnoredAny>(&visitor.session, &format!("/pauses/{scope}/end"), &body).await {
        Ok(IgnoredAny) => Ok(Redirect::to(ADDRESS).into_response()),
        Err(error) => {
            let wrong = mistake(error, &["reason"], &[])?;
            again(&app, &visitor, scope.to_string(), typed, wrong).await
        }
    }
}

async fn again(
    app: &App,
    visitor: &Visitor,
    form: impl Into<String>,
    typed: Given,
    wrong: Wrong,
) -> Result<Response, Failure> {
    Ok(unprocessable(show(app, visitor, Refilled::new(form, typed, wrong)).await?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_that_names_nothing_is_a_mistake_of_its_input() {
        let typed =
            |scope: &str| Given::from([("scope".to_owned(), scope.to_owned()), ("reason".to_owned(), "x".to_owned())]);
        let order = new_pause(&typed(" order@2:hold-seats ")).unwrap();
        assert_eq!(order, json!({ "scope": "order@2:hold-seats", "reason": "x" }));
        for wrong in ["", "feed@", "nobody", "order@two", "order@2:"] {
            let told = new_pause(&typed(wrong)).unwrap_err();
            assert!(told.input == "scope" && told.words.contains("a step as"), "{wrong}: {told:?}");
        }
    }
}
