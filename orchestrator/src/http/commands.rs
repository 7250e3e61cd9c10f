//! `GET /api/sagas/{id}/steps/{step}/command`: the command of a step as it would be sent now.

use axum::extract::State;
use contract::{SagaId, StepName, orchestrator_api::CommandView};
use kit::http::{ApiError, Json, Path};

use super::{Api, reads};
use crate::saga_instance::SagaInstance;

/// The command, with what operators have changed in it.
pub(super) async fn show(
    State(api): State<Api>,
    Path((id, name)): Path<(SagaId, StepName)>,
) -> Result<Json<CommandView>, ApiError> {
    let stored = reads::stored(&api.shared, id).await?;
    let instance = SagaInstance::restore(&api.shared.catalog, &stored);
    let instance = instance.map_err(|parked| ApiError::conflict(parked.code(), parked.to_string()))?;
    let SagaInstance { state, head, definition, .. } = instance;
    let built = machine::payload::next_command(&definition, &state, &name);
    let built =
        built.ok_or_else(|| ApiError::not_found("step_unknown", format!("no step `{name}` sends a command")))?;
    let (spec, op, payload) = built.map_err(|error| ApiError::conflict(error.code(), error.to_string()))?;
    let payload = payload.to_value().map_err(|_| ApiError::internal())?;
    Ok(Json(CommandView { step: name, op, command: spec.name.to_owned(), payload, head }))
}
