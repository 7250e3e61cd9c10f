//! A step of a definition: its command, the compensation that undoes it, and the steps that must be done before.

use std::{fmt, time::Duration};

use contract::{
    Document,
    command::Route,
    saga::StepKind,
    step::{Op, StepName},
};

use crate::{
    json::Mismatch,
    mapping::{BuildAction, BuildUndo, Condition, Learn},
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
    pub(crate) forward: Forward,
    pub(crate) undo: Option<Undo>,
    /// The time after which what it holds is let go, unless it is confirmed.
    pub(crate) holds_for: Option<Duration>,
}

/// The forward half of a step.
pub(crate) struct Forward {
    pub(crate) command: CommandSpec,
    pub(crate) build: BuildAction,
    pub(crate) learn: Option<Learn>,
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
    /// Checks that a value is of the command's reply type.
    pub(crate) check_reply: fn(&Document) -> Result<(), Mismatch>,
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

    /// The command that the step sends on the way forward.
    #[must_use]
    pub const fn action(&self) -> &CommandSpec {
        &self.forward.command
    }

    /// The command that undoes the step.
    #[must_use]
    pub fn compensation(&self) -> Option<&CommandSpec> {
        self.undo.as_ref().map(|undo| &undo.command)
    }

    /// The time after which what the step holds is let go, unless it is confirmed.
    #[must_use]
    pub const fn holds_for(&self) -> Option<Duration> {
        self.holds_for
    }

    /// The command of one direction.
    #[must_use]
    pub fn command(&self, op: Op) -> Option<&CommandSpec> {
        match op {
            Op::Action => Some(self.action()),
            Op::Compensation => self.compensation(),
        }
    }
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let action = self.action().name;
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
