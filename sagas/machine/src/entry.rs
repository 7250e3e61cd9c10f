//! The journal's entries: the only persisted form of a saga. Each variant has a golden file; a published one changes
//! only by optional fields.

use chrono::{DateTime, Utc};
use contract::{
    saga::{Action, Cause},
    step::{Op, StepName},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{fingerprint::Fingerprint, input::Operator};

/// One fact about a saga, in the past tense.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "snake_case")]
pub enum Entry {
    /// The saga exists.
    SagaStarted {
        /// The definition's name.
        name: String,
        /// The definition's version.
        version: u32,
        /// The definition's shape at the time.
        fingerprint: Fingerprint,
        /// When it is given up before its pivot is issued.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        deadline_at: Option<DateTime<Utc>>,
        /// The start input.
        input: Value,
        /// The steps whose condition does not hold for this input.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        not_applicable: Vec<StepName>,
    },
    /// A command was decided on; it is published after the commit.
    CommandDispatched {
        /// The step.
        step: StepName,
        /// Forward or back.
        op: Op,
        /// See [`contract::step::CommandId::generation`].
        generation: u16,
        /// Which sending.
        attempt: u16,
        /// When a missing reply makes it in doubt.
        reply_by: DateTime<Utc>,
    },
    /// The command took effect.
    CommandDone {
        /// The step.
        step: StepName,
        /// Forward or back.
        op: Op,
        /// What it answered.
        reply: Value,
    },
    /// A business no.
    CommandRefused {
        /// The step.
        step: StepName,
        /// Forward or back.
        op: Op,
        /// A stable word.
        code: String,
        /// For people.
        message: String,
    },
    /// A fault, or no reply in time (`in_doubt`); sent again at `retry_at`.
    CommandFailed {
        /// The step.
        step: StepName,
        /// Forward or back.
        op: Op,
        /// The attempt that failed.
        attempt: u16,
        /// True when it may have taken effect: no reply came.
        in_doubt: bool,
        /// A stable word.
        code: String,
        /// For people.
        message: String,
        /// When it is sent again; absent when attempts ran out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_at: Option<DateTime<Utc>>,
    },
    /// The saga turned around.
    CompensationStarted {
        /// Why.
        cause: Cause,
    },
    /// A step cannot go on without a person.
    AttentionNeeded {
        /// The step.
        step: StepName,
        /// Forward or back.
        op: Op,
        /// A stable word.
        code: String,
        /// For people.
        message: String,
    },
    /// A person acted. What follows from it stands in the entries behind it.
    OperatorActed {
        /// Who and why.
        operator: Operator,
        /// What.
        action: Action,
    },
    /// A person said what the outcome of a step was.
    StepSkipped {
        /// The step.
        step: StepName,
        /// Forward or back.
        op: Op,
        /// In place of the participant's.
        reply: Value,
    },
    /// Everything took effect.
    SagaCompleted,
    /// Everything was undone.
    SagaCompensated,
    /// A person gave it up.
    SagaAbandoned,
}
