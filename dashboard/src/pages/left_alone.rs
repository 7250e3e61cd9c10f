//! Dead letters, and sagas in quarantine: both are left alone until a person looks.

use askama::Template;
use axum::{
    Form,
    extract::{Path, Query, State},
    response::{IntoResponse as _, Redirect, Response},
};
use contract::{
    Page,
    orchestrator_api::{DeadLetterView, Explanation, QuarantinedSaga},
    problem::Problem,
};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::json;

use super::{
    mistakes::{mistake, place, unprocessable},
    page, paged, path,
};
use crate::{
    app::App,
    door::DoorError,
    failure::Failure,
    frame::Frame,
    view::{
        acts::{self, Act},
        form::Given,
        names::{self, Id},
        prose::{self, Prose},
        refilled::Refilled,
        times::{self, Moment},
    },
    visitor::Visitor,
};

/// Where the page of the dead letters is.
const LETTERS: &str = "/ops/dead-letters";

/// One dead letter. Its number is the name of its form.
struct Letter {
    id: String,
    saga: Option<Id>,
    queue: String,
    reason: String,
    received: Moment,
    redriven: Option<Moment>,
    body: String,
}

#[derive(Template)]
#[template(path = "dead_letters.html")]
struct LettersPage {
    frame: Frame,
    letters: Vec<Letter>,
    next: Option<String>,
    /// The place of this page in the list, which its forms come back to.
    place: String,
    forms: Refilled,
}

/// A place in a listing.
#[derive(Deserialize)]
pub(crate) struct Asked {
    page: Option<String>,
}

pub(crate) async fn letters(
    State(app): State<App>,
    visitor: Visitor,
    Query(asked): Query<Asked>,
) -> Result<Response, Failure> {
    show(&app, &visitor, asked.page, Refilled::default()).await
}

async fn show(app: &App, visitor: &Visitor, place: Option<String>, forms: Refilled) -> Result<Response, Failure> {
    let found: Page<DeadLetterView> = app.door.get(&visitor.session, "/dead-letters", &paged(&place)).await?;
    let letter = |letter: &DeadLetterView| Letter {
        id: letter.id.to_string(),
        saga: letter.saga_id.map(names::id),
        queue: letter.queue.clone(),
        reason: letter.reason.clone(),
        received: times::moment(letter.received_at, visitor.now),
        redriven: letter.redriven_at.map(|at| times::moment(at, visitor.now)),
        body: letter.body.clone(),
    };
    page(&LettersPage {
        frame: visitor.frame_at("Dead letters", super::at(LETTERS, place.as_deref())),
        letters: found.items.iter().map(letter).collect(),
        next: found.next_page_token.map(|token| super::next(LETTERS, token.as_str())),
        place: place.unwrap_or_default(),
        forms,
    })
}

pub(crate) async fn redrive(
    State(app): State<App>,
    visitor: Visitor,
    Path(id): Path<i64>,
    Form(typed): Form<Given>,
) -> Result<Response, Failure> {
    let body = json!({ "reason": typed.get("reason") });
    match app.door.post::<IgnoredAny>(&visitor.session, &format!("/dead-letters/{id}/redrive"), &body).await {
        Ok(IgnoredAny) => Ok(Redirect::to(&super::at(LETTERS, place(&typed).as_deref())).into_response()),
        Err(error) => {
            let wrong = mistake(error, &["reason"], &[])?;
            let forms = Refilled::new(id.to_string(), typed.clone(), wrong);
            Ok(unprocessable(show(&app, &visitor, place(&typed), forms).await?))
        }
    }
}

/// The page of a saga that cannot be read: why, and what can be done.
#[derive(Template)]
#[template(path = "unread_saga.html")]
struct UnreadPage {
    frame: Frame,
    id: Id,
    sentence: Prose,
    acts: Vec<Act>,
    others: Vec<Act>,
}

/// Shows a saga whose rows cannot be read as far as the orchestrator explains it. One that it does not know either is refused as it was.
pub(super) async fn unread(app: &App, visitor: &Visitor, id: &str, refused: Problem) -> Result<Response, Failure> {
    let session = &visitor.session;
    let Ok(why) = app.door.get::<Explanation>(session, &path(id, "/explanation"), &[]).await else {
        return Err(DoorError::Refused(Box::new(refused)).into());
    };
    let (acts, others) = acts::acts(&why, session.person().may_act());
    let id = names::id(why.saga_id);
    page(&UnreadPage {
        frame: visitor.frame(names::shortened(&id.full)),
        id,
        sentence: prose::prose(&why.sentence),
        acts,
        others,
    })
}

/// One saga in quarantine.
struct Quarantined {
    saga: Id,
    code: String,
    detail: String,
    since: Moment,
}

#[derive(Template)]
#[template(path = "quarantine.html")]
struct QuarantinePage {
    frame: Frame,
    sagas: Vec<Quarantined>,
    next: Option<String>,
}

pub(crate) async fn quarantine(
    State(app): State<App>,
    visitor: Visitor,
    Query(asked): Query<Asked>,
) -> Result<Response, Failure> {
    let found: Page<QuarantinedSaga> = app.door.get(&visitor.session, "/quarantine", &paged(&asked.page)).await?;
    let saga = |saga: &QuarantinedSaga| Quarantined {
        saga: names::id(saga.saga_id),
        code: saga.code.clone(),
        detail: saga.detail.clone(),
        since: times::moment(saga.since, visitor.now),
    };
    page(&QuarantinePage {
        frame: visitor.frame("Quarantine"),
        sagas: found.items.iter().map(saga).collect(),
        next: found.next_page_token.map(|token| super::next("/ops/quarantine", token.as_str())),
    })
}
