//! The words of a saga: its status, the kinds and statuses of its steps, the cause of its turning around, and the
//! actions of operators.
//!
//! The machine decides in these words, the journal stores them and the HTTP interface shows them, so they belong to
//! none of the three.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{evidence::Evidence, step::StepName};

/// The status of a saga.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SagaStatus {
    /// The saga goes forward.
    Running,
    /// The saga is being undone.
    Compensating,
    /// Every step that applies took effect.
    Completed,
    /// Every step that took effect, or may have, was undone.
    Compensated,
    /// A step cannot go on without a person.
    NeedsAttention,
    /// An operator gave the saga up, with a reason.
    Abandoned,
}

impl SagaStatus {
    /// Every status of a saga.
    pub const ALL: [Self; 6] =
        [Self::Running, Self::Compensating, Self::Completed, Self::Compensated, Self::NeedsAttention, Self::Abandoned];

    /// The word in columns and addresses.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Compensating => "compensating",
            Self::Completed => "completed",
            Self::Compensated => "compensated",
            Self::NeedsAttention => "needs_attention",
            Self::Abandoned => "abandoned",
        }
    }

    /// True when nothing more will happen.
    #[must_use]
    pub const fn is_final(self) -> bool {
        match self {
            Self::Completed | Self::Compensated | Self::Abandoned => true,
            Self::Running | Self::Compensating | Self::NeedsAttention => false,
        }
    }
}

/// The kind of a step, in the words of Garcia-Molina and Richardson.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepKind {
    /// The step can be undone by its compensation.
    Compensatable,
    /// The step is the point of no return.
    Pivot,
    /// The step comes after the pivot and must succeed in the end.
    Retriable,
}

/// The status of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepStatus {
    /// The step is not reached yet.
    Pending,
    /// The step's condition does not hold for this input.
    NotApplicable,
    /// The command is out; its reply is awaited.
    Dispatched,
    /// An attempt met a fault or got no reply; the command is sent again at `retry_at`.
    Retrying,
    /// The step waits for its signal or its time.
    Waiting,
    /// The command took effect.
    Done,
    /// The command met a business refusal.
    Refused,
    /// Attempts ran out, or a retriable step was refused: a person is asked.
    NeedsAttention,
    /// The compensation is out, or waits to be sent again.
    Compensating,
    /// The step was undone.
    Compensated,
}

/// The cause of a saga whose signal did not come in time.
pub const CAUSE_SIGNAL_MISSED: &str = "signal_missed";
/// The cause of a saga that an operator cancelled, or the client that it is for.
pub const CAUSE_SAGA_CANCELLED: &str = "saga_cancelled";
/// The cause of a saga that could not keep what it held until its pivot.
pub const CAUSE_HOLD_EXPIRED: &str = "hold_expired";

/// The reason why a saga was turned around, or why a step stands where it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// The step that was refused or ran out of attempts; absent for a deadline or a cancel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<StepName>,
    /// The stable code, in `noun_state` form.
    pub code: String,
    /// The explanation: for the client when a command was refused, otherwise for operators only.
    pub message: String,
    /// True for a business refusal, whose message is made for the client. Other messages say how our parts failed, or
    /// what operators tell each other.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub refused: bool,
}

/// One place at which two documents differ: a command before and after an operator's edit, a saga before and after a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldChange {
    /// The place in the document, as a JSON pointer (RFC 6901); empty for the whole document.
    pub pointer: String,
    /// The value in the first document; absent when there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// The value in the second document; absent when there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
}

impl FieldChange {
    /// True when a sum is changed, or a part of one.
    #[must_use]
    pub fn is_money(&self) -> bool {
        let part = self.pointer.ends_with("/amount") || self.pointer.ends_with("/currency");
        part || [&self.before, &self.after].into_iter().flatten().any(holds_money)
    }
}

fn holds_money(value: &Value) -> bool {
    match value {
        Value::Object(fields) => {
            (fields.contains_key("amount") && fields.contains_key("currency")) || fields.values().any(holds_money)
        }
        Value::Array(items) => items.iter().any(holds_money),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// An action of an operator on a saga.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case", deny_unknown_fields)]
pub enum Action {
    /// Sends the commands again that are stuck or wait for their next attempt.
    Retry {
        /// The one step that is meant; all when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        step: Option<StepName>,
    },
    /// Turns the saga around; refused from the pivot on. With braces, as serde lets a variant without them have any
    /// fields: a cancel of one `step` must not cancel the whole saga.
    Cancel {},
    /// Says what the outcome of a step was that is stuck or waits for its next attempt. The reply must read as the
    /// command's reply type.
    Skip {
        /// The name of the step.
        step: StepName,
        /// The reply that stands in for the participant's, for a compensation too.
        reply: Value,
        /// True to skip a step whose command is under way too. Its worker may still carry it out, or refuse it.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        force: bool,
    },
    /// Changes the command of a step that is stuck or waits for its next attempt, and sends it. The outcome must read as
    /// the command's type.
    Edit {
        /// The name of the step.
        step: StepName,
        /// The changes, as a merge patch (RFC 7396) on the command as it would be sent.
        patch: Value,
    },
    /// Says that a compensation which is stuck or waits for its next attempt was done by hand.
    Resolve {
        /// The name of the step that was undone.
        step: StepName,
        /// The place where that can be looked up.
        evidence: Evidence,
    },
    /// Lets the time of a step come now that waits for it.
    FireTimer {
        /// The name of the step.
        step: StepName,
    },
    /// Sets the time anew at which a step goes on, or misses its signal.
    RescheduleTimer {
        /// The name of the step.
        step: StepName,
        /// The new time.
        at: DateTime<Utc>,
    },
    /// Lets another version of the saga's definition take it over, where the saga could have come as far under it.
    Migrate {
        /// The version that is to take the saga over.
        version: u32,
    },
    /// Gives the saga up as it stands.
    Abandon {},
    /// Has the saga send nothing new, until it is resumed or cancelled. What is under way comes to its end.
    Pause {
        /// The rule for the saga's times meanwhile.
        #[serde(default)]
        clock: PauseClock,
        /// The rule for what the saga holds meanwhile.
        #[serde(default)]
        holds: PausedHolds,
    },
    /// Lets a paused saga go on.
    Resume {},
}

/// The rule for the times of a paused saga: its deadline, its timers, the ends of its waits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PauseClock {
    /// They stand, and lie as far ahead after the pause as before it.
    #[default]
    Freeze,
    /// They run on, and what falls due takes effect; what it sends waits for the end of the pause.
    Run,
}

impl PauseClock {
    /// The word on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Freeze => "freeze",
            Self::Run => "run",
        }
    }
}

/// The rule for what a paused saga holds until a time, which no clock rule moves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PausedHolds {
    /// It is extended. Where that is not possible, the pause ends and the saga is undone in time.
    #[default]
    Keep,
    /// It lapses when its time comes. It is asked for once more when the saga is resumed, and the saga is undone without it.
    Lapse,
}

impl PausedHolds {
    /// The word on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Lapse => "lapse",
        }
    }
}

impl Action {
    /// The word on the wire.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Retry { .. } => "retry",
            Self::Cancel {} => "cancel",
            Self::Skip { .. } => "skip",
            Self::Edit { .. } => "edit",
            Self::Resolve { .. } => "resolve",
            Self::FireTimer { .. } => "fire_timer",
            Self::RescheduleTimer { .. } => "reschedule_timer",
            Self::Migrate { .. } => "migrate",
            Self::Abandon {} => "abandon",
            Self::Pause { .. } => "pause",
            Self::Resume {} => "resume",
        }
    }
}
