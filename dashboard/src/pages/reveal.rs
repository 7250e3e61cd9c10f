//! The page of a saga's documents as they are: shown once, in answer to the form with the reason, and kept by no browser.

use askama::Template;
use axum::{
    Form,
    extract::{Path, State},
    response::Response,
};
use contract::orchestrator_api::SagaView;
use serde::Deserialize;
use serde_json::json;

use super::{page, path};
use crate::{
    app::App,
    failure::Failure,
    frame::Frame,
    view::{
        names,
        payloads::{self, Payload},
    },
    visitor::Visitor,
};

#[derive(Template)]
#[template(path = "reveal.html")]
struct RevealPage {
    frame: Frame,
    id: String,
    saga: String,
    payloads: Vec<Payload>,
}

/// The reason of a reveal.
#[derive(Deserialize)]
pub(crate) struct Reason {
    reason: String,
}

pub(crate) async fn reveal(
    State(app): State<App>,
    visitor: Visitor,
    Path(id): Path<String>,
    Form(Reason { reason }): Form<Reason>,
) -> Result<Response, Failure> {
    let body = json!({ "reason": reason });
    let view: SagaView = app.door.post(&visitor.session, &path(&id, "/reveal"), &body).await?;
    let saga = &view.summary;
    page(&RevealPage {
        frame: visitor.frame("Payloads"),
        id: saga.id.to_string(),
        saga: format!("{} {}", names::title(&saga.name), names::shortened(&saga.business_key)),
        payloads: payloads::payloads(&view),
    })
}
