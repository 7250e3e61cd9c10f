//! A definition is one version of a saga: a graph of steps, as a plain value that any thread may share.

use std::{any::Any, fmt, time::Duration};

use contract::{
    Document,
    saga::StepKind,
    step::{Op, StepName},
};

use crate::{
    fingerprint::Fingerprint,
    json::Mismatch,
    mapping::{AnyInput, BuildAction, ReadAttribute},
    retry::divided,
    state::State,
    step::{CommandSpec, Forward, Step},
    step_set::StepSet,
};

/// One version of one saga. Built by [`crate::Builder`]; holds no clock, no handle and nothing of any instance.
pub struct Definition {
    pub(crate) name: String,
    pub(crate) version: u32,
    pub(crate) deadline: Option<Duration>,
    /// In the order of their adding, in which every step comes after its dependencies.
    pub(crate) steps: Vec<Step>,
    /// The step that closes the business object of a saga that is given up. It is none of the steps that a saga goes through.
    pub(crate) closing: Option<Step>,
    /// The search attributes of its sagas, by name. No decision rests on them, so they are no part of the shape.
    pub(crate) attributes: Vec<(&'static str, ReadAttribute)>,
    pub(crate) fingerprint: Fingerprint,
    pub(crate) read_input: fn(&Document) -> Result<AnyInput, Mismatch>,
    /// Makes the result that a parent learns.
    pub(crate) result: Option<BuildAction>,
    pub(crate) new_facts: fn() -> Box<dyn Any>,
}

impl Definition {
    /// The name of the saga.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The version of the definition; a published one never changes.
    #[must_use]
    pub const fn version(&self) -> u32 {
        self.version
    }

    /// The time after its start at which an instance is given up, unless its pivot was issued.
    #[must_use]
    pub const fn deadline(&self) -> Option<Duration> {
        self.deadline
    }

    /// All steps; each comes after its dependencies.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The step that closes the business object of a saga that is given up.
    #[must_use]
    pub const fn closing(&self) -> Option<&Step> {
        self.closing.as_ref()
    }

    /// The step of that name; the closing one too.
    #[must_use]
    pub fn step(&self, name: &StepName) -> Option<&Step> {
        self.steps.iter().chain(&self.closing).find(|step| step.name == *name)
    }

    /// The steps that a saga works on: its steps in their order or, once it is given up, the closing one.
    pub fn at_work(&self, state: &State) -> &[Step] {
        match &self.closing {
            Some(closing) if state.given_up.is_some() => std::slice::from_ref(closing),
            Some(_) | None => &self.steps,
        }
    }

    /// The names of the search attributes of its sagas, in the order in which they were declared.
    pub fn attribute_names(&self) -> impl Iterator<Item = &'static str> {
        self.attributes.iter().map(|(name, _)| *name)
    }

    /// True when some input has a point of no return.
    pub(crate) fn has_pivot(&self) -> bool {
        self.steps.iter().any(|step| step.kind == StepKind::Pivot)
    }

    /// The digest of the definition's shape.
    #[must_use]
    pub const fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    /// True when the saga was started under this very definition. No other may continue it.
    #[must_use]
    pub fn fits(&self, state: &State) -> bool {
        state.version == self.version && state.name == self.name && state.fingerprint == self.fingerprint
    }

    /// Makes every time so many times as short. The fingerprint stays that of the published shape.
    pub(crate) fn divide_times(&mut self, divisor: u32) {
        let shorten = |time: Duration| divided(time, divisor);
        self.deadline = self.deadline.map(shorten);
        for step in self.steps.iter_mut().chain(&mut self.closing) {
            step.holds_for = step.holds_for.map(shorten);
            let undo = step.undo.as_mut().map(|undo| &mut undo.command);
            let extension = step.extension.as_mut().map(|extension| &mut extension.command);
            let command = match &mut step.forward {
                Forward::Command { command, .. } | Forward::Close { command, .. } => Some(command),
                Forward::Signal { signal, .. } => {
                    signal.within = signal.within.map(shorten);
                    None
                }
                Forward::Child { .. } => None,
                Forward::Timer { divisor: shorter, .. } => {
                    *shorter = divisor;
                    None
                }
            };
            for command in command.into_iter().chain(undo).chain(extension) {
                command.reply_within = shorten(command.reply_within);
                command.retry = command.retry.divided(divisor);
            }
        }
    }

    /// The step of that name and its command of one direction.
    pub(crate) fn command(&self, name: &StepName, op: Op) -> Option<(&Step, &CommandSpec)> {
        let step = self.step(name)?;
        step.command(op).map(|spec| (step, spec))
    }

    /// The steps of a set, in the definition's order.
    pub(crate) fn steps_in(&self, set: StepSet) -> impl Iterator<Item = &Step> {
        self.steps.iter().enumerate().filter(move |(position, _)| set.contains(*position)).map(|(_, step)| step)
    }
}

impl fmt::Debug for Definition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Definition");
        out.field("name", &self.name).field("version", &self.version).field("deadline", &self.deadline);
        out.field("steps", &self.steps).field("fingerprint", &self.fingerprint).finish_non_exhaustive()
    }
}
