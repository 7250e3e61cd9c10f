//! The words of a saga: where it stands, what its steps are, why it was turned around, what an operator can do to it.
//!
//! The machine decides in these words, the journal stores them and the HTTP interface shows them, so they belong to
//! none of the three.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::step::StepName;

/// Where a saga stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SagaStatus {
    /// Going forward.
    Running,
    /// Being undone.
    Compensating,
    /// Everything took effect.
    Completed,
    /// Everything was undone.
    Compensated,
    /// A step cannot go on without a person.
    NeedsAttention,
    /// A person gave it up, with a reason.
    Abandoned,
}

impl SagaStatus {
    /// All of them.
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

/// What a step is, in the words of Garcia-Molina and Richardson.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepKind {
    /// Can be undone.
    Compensatable,
    /// The point of no return.
    Pivot,
    /// After the pivot; must succeed in the end.
    Retriable,
}

/// Where a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepStatus {
    /// Not reached.
    Pending,
    /// Its condition does not hold for this input.
    NotApplicable,
    /// The command is out; its reply is awaited.
    Dispatched,
    /// A fault or a missing reply; it is asked again at `retry_at`.
    Retrying,
    /// It took effect.
    Done,
    /// A business no.
    Refused,
    /// Attempts ran out, or a retriable step was refused: a person is asked.
    NeedsAttention,
    /// Its compensation is out, or waits to be sent again.
    Compensating,
    /// It was undone.
    Compensated,
}

/// Why a saga was turned around.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// The step that was refused or ran out of attempts; absent for a deadline or a cancel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<StepName>,
    /// A stable word.
    pub code: String,
    /// For people: who asked when it was refused, else only operators.
    pub message: String,
    /// True for a business no, whose message is made for whoever asked. Anything else says how our parts failed, or
    /// what operators tell each other.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub refused: bool,
}

/// What an operator can do to a saga.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case", deny_unknown_fields)]
pub enum Action {
    /// Sends what is stuck or waiting again, now.
    Retry {
        /// Only this step; all when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        step: Option<StepName>,
    },
    /// Turns the saga around; refused from the pivot on. With braces, as serde lets a variant without them have any
    /// fields: a cancel of one `step` must not cancel the whole saga.
    Cancel {},
    /// Says what a step's outcome was. The reply must read as the step's reply type.
    Skip {
        /// The step.
        step: StepName,
        /// Its reply; for a compensation too.
        reply: Value,
    },
    /// Gives the saga up as it is.
    Abandon {},
}

impl Action {
    /// The word on the wire.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Retry { .. } => "retry",
            Self::Cancel {} => "cancel",
            Self::Skip { .. } => "skip",
            Self::Abandon {} => "abandon",
        }
    }
}
