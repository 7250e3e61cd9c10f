//! The page of a saga's documents as they are: shown once, in answer to the form with the reason, and kept by no browser.

use askama::Template;
use axum::{
    Form,
    extract::{Path, State},
    response::Response,
};
use contract::orchestrator_api::SagaView;
use serde_json::json;

use super::{
    mistakes::{mistake, unprocessable},
    page, path, saga as saga_page,
};
use crate::{
    app::App,
    failure::Failure,
    frame::Frame,
    view::{
        form::Given,
        names,
        payloads::{self, Payload},
        refilled::Refilled,
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

pub(crate) async fn reveal(
    State(app): State<App>,
    visitor: Visitor,
    Path(id): Path<String>,
    Form(typed): Form<Given>,
) -> Result<Response, Failure> {
    let body = json!({ "reason": typed.get("reason") });
    let view: SagaView = match app.door.post(&visitor.session, &path(&id, "/reveal"), &body).await {
        Ok(view) => view,
        Err(error) => {
            let forms = Refilled::new(saga_page::REVEAL, typed, mistake(error, &["reason"], &[])?);
            return Ok(unprocessable(saga_page::show_payloads(&app, &visitor, &id, forms).await?));
        }
    };
    let saga = &view.summary;
    page(&RevealPage {
        frame: visitor.frame_at("Payloads", format!("/ops/sagas/{}?tab=payloads", saga.id)),
        id: saga.id.to_string(),
        saga: format!("{} {}", names::title(&saga.name), names::shortened(&saga.business_key)),
        payloads: payloads::payloads(&view),
    })
}
