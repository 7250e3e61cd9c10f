//! Turns what a builder has gathered about its steps into the steps of a definition.

use std::time::Duration;

use contract::{Command, Document, command::Route, saga::StepKind, step::StepName};
use serde_json::Value;

use super::mistakes::DefinitionError;
use crate::{
    json::{Mismatch, rewrite},
    mapping::{BuildAction, BuildUndo, BuildWake, Condition, Learn, Needed, Validity},
    reading::Reading,
    retry::Retry,
    step::{ChildSpec, CommandSpec, Extension, Forward, SignalSpec, Step, Undo},
    step_set::{STEPS_MAX, StepSet},
};

/// The name of the step that closes the business object of a saga that is given up.
const CLOSING_STEP: &str = "close";

/// Stands in for a name that is none, until the mistakes are reported.
pub(super) const NAMELESS: &str = "nameless";

/// Names a step that was added, for `after` of later ones; so a cycle cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepHandle {
    pub(super) position: usize,
    /// The id of the builder that made it.
    pub(super) builder: u64,
}

/// A step as its builder has gathered it, free of the builder's types.
pub(super) struct StepParts {
    /// The name as it was written; checked at the end.
    pub(super) name: String,
    pub(super) kind: StepKind,
    pub(super) after: Vec<StepHandle>,
    pub(super) when: Option<Condition>,
    pub(super) needed: Option<Needed>,
    pub(super) holds_for: Option<Duration>,
    pub(super) validity: Option<Validity>,
    pub(super) extension: Option<(Signature, BuildAction, Validity)>,
    pub(super) renews: Vec<StepHandle>,
    pub(super) undo: Option<(Signature, BuildUndo)>,
    pub(super) undo_timing: Timing,
}

/// The timing of one direction, as far as the step says it.
#[derive(Default)]
pub(super) struct Timing {
    pub(super) retry: Option<Retry>,
    pub(super) reply_within: Option<Duration>,
}

/// The timing of the steps that do not say their own.
pub(super) struct Defaults {
    pub(super) before_pivot: Retry,
    pub(super) must_succeed: Retry,
    pub(super) reply_within: Duration,
}

/// The forward half of a step as its builder has gathered it.
pub(super) enum ForwardParts {
    Command { signature: Signature, timing: Timing, build: BuildAction, learn: Option<Learn> },
    Signal { name: String, within: Option<Duration>, is_optional: bool, payload: Reading, learn: Option<Learn> },
    Child { child: ChildSpec, build: BuildAction, learn: Option<Learn> },
    Timer { wake: BuildWake },
}

/// The part of a command's spec that its type says.
pub(super) struct Signature {
    name: &'static str,
    version: u16,
    route: Route,
    reply: Reading,
    rewrite: fn(&Document) -> Result<Value, Mismatch>,
}

impl Signature {
    pub(super) fn of<C: Command>() -> Self {
        let (reply, rewrite) = (Reading::of::<C::Reply>(), rewrite::<C>);
        Self { name: C::NAME, version: C::VERSION, route: C::ROUTE, reply, rewrite }
    }

    fn spec(self, timing: &Timing, retry: Retry, reply_within: Duration) -> CommandSpec {
        let Self { name, version, route, reply, rewrite } = self;
        let retry = timing.retry.unwrap_or(retry);
        let reply_within = timing.reply_within.unwrap_or(reply_within);
        CommandSpec { name, version, route, retry, reply_within, reply, rewrite }
    }
}

