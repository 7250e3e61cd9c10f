//! The journal's entries, which are the only persisted form of a saga. Each variant has a golden file; a published one
//! changes only by optional fields.

use chrono::{DateTime, Utc};
use contract::{
    RequestId,
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
    /// A saga was started.
    SagaStarted {
        /// The definition's name.
        name: String,
        /// The definition's version.
        version: u32,
        /// The fingerprint of the definition's shape at the start.
        fingerprint: Fingerprint,
        /// The time at which the saga is given up, unless its pivot was issued by then.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        deadline_at: Option<DateTime<Utc>>,
        /// The start input, as it came.
        input: Value,
        /// The steps whose condition does not hold for this input.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        not_applicable: Vec<StepName>,
    },
    /// A command was decided on; it is published after the commit.
    CommandDispatched {
        /// The name of the step.
        step: StepName,
        /// The direction, forward or back.
        op: Op,
        /// See [`contract::step::CommandId::generation`].
        generation: u16,
        /// The number of this sending, over all generations and rounds of attempts.
        attempt: u16,
        /// The time from which a missing reply leaves the step in doubt.
        reply_by: DateTime<Utc>,
    },
    /// The command took effect.
    CommandDone {
        /// The name of the step.
        step: StepName,
        /// The direction, forward or back.
        op: Op,
        /// The command's reply.
        reply: Value,
    },
    /// The command met a business refusal.
    CommandRefused {
        /// The name of the step.
        step: StepName,
        /// The direction, forward or back.
        op: Op,
        /// The stable code of the refusal or fault, in `noun_state` form.
        code: String,
        /// The explanation for people.
        message: String,
    },
    /// An attempt met a fault, or got no reply in time (`in_doubt`); the command is sent again at `retry_at`.
    CommandFailed {
        /// The name of the step.
        step: StepName,
        /// The direction, forward or back.
        op: Op,
        /// The number of the attempt that failed.
        attempt: u16,
        /// True when the command may have taken effect, because no definite reply came.
        in_doubt: bool,
        /// The stable code of the refusal or fault, in `noun_state` form.
        code: String,
        /// The explanation for people.
        message: String,
        /// The time at which the command is sent again; absent when attempts ran out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_at: Option<DateTime<Utc>>,
    },
    /// The saga turned around.
    CompensationStarted {
        /// The reason, as operators and compensations are told.
        cause: Cause,
    },
    /// A step cannot go on without a person.
    AttentionNeeded {
        /// The name of the step.
        step: StepName,
        /// The direction, forward or back.
        op: Op,
        /// The stable code of the refusal or fault, in `noun_state` form.
        code: String,
        /// The explanation for people.
        message: String,
    },
    /// An operator acted. The consequences stand in the entries behind it.
    OperatorActed {
        /// The person, and the reason given.
        operator: Operator,
        /// The action that was asked for.
        action: Action,
        /// The request, so that one that comes again is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        request_id: Option<RequestId>,
    },
    /// An operator said what the outcome of a step was.
    StepSkipped {
        /// The name of the step.
        step: StepName,
        /// The direction, forward or back.
        op: Op,
        /// The reply that stands in for the participant's.
        reply: Value,
    },
    /// The saga's clock stood, because what it awaited was not asked for or not answered at its time: its deadline moves
    /// by as much, and nothing of it was due before the end of that time.
    ClockStood {
        /// The time at which the first thing was due.
        since: DateTime<Utc>,
        /// The time at which the saga went on.
        until: DateTime<Utc>,
    },
    /// Every step that applies took effect.
    SagaCompleted,
    /// Every step that took effect, or may have, was undone.
    SagaCompensated,
    /// An operator gave the saga up as it stood.
    SagaAbandoned,
}
