//! Signals, which tell a saga something from outside.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{signal::SignalId, step::StepName};

/// A signal to a saga. Its name is in the address.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignalRequest {
    /// The id that the sender gives it: a signal that comes again under the same id is the same.
    pub id: SignalId,
    /// The payload, of the type that the saga's definition takes.
    pub payload: Value,
    /// True when the id is the sender's for one saga: after that another saga is refused it, with 422.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub only_here: bool,
}

/// The effect of a signal on its saga; the same answer for each repetition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "effect", rename_all = "snake_case")]
pub enum SignalEffect {
    /// The signal woke a step.
    Woke {
        /// The step's name.
        step: StepName,
    },
    /// The signal is kept for a step that is not reached yet, or for a saga that is left alone.
    Kept {},
    /// The signal changed nothing, because no step waits for it any more.
    None {
        /// The reason, for people.
        why: String,
    },
}
