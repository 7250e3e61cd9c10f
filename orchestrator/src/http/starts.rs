//! `POST /api/sagas` and `GET /api/starts`.

use axum::{
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use contract::{SagaId, orchestrator_api::StartSaga};
use kit::http::{ApiError, Json, Query};
use serde::{Deserialize, Serialize};

use super::{Api, problems};
use crate::start::{StartAnswer, start_saga};

/// Answers once the start is durable: 201 for a new saga, 200 for one that the same request had started before.
pub(super) async fn start(State(api): State<Api>, Json(start): Json<StartSaga>) -> Result<Response, ApiError> {
    let answer = start_saga(&api.shared, start).await.map_err(|refused| problems::start(&refused))?;
    let (status, started) = match answer {
        StartAnswer::Created(started) => (StatusCode::CREATED, started),
        StartAnswer::Existing(started) => (StatusCode::OK, started),
    };
    let location = format!("/api/sagas/{}", started.saga_id);
    Ok((status, [(header::LOCATION, location)], Json(started)).into_response())
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WhichStart {
    name: String,
    key: String,
}

/// The start made under a key.
#[derive(Debug, Serialize)]
pub(super) struct FoundStart {
    saga_id: SagaId,
    business_key: String,
    fingerprint: String,
}

/// Looks a start up by its idempotency key, so that a caller can answer a repetition without starting anything.
pub(super) async fn find(
    State(api): State<Api>,
    Query(WhichStart { name, key }): Query<WhichStart>,
) -> Result<Json<FoundStart>, ApiError> {
    let found = api.shared.journal.find_start(&name, &key).await.map_err(|error| problems::journal(&error))?;
    let found = found.ok_or_else(|| ApiError::not_found("unknown_start", "no start was made under this key"))?;
    let journal::ExistingStart { saga_id, business_key, fingerprint } = found;
    Ok(Json(FoundStart { saga_id, business_key, fingerprint }))
}
