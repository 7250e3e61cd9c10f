//! `GET /api/sagas/{id}/explanation`: why a saga is not moving.

use axum::extract::State;
use contract::{SagaId, orchestrator_api::Explanation};
use kit::http::{ApiError, Json, Path};

use super::{Api, problems};
use crate::explain;

/// Explains how a saga stands.
pub(super) async fn show(State(api): State<Api>, Path(id): Path<SagaId>) -> Result<Json<Explanation>, ApiError> {
    let explained = explain::explain(&api.shared, id).await.map_err(|error| problems::journal(&error))?;
    explained.map(Json).ok_or_else(|| problems::no_saga(id))
}
