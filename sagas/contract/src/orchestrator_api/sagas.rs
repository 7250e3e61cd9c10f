//! Sagas as operators see them: in a listing and one by one.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::DeadLetterView;
use crate::{
    attributes::Attributes,
    command::Route,
    evidence::Evidence,
    ids::SagaId,
    saga::{Cause, FieldChange, PauseClock, PausedHolds, SagaStatus, StepKind, StepStatus},
    signal::{SignalId, SignalName},
    step::StepName,
};

/// One line of a listing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SagaSummary {
    /// The saga's id.
    pub id: SagaId,
    /// The definition's name.
    pub name: String,
    /// The definition's version.
    pub version: u32,
    /// The saga's status.
    pub status: SagaStatus,
    /// The business's own name for it, such as an order's id.
    pub business_key: String,
    /// The owner, such as a user's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// The search attributes that its definition read from its input when it started.
    #[serde(default, skip_serializing_if = "Attributes::is_empty")]
    pub attributes: Attributes,
    /// The saga that started it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<SagaId>,
    /// The parent's step that started it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_step: Option<StepName>,
    /// Groups sagas that failed the same way: step and code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// True while it is paused.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub paused: bool,
    /// The time of its start.
    pub created_at: DateTime<Utc>,
    /// The time when its status last changed.
    pub updated_at: DateTime<Utc>,
    /// The time of its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<DateTime<Utc>>,
    /// The earliest time at which something lapses that it holds, before its point of no return.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holds_until: Option<DateTime<Utc>>,
}

/// A saga with the sagas that it started.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SagaTree {
    /// The saga itself.
    #[serde(flatten)]
    pub saga: SagaSummary,
    /// Its children, in the order of their starts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<SagaTree>,
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
    /// The reason why it is being undone, or was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// The pause that it is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause: Option<SagaPause>,
    /// The time when it is given up, unless it is past its point of no return.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_at: Option<DateTime<Utc>>,
    /// The time when the engine next looks at it by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_wake_at: Option<DateTime<Utc>>,
    /// The signals that it has heard.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signals: Vec<SignalView>,
    /// Its messages that could not be handled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dead_letters: Vec<DeadLetterView>,
    /// The journal's last number.
    pub head: u64,
}

/// The pause of one saga.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SagaPause {
    /// The time at which it began.
    pub since: DateTime<Utc>,
    /// The rule for the saga's times.
    pub clock: PauseClock,
    /// The rule for what the saga holds.
    pub holds: PausedHolds,
    /// True when nothing of the saga is under way any more.
    pub quiescent: bool,
}

/// One step of one saga.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepView {
    /// The step's name.
    pub name: StepName,
    /// The step's kind.
    pub kind: StepKind,
    /// The work on its way forward.
    #[serde(flatten)]
    pub work: StepWork,
    /// The compensation's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compensation: Option<String>,
    /// The name of the command that makes what the step holds last longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extension: Option<String>,
    /// The steps that must be done before it.
    pub after: Vec<StepName>,
    /// The step's status.
    pub status: StepStatus,
    /// The number of sendings in the current direction.
    pub attempts: u16,
    /// The time when it is asked again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<DateTime<Utc>>,
    /// The time that it waits for, or at which it misses its signal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wake_at: Option<DateTime<Utc>>,
    /// The time until which what it holds is valid, while the saga depends on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<DateTime<Utc>>,
    /// The time of its first retry, while it is retried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retrying_since: Option<DateTime<Utc>>,
    /// The last refusal or fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Cause>,
    /// The reply of its command, the payload of its signal, or the result of its child.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply: Option<Value>,
    /// The saga that it started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub child: Option<SagaId>,
    /// True when an operator gave the outcome in the participant's place.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub skipped: bool,
    /// The fields of its command that an operator changed, as the saga's definition would have sent them and as they are sent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub edited: Vec<FieldChange>,
    /// The evidence of the person who undid it by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved: Option<Evidence>,
}

/// The work of a step on its way forward.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "work", rename_all = "snake_case")]
pub enum StepWork {
    /// The step sends a command to a domain.
    Command {
        /// The domain that carries it out.
        route: Route,
        /// The command's name.
        command: String,
    },
    /// The step waits for a signal.
    Signal {
        /// The signal's name.
        signal: SignalName,
    },
    /// The step starts another saga, and waits for its end.
    Child {
        /// The name of the child's definition.
        saga: String,
        /// The version of the child's definition.
        saga_version: u32,
    },
    /// The step waits for a time.
    Timer {},
}

/// One signal that a saga has heard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignalView {
    /// The id that its sender gave it.
    pub id: SignalId,
    /// The signal's name.
    pub name: SignalName,
    /// The step that it woke; none while it is kept for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<StepName>,
}
