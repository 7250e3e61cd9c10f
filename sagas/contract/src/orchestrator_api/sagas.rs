//! Sagas as operators see them: in a listing and one by one.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::DeadLetterView;
use crate::{
    command::Route,
    ids::SagaId,
    saga::{Cause, SagaStatus, StepKind, StepStatus},
    step::StepName,
};

/// One line of a listing.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SagaSummary {
    /// The instance.
    pub id: SagaId,
    /// The definition.
    pub name: String,
    /// The definition's version.
    pub version: u32,
    /// Where it stands.
    pub status: SagaStatus,
    /// What the business calls it.
    pub business_key: String,
    /// Whose it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Groups sagas that failed the same way: step and code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// When it started.
    pub created_at: DateTime<Utc>,
    /// When its status last changed.
    pub updated_at: DateTime<Utc>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<DateTime<Utc>>,
}

/// One saga, as it stands.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SagaView {
    /// The line of the listing.
    #[serde(flatten)]
    pub summary: SagaSummary,
    /// The start input.
    pub input: Value,
    /// Every step of the definition, in its order.
    pub steps: Vec<StepView>,
    /// Why it is being undone, or was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// When it is given up before its point of no return.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_at: Option<DateTime<Utc>>,
    /// When the engine next looks at it by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_wake_at: Option<DateTime<Utc>>,
    /// Its messages that could not be handled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dead_letters: Vec<DeadLetterView>,
    /// The journal's last number.
    pub head: u64,
}

/// One step of one saga.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepView {
    /// The step.
    pub name: StepName,
    /// What it is.
    pub kind: StepKind,
    /// Who does it.
    pub route: Route,
    /// The command's name.
    pub command: String,
    /// The compensation's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compensation: Option<String>,
    /// What must be done before.
    pub after: Vec<StepName>,
    /// Where it stands.
    pub status: StepStatus,
    /// How often the current direction was sent.
    pub attempts: u16,
    /// When it is asked again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<DateTime<Utc>>,
    /// The last refusal or fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Cause>,
    /// What it answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply: Option<Value>,
    /// True when a person said what the outcome was.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub skipped: bool,
}
