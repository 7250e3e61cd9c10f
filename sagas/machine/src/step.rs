//! A step of a definition: its work, the compensation that undoes it, and the steps that must be done before.

use std::{fmt, time::Duration};

use contract::{
    Document, SignalName,
    command::Route,
    orchestrator_api::FieldShape,
    saga::StepKind,
    step::{Op, StepName},
};
use serde_json::Value;

use serde::de::IgnoredAny;

use crate::{
    json::Mismatch,
    mapping::{BuildAction, BuildUndo, BuildWake, Condition, Learn, Needed, Validity},
    reading::Reading,
    retry::Retry,
    step_set::StepSet,
};

/// A step of a definition.
pub struct Step {
    pub(crate) name: StepName,
    pub(crate) kind: StepKind,
    /// The names of `before`, in the definition's order.
    pub(crate) after: Vec<StepName>,
    /// The steps that are named as its dependencies.
    pub(crate) before: StepSet,
    /// All steps that must be done before it, however far back.
    pub(crate) ancestors: StepSet,
    /// All steps that need it, however far on.
    pub(crate) descendants: StepSet,
    pub(crate) when: Option<Condition>,
    pub(crate) needed: Option<Needed>,
    pub(crate) forward: Forward,
    pub(crate) undo: Option<Undo>,
    /// The time after which what it holds is let go, unless it is confirmed.
    pub(crate) holds_for: Option<Duration>,
    /// Reads from its reply until when what it holds is valid.
    pub(crate) validity: Option<Validity>,
    pub(crate) extension: Option<Extension>,
    /// The steps whose holds this one's takes the place of.
    pub(crate) renews: StepSet,
}

/// The command that makes what a step holds last longer.
pub(crate) struct Extension {
    pub(crate) command: CommandSpec,
    pub(crate) build: BuildAction,
    /// Reads from its reply until when the hold is valid.
    pub(crate) validity: Validity,
}

/// The forward half of a step.
pub(crate) enum Forward {
    Command {
        command: CommandSpec,
        build: BuildAction,
        learn: Option<Learn>,
    },
    Signal {
        signal: SignalSpec,
        learn: Option<Learn>,
    },
    Child {
        child: ChildSpec,
        build: BuildAction,
        learn: Option<Learn>,
    },
    Timer {
        wake: BuildWake,
        /// So many times as short are the waits that it asks for.
        divisor: u32,
    },
    /// The command that closes the business object of a saga that is given up. Built from the input and the cause alone.
    Close {
        command: CommandSpec,
        build: BuildUndo,
    },
}

