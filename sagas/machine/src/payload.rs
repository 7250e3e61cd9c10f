//! The functions of a step that look at the saga's input and at what earlier steps learned: the payload of its command, the
//! time that it waits for, and whether it is needed.

use std::any::Any;

use contract::{
    Document,
    saga::Cause,
    step::{Op, StepName},
};
use serde_json::value::RawValue;

use crate::{
    definition::Definition,
    mapping::{BuildWake, MappingError, Needed},
    state::{Phase, State},
    step::{CommandSpec, Forward, Step},
    wake::Wake,
};

/// Builds the command of one direction of a step, unless an operator changed it.
pub(crate) fn build_payload(
    definition: &Definition,
    state: &State,
    step: &Step,
    op: Op,
) -> Result<Box<RawValue>, MappingError> {
    if let Some(edited) = state.progress(&step.name, op).and_then(|progress| progress.edited.as_ref()) {
        return RawValue::from_string(edited.payload.text().to_owned())
            .map_err(|error| MappingError::Unwritable(error.to_string()));
    }
    let read = (definition.read_input)(&state.input).map_err(MappingError::Input)?;
    let input: &dyn Any = &*read;
    let unknown = || Cause { step: None, code: String::new(), message: String::new(), refused: false };
    match (op, &step.undo) {
        (Op::Action, _) => match &step.forward {
            Forward::Command { build, .. } | Forward::Child { build, .. } => {
                build(input, &*facts(definition, state, step)?)
            }
            Forward::Close { build, .. } => build(input, state.given_up.as_ref().unwrap_or(&unknown())),
            Forward::Signal { .. } | Forward::Timer { .. } => Err(MappingError::Mixed),
        },
        (Op::Extension, _) => {
            let extension = step.extension.as_ref().ok_or(MappingError::Mixed)?;
            let mut facts = facts(definition, state, step)?;
            learn_from(&mut *facts, state, step)?;
            (extension.build)(input, &*facts)
        }
        (Op::Compensation, Some(undo)) => (undo.build)(input, state.cause.as_ref().unwrap_or(&unknown())),
        (Op::Compensation, None) => Err(MappingError::Mixed),
    }
}

/// The command that a step sends next, in the direction in which its saga goes: its spec, the direction and its fields. None
/// of a step that sends none.
///
/// # Errors
/// [`MappingError`] when it cannot be built.
pub fn next_command<'d>(
    definition: &'d Definition,
    state: &State,
    name: &StepName,
) -> Option<Result<(&'d CommandSpec, Op, Document), MappingError>> {
    let (step, op) = (definition.step(name)?, state.direction());
    let spec = step.command(op)?;
    Some(build_payload(definition, state, step, op).map(|payload| (spec, op, Document::from(payload))))
}

/// Asks a step of this function until when it waits.
pub(crate) fn build_wake(
    definition: &Definition,
    state: &State,
    step: &Step,
    wake: &BuildWake,
) -> Result<Wake, MappingError> {
    let input = (definition.read_input)(&state.input).map_err(MappingError::Input)?;
    wake(&*input, &*facts(definition, state, step)?)
}

/// Asks a step of this condition whether it is needed.
pub(crate) fn is_needed(
    definition: &Definition,
    state: &State,
    step: &Step,
    needed: &Needed,
) -> Result<bool, MappingError> {
    let input = (definition.read_input)(&state.input).map_err(MappingError::Input)?;
    needed(&*input, &*facts(definition, state, step)?)
}

/// The result of a saga, for its parent: made of the input and of all that its steps learned.
pub(crate) fn build_result(definition: &Definition, state: &State) -> Result<Document, MappingError> {
    let Some(build) = &definition.result else { return Ok(Document::default()) };
    let input = (definition.read_input)(&state.input).map_err(MappingError::Input)?;
    build(&*input, &*learned(definition, state, definition.steps.iter())?).map(Document::from)
}

/// The facts that a step may know: what the steps before it learned, in the definition's order. What a parallel step
/// learned is left out, or the same command could be built in two ways.
fn facts(definition: &Definition, state: &State, step: &Step) -> Result<Box<dyn Any>, MappingError> {
    learned(definition, state, definition.steps_in(step.ancestors))
}

fn learned<'d>(
    definition: &Definition,
    state: &State,
    steps: impl Iterator<Item = &'d Step>,
) -> Result<Box<dyn Any>, MappingError> {
    let mut facts = (definition.new_facts)();
    for before in steps {
        learn_from(&mut *facts, state, before)?;
    }
    Ok(facts)
}

/// Puts what a step learned into the facts, once it is done.
fn learn_from(facts: &mut dyn Any, state: &State, step: &Step) -> Result<(), MappingError> {
    let phase = state.progress(&step.name, Op::Action).map(|progress| &progress.phase);
    match (step.learn(), phase) {
        (Some(learn), Some(Phase::Done { reply })) => learn(facts, reply),
        (Some(_) | None, _) => Ok(()),
    }
}
