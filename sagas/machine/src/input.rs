//! Everything that a saga can hear after its start, as one closed enum.

use contract::{command::Outcome, saga::Action, step::CommandId};
use serde_json::Value;

/// One thing that reaches a saga.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// A participant answered.
    Replied {
        /// The work that it answers.
        command_id: CommandId,
        /// The attempt that it answers.
        attempt: u16,
        /// How it ended.
        outcome: Outcome<Value>,
    },
    /// The command could not be handled by anybody. Counts as a fault of that attempt.
    DeadLettered {
        /// The work.
        command_id: CommandId,
        /// The attempt.
        attempt: u16,
        /// Why.
        reason: String,
    },
    /// Time has passed: whatever is due by `now` is due. Harmless when nothing is.
    TimePassed,
    /// An operator acts.
    Operator {
        /// Who and why.
        operator: Operator,
        /// What.
        action: Action,
    },
}

/// Who acts on a saga by hand, and why. Journaled as it is.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Operator {
    /// The person, such as a user's id.
    pub actor: String,
    /// Their role at the time.
    pub role: String,
    /// In their words.
    pub reason: String,
}