/// The work of a step on the way forward.
#[derive(Clone, Copy)]
pub enum Work<'a> {
    /// The step sends a command to a worker.
    Command(&'a CommandSpec),
    /// The step waits for a signal.
    Signal(&'a SignalSpec),
    /// The step starts a child saga, and waits for its end.
    Child(&'a ChildSpec),
    /// The step waits for a time.
    Timer,
}

/// A signal as a definition knows it.
pub struct SignalSpec {
    /// The name of the signal.
    pub name: SignalName,
    /// The time within which it must come; none for a step that waits without end.
    pub within: Option<Duration>,
    /// True when the saga goes on without it where it is missed; false when that refuses the step.
    pub is_optional: bool,
    /// The type of the payload.
    pub(crate) payload: Reading,
}

/// A child saga as the definition of its parent knows it.
pub struct ChildSpec {
    /// The name of the child's definition.
    pub name: &'static str,
    /// The version of the child's definition.
    pub version: u32,
    /// The time that it needs up to its own point of no return.
    pub margin: Duration,
    /// The type of the result.
    pub(crate) result: Reading,
}

/// The end of a child that is undone: any document will do, because no step learns from it.
const ANY_END: Reading = Reading::of::<IgnoredAny>();

/// The document that a direction of a step ends with.
pub(crate) struct Expected {
    /// The source of it, as in `what payment.authorize answers`.
    pub(crate) what: String,
    pub(crate) reading: Reading,
}

/// The half of a step that undoes it.
pub(crate) struct Undo {
    pub(crate) command: CommandSpec,
    pub(crate) build: BuildUndo,
}

/// A command as a definition knows it.
pub struct CommandSpec {
    /// [`contract::Command::NAME`].
    pub name: &'static str,
    /// [`contract::Command::VERSION`].
    pub version: u16,
    /// [`contract::Command::ROUTE`].
    pub route: Route,
    /// The policy by which it is sent again.
    pub retry: Retry,
    /// The time for which its reply is awaited.
    pub reply_within: Duration,
    /// The type of the command's reply.
    pub(crate) reply: Reading,
    /// Reads a value as the command's type, and writes it as that.
    pub(crate) rewrite: fn(&Document) -> Result<Value, Mismatch>,
}

impl Step {
    /// The name of the step.
    #[must_use]
    pub const fn name(&self) -> &StepName {
        &self.name
    }

    /// The kind of the step: compensatable, pivot or retriable.
    #[must_use]
    pub const fn kind(&self) -> StepKind {
        self.kind
    }

    /// The steps that it names as its dependencies, in the definition's order.
    #[must_use]
    pub fn after(&self) -> &[StepName] {
        &self.after
    }

    /// True when it applies only to some inputs.
    #[must_use]
    pub const fn is_conditional(&self) -> bool {
        self.when.is_some()
    }

    /// True when it is found out only on the way whether the step is needed.
    #[must_use]
    pub const fn is_perhaps_needed(&self) -> bool {
        self.needed.is_some()
    }

    /// The work of the step on the way forward.
    #[must_use]
    pub const fn work(&self) -> Work<'_> {
        match &self.forward {
            Forward::Command { command, .. } | Forward::Close { command, .. } => Work::Command(command),
            Forward::Signal { signal, .. } => Work::Signal(signal),
            Forward::Child { child, .. } => Work::Child(child),
            Forward::Timer { .. } => Work::Timer,
        }
    }

    /// The function that keeps what later steps may know of its reply or payload.
    pub(crate) const fn learn(&self) -> Option<&Learn> {
        match &self.forward {
            Forward::Command { learn, .. } | Forward::Signal { learn, .. } | Forward::Child { learn, .. } => {
                learn.as_ref()
            }
            Forward::Timer { .. } | Forward::Close { .. } => None,
        }
    }

    /// The document that one direction ends with, when it ends with one.
    pub(crate) fn expected(&self, op: Op) -> Option<Expected> {
        match (op, self.work()) {
            (Op::Action, Work::Signal(SignalSpec { name, payload, .. })) => {
                Some(Expected { what: format!("what the signal `{name}` carries"), reading: *payload })
            }
            (Op::Action, Work::Child(ChildSpec { name, result, .. })) => {
                Some(Expected { what: format!("the result of `{name}`"), reading: *result })
            }
            (Op::Compensation, Work::Child(ChildSpec { name, .. })) => {
                Some(Expected { what: format!("the end of `{name}`"), reading: ANY_END })
            }
            (Op::Action, Work::Timer) => None,
            (Op::Action, Work::Command(_)) | (Op::Compensation | Op::Extension, _) => self
                .command(op)
                .map(|command| Expected { what: format!("what `{}` answers", command.name), reading: command.reply }),
        }
    }

    /// The fields of the document that one direction ends with; none when it ends with none, or with one that is no struct.
    #[must_use]
    pub fn answer_fields(&self, op: Op) -> Option<Vec<FieldShape>> {
        self.expected(op)?.reading.fields()
    }

    /// The command that undoes the step.
    #[must_use]
    pub fn compensation(&self) -> Option<&CommandSpec> {
        self.undo.as_ref().map(|undo| &undo.command)
    }

    /// The command that makes what the step holds last longer.
    #[must_use]
    pub fn extension(&self) -> Option<&CommandSpec> {
        self.extension.as_ref().map(|extension| &extension.command)
    }

    /// True when its reply says until when what it holds is valid.
    #[must_use]
    pub const fn holds(&self) -> bool {
        self.validity.is_some()
    }

    /// True when something is done to undo it: a command, or the undoing of its child.
    pub(crate) const fn is_undone(&self) -> bool {
        let is_a_child = matches!(self.forward, Forward::Child { .. });
        self.undo.is_some() || (is_a_child && matches!(self.kind, StepKind::Compensatable))
    }

    /// The time after which what the step holds is let go, unless it is confirmed.
    #[must_use]
    pub const fn holds_for(&self) -> Option<Duration> {
        self.holds_for
    }

    /// The command of one direction, when it sends one.
    #[must_use]
    pub fn command(&self, op: Op) -> Option<&CommandSpec> {
        match op {
            Op::Action => match self.work() {
                Work::Command(command) => Some(command),
                Work::Signal(_) | Work::Child(_) | Work::Timer => None,
            },
            Op::Compensation => self.compensation(),
            Op::Extension => self.extension(),
        }
    }
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let action = match self.work() {
            Work::Command(command) => command.name,
            Work::Signal(signal) => signal.name.as_str(),
            Work::Child(child) => child.name,
            Work::Timer => "timer",
        };
        let undo = self.compensation().map(|command| command.name);
        let mut out = f.debug_struct("Step");
        out.field("name", &self.name).field("kind", &self.kind).field("after", &self.after);
        out.field("action", &action).field("compensation", &undo).finish_non_exhaustive()
    }
}

/// The word for a kind, in fingerprints and diagrams.
pub(crate) const fn kind_word(kind: StepKind) -> &'static str {
    match kind {
        StepKind::Compensatable => "compensatable",
        StepKind::Pivot => "pivot",
        StepKind::Retriable => "retriable",
    }
}
