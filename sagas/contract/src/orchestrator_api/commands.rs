//! The command of a step as it would be sent now: the ground of an edit.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::step::{Op, StepName};

/// The command that a step sends next, in the direction in which its saga goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandView {
    /// The name of the step.
    pub step: StepName,
    /// The direction, forward or back.
    pub op: Op,
    /// The command's name.
    pub command: String,
    /// Its fields, with those that an operator changed before.
    pub payload: Value,
    /// The journal's last number.
    pub head: u64,
}
