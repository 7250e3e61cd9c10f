//! `GET /v1/operations/{operation_id}`: how far an order has come. Always 200 for one's own, however it stands.

use axum::{
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::on,
};
use contract::{SagaId, orchestrator_api::SagaView};
use kit::http::{ApiError, Json, Path};

use crate::{
    access::{Access, Caller},
    app::App,
    endpoint::{Endpoint, Limit, NO_BODY_BYTES_MAX, Verb},
    hop::Hop,
    upstream::{Call, Part},
    views::{self, Operation},
};

pub(crate) const SHOW: Endpoint = Endpoint {
    verb: Verb::Get,
    path: "/v1/operations/{operation_id}",
    access: Access::Client,
    limit: Limit::Read,
    body_bytes_max: NO_BODY_BYTES_MAX,
    part: Part::Orchestrator,
    about: "shows how far an order has come",
    handler: |methods| on(methods, show),
};

async fn show(State(app): State<App>, caller: Caller, hop: Hop, Path(id): Path<SagaId>) -> Result<Response, ApiError> {
    let operation = Operation::from_saga(&own_saga(&app, &hop, caller, id).await?);
    let open = operation.is_open();
    let mut response = Json(operation).into_response();
    if open {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    Ok(response)
}

/// The saga, when it is this person's; a foreign one is answered as one that does not exist.
pub(crate) async fn own_saga(app: &App, hop: &Hop, caller: Caller, id: SagaId) -> Result<SagaView, ApiError> {
    let response = app.orchestrator.call(hop, Call::get(format!("/api/sagas/{id}"))).await?;
    let saga = match response.status {
        StatusCode::OK => Some(response.json::<SagaView>()?),
        StatusCode::NOT_FOUND => None,
        _ => return Err(response.unexpected().into()),
    };
    saga.filter(|saga| views::is_owned_by(saga, caller.user_id)).ok_or_else(|| operation_unknown(id))
}

/// Answers that there is no such operation of the caller's.
pub(super) fn operation_unknown(id: SagaId) -> ApiError {
    ApiError::not_found("operation_unknown", format!("there is no operation {id}"))
}
