//! `GET /api/definitions`: the sagas that this orchestrator can carry out, and what the linter finds in them.

use axum::extract::State;
use contract::{
    Op, SagaId, StepName,
    orchestrator_api::{DefinitionFinding, DefinitionView, Definitions, StepShape, StepView},
};
use kit::http::Json;
use machine::{Definition, Finding, State as SagaState};

use super::Api;

pub(super) async fn list(State(api): State<Api>) -> Json<Definitions> {
    Json(Definitions { items: api.shared.catalog.iter().map(|definition| view(definition)).collect() })
}

fn view(definition: &Definition) -> DefinitionView {
    let finding = |Finding { rule, step, message }| DefinitionFinding { rule: rule.as_str().to_owned(), step, message };
    DefinitionView {
        name: definition.name().to_owned(),
        version: definition.version(),
        fingerprint: definition.fingerprint().to_string(),
        deadline_seconds: definition.deadline().map(|deadline| deadline.as_secs()),
        attributes: definition.attribute_names().map(str::to_owned).collect(),
        steps: shapes(definition),
        findings: machine::lint(definition).into_iter().map(finding).collect(),
    }
}

/// The steps as they stand before any saga.
fn shapes(definition: &Definition) -> Vec<StepShape> {
    let not_begun = SagaState::new(SagaId::from_uuid(uuid::Uuid::nil()));
    let fields = |name: &StepName, op| definition.step(name)?.answer_fields(op);
    let shape = |step: StepView| {
        let StepView { name, kind, work, compensation, after, .. } = step;
        let (answer, undo_answer) = (fields(&name, Op::Action), fields(&name, Op::Compensation));
        StepShape { name, kind, work, compensation, after, answer, undo_answer }
    };
    machine::describe(definition, &not_begun).into_iter().map(shape).collect()
}
