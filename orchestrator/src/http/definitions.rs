//! `GET /api/definitions`: the sagas that this orchestrator can carry out.

use axum::extract::State;
use contract::{
    SagaId, StepName,
    orchestrator_api::{StepView, StepWork},
};
use kit::http::Json;
use machine::State as SagaState;
use serde::Serialize;

use super::Api;

/// Every definition, by name and version.
#[derive(Debug, Serialize)]
pub(super) struct Definitions {
    items: Vec<DefinitionView>,
}

/// One version of one saga.
#[derive(Debug, Serialize)]
struct DefinitionView {
    name: String,
    version: u32,
    fingerprint: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    deadline_seconds: Option<u64>,
    steps: Vec<StepShape>,
}

/// One step, without any saga's progress.
#[derive(Debug, Serialize)]
struct StepShape {
    name: StepName,
    kind: contract::saga::StepKind,
    #[serde(flatten)]
    work: StepWork,
    #[serde(skip_serializing_if = "Option::is_none")]
    compensation: Option<String>,
    after: Vec<StepName>,
}

pub(super) async fn list(State(api): State<Api>) -> Json<Definitions> {
    let view = |definition: &std::sync::Arc<machine::Definition>| DefinitionView {
        name: definition.name().to_owned(),
        version: definition.version(),
        fingerprint: definition.fingerprint().to_string(),
        deadline_seconds: definition.deadline().map(|deadline| deadline.as_secs()),
        steps: shapes(definition),
    };
    Json(Definitions { items: api.shared.catalog.iter().map(view).collect() })
}

/// The steps as they stand before any saga.
fn shapes(definition: &machine::Definition) -> Vec<StepShape> {
    let not_begun = SagaState::new(SagaId::from_uuid(uuid::Uuid::nil()));
    let shape = |step: StepView| {
        let StepView { name, kind, work, compensation, after, .. } = step;
        StepShape { name, kind, work, compensation, after }
    };
    machine::describe(definition, &not_begun).into_iter().map(shape).collect()
}
