//! `GET /api/sagas/{id}/timeline`: the time that a saga spent, step by step.

use axum::extract::State;
use contract::{SagaId, orchestrator_api::Timeline};
use kit::http::{ApiError, Json, Path};

use super::{Api, reads};
use crate::timeline;

/// The timeline of a saga.
pub(super) async fn show(State(api): State<Api>, Path(id): Path<SagaId>) -> Result<Json<Timeline>, ApiError> {
    Ok(Json(timeline::timeline(&reads::stored(&api.shared, id).await?)))
}
