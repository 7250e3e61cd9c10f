//! The journal's entries, which are the only persisted form of a saga. Each variant has a golden file; a published one
//! changes only by optional fields.

use std::fmt;

use chrono::{DateTime, Utc};
use contract::{
    Document, Evidence, RequestId, SagaId, SignalId, SignalName,
    saga::{Action, Cause, FieldChange, PauseClock, PausedHolds},
    step::{Op, StepName},
};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, MapAccess, Visitor},
};
use serde_json::{Map, Value};

use crate::{fingerprint::Fingerprint, input::Operator};

/// The name of a saga's input in an entry.
const INPUT: &str = "input";
/// The name of a command's reply in an entry.
const REPLY: &str = "reply";
/// The name of a signal's payload in an entry.
const PAYLOAD: &str = "payload";

/// One fact about a saga, in the past tense.
///
/// What is derived here reads all but the documents, and stands behind the two implementations below.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(remote = "Self", tag = "entry", rename_all = "snake_case")]
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
        #[serde(skip_deserializing)]
        input: Document,
        /// The steps whose condition does not hold for this input.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        not_applicable: Vec<StepName>,
        /// The step of another saga that started this one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        parent: Option<Parent>,
    },
    /// A command was decided on; it is published after the commit.
    CommandDispatched {
        /// The name of the step.
        step: StepName,
        /// The direction of the command.
        op: Op,
        /// See [`contract::step::CommandId::generation`].
        generation: u16,
        /// The number of this sending, over all generations and rounds of attempts.
        attempt: u16,
        /// The time from which a missing reply leaves the step in doubt.
        reply_by: DateTime<Utc>,
    },
    /// The command took effect, or the child saga came to the end that its step waits for.
    CommandDone {
        /// The name of the step.
        step: StepName,
        /// The direction of the command.
        op: Op,
        /// The command's reply, or the child's result.
        #[serde(skip_deserializing)]
        reply: Document,
    },
    /// The command met a business refusal, or the child saga was compensated.
    CommandRefused {
        /// The name of the step.
        step: StepName,
        /// The direction of the command.
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
        /// The direction of the command.
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
        /// The direction of the command.
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
    /// The saga was given up: nothing but its business object is still to be closed.
    ClosingStarted {
        /// The reason, as the command that closes it is told.
        cause: Cause,
    },
    /// An operator said what the outcome of a step was.
    StepSkipped {
        /// The name of the step.
        step: StepName,
        /// The direction of the command.
        op: Op,
        /// The reply that stands in for the participant's.
        #[serde(skip_deserializing)]
        reply: Document,
    },
    /// An operator changed a command. From here on it is sent as it stands here.
    CommandEdited {
        /// The name of the step.
        step: StepName,
        /// The direction of the command.
        op: Op,
        /// The difference, for people.
        changes: Vec<FieldChange>,
        /// The command as it is sent.
        #[serde(skip_deserializing)]
        payload: Document,
    },
    /// A compensation was done by hand, as an operator says.
    CompensationResolved {
        /// The name of the step that was undone.
        step: StepName,
        /// The place where that can be looked up.
        evidence: Evidence,
    },
    /// A step waits for a signal.
    SignalAwaited {
        /// The name of the step.
        step: StepName,
        /// The name of the signal.
        signal: SignalName,
        /// The time at which the signal is missed; none for a step that waits without end.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        miss_at: Option<DateTime<Utc>>,
    },
    /// A signal came. It is kept until a step takes it.
    SignalReceived {
        /// The id that its sender gave it.
        id: SignalId,
        /// The name of the signal.
        signal: SignalName,
        /// The person or part that sent it, when it is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        actor: Option<String>,
        /// The signal's payload, as it came.
        #[serde(skip_deserializing)]
        payload: Document,
    },
    /// A step took a signal and is done.
    SignalTaken {
        /// The name of the step.
        step: StepName,
        /// The id of the signal.
        id: SignalId,
    },
    /// The signal of a step did not come in time, which counts as a business refusal.
    SignalMissed {
        /// The name of the step.
        step: StepName,
        /// The explanation for people.
        message: String,
    },
    /// A step waits for a time.
    TimerSet {
        /// The name of the step.
        step: StepName,
        /// The time at which the step is done.
        fire_at: DateTime<Utc>,
    },
    /// The time of a step came, and the step is done.
    TimerFired {
        /// The name of the step.
        step: StepName,
    },
    /// A step waits for a child saga: to run to its end, or to be undone. A child that is to run begins with this entry.
    ChildAwaited {
        /// The name of the step.
        step: StepName,
        /// The direction, forward or back.
        op: Op,
        /// The id of the child.
        child: SagaId,
    },
    /// A step was reached and found not needed, or the signal was missed that it can do without. It counts as done.
    StepNotNeeded {
        /// The name of the step.
        step: StepName,
    },
    /// An extension of what a step holds was decided on: its command follows.
    ExtensionBegun {
        /// The name of the step.
        step: StepName,
        /// The time by which the extension must have taken effect; the saga is turned around then.
        by: DateTime<Utc>,
    },
    /// Another version of the definition took the saga over.
    DefinitionChanged {
        /// The definition's version from now on.
        version: u32,
        /// The fingerprint of that version's shape.
        fingerprint: Fingerprint,
        /// The steps that do not apply in that version, or were found not to be needed.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        not_applicable: Vec<StepName>,
    },
    /// The saga's clock stood, because what it awaited was not asked for or not answered at its time: its deadline moves
    /// by as much, and nothing of it was due before the end of that time.
    ClockStood {
        /// The time at which the first thing was due.
        since: DateTime<Utc>,
        /// The time at which the saga went on.
        until: DateTime<Utc>,
    },
    /// The saga was paused: it sends nothing new until it is resumed.
    SagaPaused {
        /// The time of it.
        at: DateTime<Utc>,
        /// The rule for the saga's times meanwhile.
        clock: PauseClock,
        /// The rule for what the saga holds meanwhile.
        holds: PausedHolds,
    },
    /// The pause ended. The times of a frozen clock move by as long as it took, and nothing was due before its end.
    SagaResumed {
        /// The time of it.
        at: DateTime<Utc>,
    },
    /// Every step that applies took effect.
    SagaCompleted,
    /// Every step that took effect, or may have, was undone.
    SagaCompensated,
    /// An operator gave the saga up as it stood.
    SagaAbandoned,
}

