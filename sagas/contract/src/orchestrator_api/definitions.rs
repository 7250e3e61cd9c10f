//! The definitions that an orchestrator can carry out.

use serde::{Deserialize, Serialize};

use super::StepWork;
use crate::{saga::StepKind, step::StepName};

/// Every definition, by name and version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Definitions {
    /// All of them: they are few.
    pub items: Vec<DefinitionView>,
}

/// One version of one saga.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DefinitionView {
    /// The definition's name.
    pub name: String,
    /// The definition's version.
    pub version: u32,
    /// The digest of the definition's shape.
    pub fingerprint: String,
    /// The time after which a saga is given up before its pivot, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_seconds: Option<u64>,
    /// The names of the search attributes of its sagas.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attributes: Vec<String>,
    /// The steps, each after its dependencies.
    pub steps: Vec<StepShape>,
    /// The findings of the linter; none for a definition that is as it should be.
    #[serde(default)]
    pub findings: Vec<DefinitionFinding>,
}

/// One step, without any saga's progress.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepShape {
    /// The name of the step.
    pub name: StepName,
    /// The kind of the step: compensatable, pivot or retriable.
    pub kind: StepKind,
    /// The step's work on the way forward.
    #[serde(flatten)]
    pub work: StepWork,
    /// The name of the command that undoes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compensation: Option<String>,
    /// The steps that must be done before.
    pub after: Vec<StepName>,
    /// The fields of the reply, the payload or the result that the step ends with; absent where it is no struct.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Vec<FieldShape>>,
    /// The fields of the reply of the command that undoes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo_answer: Option<Vec<FieldShape>>,
}

/// One field of a document, for a form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldShape {
    /// The field's name.
    pub name: String,
    /// The kind of its value.
    pub kind: FieldKind,
    /// False for a field that may be left out.
    pub required: bool,
}

/// The kinds of values that forms tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FieldKind {
    /// A text, of any form or of one of its own, such as an id.
    Text,
    /// A time, as RFC 3339 writes it.
    Time,
    /// A day, as `2027-01-15`.
    Date,
    /// A number, with or without a fraction.
    Number,
    /// True or false.
    YesNo,
    /// A sum: an amount with its currency.
    Money,
    /// Any other value, as JSON.
    Json,
}

/// A finding of the linter: the definition runs, but ends otherwise than it reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DefinitionFinding {
    /// The rule's name, such as `wait_outlasts_hold`.
    pub rule: String,
    /// The step that breaks the rule.
    pub step: StepName,
    /// The finding in words, with the way to put it right.
    pub message: String,
}
