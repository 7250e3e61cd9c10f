//! The definitions as operators see them.

use contract::{
    orchestrator_api::{DefinitionFinding, DefinitionView, Definitions, FieldKind, FieldShape, StepShape, StepWork},
    saga::StepKind,
};

use crate::{
    golden::{Golden, golden},
    samples::step,
};

pub(crate) fn all() -> Vec<Golden> {
    vec![golden("definitions", Definitions { items: vec![definition(true), definition(false)] })]
}

const KINDS: [FieldKind; 7] = [
    FieldKind::Text,
    FieldKind::Time,
    FieldKind::Date,
    FieldKind::Number,
    FieldKind::YesNo,
    FieldKind::Money,
    FieldKind::Json,
];

fn field(kind: FieldKind) -> FieldShape {
    FieldShape { name: "field".into(), kind, required: kind == FieldKind::Text }
}

fn definition(full: bool) -> DefinitionView {
    let finding = DefinitionFinding {
        rule: "wait_outlasts_deadline".into(),
        step: step("approval"),
        message: "`approval` may come for 3600s, but the saga's deadline is 600s".into(),
    };
    let shape = StepShape {
        name: step("approval"),
        kind: StepKind::Compensatable,
        work: StepWork::Signal { signal: "approval".parse().unwrap() },
        compensation: full.then(|| "order.reject".into()),
        after: if full { vec![step("create-order")] } else { Vec::new() },
        answer: full.then(|| KINDS.map(field).into()),
        undo_answer: full.then(Vec::new),
    };
    DefinitionView {
        name: "order".into(),
        version: if full { 2 } else { 1 },
        fingerprint: "05ba744576b15e96674ae915210f7751".into(),
        deadline_seconds: full.then_some(600),
        attributes: if full { vec!["departs_on".into()] } else { Vec::new() },
        steps: vec![shape],
        findings: if full { vec![finding] } else { Vec::new() },
    }
}