/// Makes the steps, and finds what belongs before and behind each.
pub(super) fn assemble(
    steps: Vec<(StepParts, ForwardParts)>,
    defaults: &Defaults,
    builder: u64,
    mistakes: &mut Vec<DefinitionError>,
) -> Vec<Step> {
    if steps.len() > STEPS_MAX {
        mistakes.push(DefinitionError::TooManySteps { count: steps.len() });
    }
    let mut assembled: Vec<Step> = Vec::with_capacity(steps.len());
    for (parts, forward) in steps.into_iter().take(STEPS_MAX) {
        let name = StepName::new(&parts.name).unwrap_or_else(|_| {
            mistakes.push(DefinitionError::BadStepName { name: parts.name.clone() });
            StepName::new(NAMELESS).expect("the stand-in is a step's name")
        });
        let mut before = StepSet::default();
        let mut ancestors = StepSet::default();
        for handle in &parts.after {
            match assembled.get(handle.position).filter(|_| handle.builder == builder) {
                Some(step) => {
                    before.insert(handle.position);
                    ancestors.insert(handle.position);
                    ancestors = ancestors.union(step.ancestors);
                }
                None => mistakes.push(DefinitionError::UnknownHandle { step: parts.name.clone() }),
            }
        }
        let mut renews = StepSet::default();
        for handle in &parts.renews {
            match handle.builder == builder && ancestors.contains(handle.position) {
                true => renews.insert(handle.position),
                false => mistakes.push(DefinitionError::RenewsStranger { step: parts.name.clone() }),
            }
        }
        let position = assembled.len();
        for (_, step) in assembled.iter_mut().enumerate().filter(|(at, _)| ancestors.contains(*at)) {
            step.descendants.insert(position);
        }
        let after = assembled.iter().enumerate().filter(|(at, _)| before.contains(*at));
        let after = after.map(|(_, step)| step.name.clone()).collect();
        assembled.push(step(name, parts, forward, defaults, Edges { after, before, ancestors, renews }, mistakes));
    }
    assembled
}

/// Makes the step that closes the business object. It stands outside the graph and must succeed in the end.
pub(super) fn closing_step(signature: Signature, build: BuildUndo, defaults: &Defaults) -> Step {
    let command = signature.spec(&Timing::default(), defaults.must_succeed, defaults.reply_within);
    Step {
        name: StepName::new(CLOSING_STEP).expect("the constant is a step's name"),
        kind: StepKind::Retriable,
        after: Vec::new(),
        before: StepSet::default(),
        ancestors: StepSet::default(),
        descendants: StepSet::default(),
        when: None,
        needed: None,
        forward: Forward::Close { command, build },
        undo: None,
        holds_for: None,
        validity: None,
        extension: None,
        renews: StepSet::default(),
    }
}

/// The edges from the steps before a step.
struct Edges {
    after: Vec<StepName>,
    before: StepSet,
    ancestors: StepSet,
    renews: StepSet,
}

fn step(
    name: StepName,
    parts: StepParts,
    forward: ForwardParts,
    defaults: &Defaults,
    edges: Edges,
    mistakes: &mut Vec<DefinitionError>,
) -> Step {
    let StepParts { kind, when, needed, holds_for, validity, extension, undo, undo_timing, .. } = parts;
    let retry = match kind {
        StepKind::Compensatable => defaults.before_pivot,
        StepKind::Pivot | StepKind::Retriable => defaults.must_succeed,
    };
    let forward = match forward {
        ForwardParts::Command { signature, timing, build, learn } => {
            Forward::Command { command: signature.spec(&timing, retry, defaults.reply_within), build, learn }
        }
        ForwardParts::Signal { name, within, is_optional, payload, learn } => {
            let name = name.parse().unwrap_or_else(|_| {
                mistakes.push(DefinitionError::BadSignalName { step: parts.name.clone(), name });
                NAMELESS.parse().expect("the stand-in is a signal's name")
            });
            Forward::Signal { signal: SignalSpec { name, within, is_optional, payload }, learn }
        }
        ForwardParts::Child { child, build, learn } => Forward::Child { child, build, learn },
        ForwardParts::Timer { wake } => Forward::Timer { wake, divisor: 1 },
    };
    let undo = undo.map(|(signature, build)| {
        let command = signature.spec(&undo_timing, defaults.must_succeed, defaults.reply_within);
        Undo { command, build }
    });
    let extension = extension.map(|(signature, build, validity)| {
        let command = signature.spec(&Timing::default(), defaults.before_pivot, defaults.reply_within);
        Extension { command, build, validity }
    });
    let Edges { after, before, ancestors, renews } = edges;
    Step {
        name,
        kind,
        after,
        before,
        ancestors,
        descendants: StepSet::default(),
        when,
        needed,
        forward,
        undo,
        holds_for,
        validity,
        extension,
        renews,
    }
}