/// The step of a saga that started another saga, its child.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parent {
    /// The id of the saga.
    pub saga_id: SagaId,
    /// The name of its step.
    pub step: StepName,
}

impl Entry {
    /// The number of the reader that an entry asks for: of the first program that understands it.
    pub(crate) const fn reader(&self) -> u16 {
        match self {
            Self::CommandDispatched { op, .. }
            | Self::CommandDone { op, .. }
            | Self::CommandRefused { op, .. }
            | Self::CommandFailed { op, .. }
            | Self::AttentionNeeded { op, .. }
            | Self::StepSkipped { op, .. } => match op {
                Op::Action | Op::Compensation => 1,
                Op::Extension => 3,
            },
            Self::SagaStarted { parent: Some(_), .. } => 3,
            Self::SagaStarted { parent: None, .. }
            | Self::CompensationStarted { .. }
            | Self::ClockStood { .. }
            | Self::SagaCompleted
            | Self::SagaCompensated
            | Self::SagaAbandoned => 1,
            Self::OperatorActed { action, .. } => match action {
                Action::Retry { .. } | Action::Cancel {} | Action::Skip { .. } | Action::Abandon {} => 1,
                Action::FireTimer { .. } | Action::RescheduleTimer { .. } => 2,
                Action::Pause { .. } | Action::Resume {} | Action::Migrate { .. } => 3,
                Action::Edit { .. } | Action::Resolve { .. } => 3,
            },
            Self::SignalAwaited { .. }
            | Self::SignalReceived { .. }
            | Self::SignalTaken { .. }
            | Self::SignalMissed { .. }
            | Self::TimerSet { .. }
            | Self::TimerFired { .. } => 2,
            Self::StepNotNeeded { .. } | Self::ExtensionBegun { .. } | Self::DefinitionChanged { .. } => 3,
            Self::ClosingStarted { .. } => 3,
            Self::SagaPaused { .. } | Self::SagaResumed { .. } => 3,
            Self::CommandEdited { .. } | Self::CompensationResolved { .. } => 3,
            Self::ChildAwaited { .. } => 3,
        }
    }

    /// The place of the document that came as it is, with its name.
    const fn document(&mut self) -> Option<(&'static str, &mut Document)> {
        match self {
            Self::SagaStarted { input, .. } => Some((INPUT, input)),
            Self::CommandDone { reply, .. } | Self::StepSkipped { reply, .. } => Some((REPLY, reply)),
            Self::SignalReceived { payload, .. } | Self::CommandEdited { payload, .. } => Some((PAYLOAD, payload)),
            Self::CommandDispatched { .. }
            | Self::CommandRefused { .. }
            | Self::CommandFailed { .. }
            | Self::CompensationStarted { .. }
            | Self::AttentionNeeded { .. }
            | Self::OperatorActed { .. }
            | Self::ClosingStarted { .. }
            | Self::CompensationResolved { .. }
            | Self::SignalAwaited { .. }
            | Self::SignalTaken { .. }
            | Self::SignalMissed { .. }
            | Self::TimerSet { .. }
            | Self::TimerFired { .. }
            | Self::ChildAwaited { .. }
            | Self::StepNotNeeded { .. }
            | Self::ExtensionBegun { .. }
            | Self::DefinitionChanged { .. }
            | Self::ClockStood { .. }
            | Self::SagaPaused { .. }
            | Self::SagaResumed { .. }
            | Self::SagaCompleted
            | Self::SagaCompensated
            | Self::SagaAbandoned => None,
        }
    }
}

impl Serialize for Entry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Fields)
    }
}

/// Reads the fields of an entry: a document as it came, the others by way of a tree, as a tagged type is always read.
struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = Entry;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a journal's entry")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Entry, A::Error> {
        let (mut documents, mut others) = (Vec::new(), Map::new());
        while let Some(name) = fields.next_key::<String>()? {
            match name.as_str() {
                INPUT | REPLY | PAYLOAD => documents.push((name, fields.next_value::<Document>()?)),
                _ => drop(others.insert(name, fields.next_value()?)),
            }
        }
        let mut entry = Entry::deserialize(Value::Object(others)).map_err(A::Error::custom)?;
        if let Some((name, document)) = entry.document() {
            let found = documents.into_iter().find(|(found, _)| found == name).map(|(_, found)| found);
            *document = found.ok_or_else(|| A::Error::missing_field(name))?;
        }
        Ok(entry)
    }
}
