//! The checks that make a definition safe to run, done before anything runs.

use std::time::Duration;

use contract::{
    attributes::{ATTRIBUTES_MAX, is_attribute_name},
    saga::StepKind,
    step::{Op, StepName},
};

use super::{assemble::NAMELESS, mistakes::DefinitionError};
use crate::{
    definition::Definition,
    step::{Step, Work},
};

/// The shortest time that means anything to the machine.
const TIME_MIN: Duration = Duration::from_millis(1);

/// Adds every mistake of `definition` to `mistakes`.
pub(super) fn check(definition: &Definition, mistakes: &mut Vec<DefinitionError>) {
    check_whole(definition, mistakes);
    let pivots: Vec<_> = definition.steps.iter().enumerate().filter(|(_, step)| step.kind == StepKind::Pivot).collect();
    if pivots.len() > 1 && pivots.iter().any(|(_, pivot)| pivot.when.is_none()) {
        let steps = pivots.iter().map(|(_, pivot)| pivot.name.clone()).collect();
        mistakes.push(DefinitionError::SeveralPivots { steps });
    }
    if let Some(closing) = &definition.closing {
        if definition.steps.iter().any(|step| step.name == closing.name) {
            mistakes.push(DefinitionError::DuplicateStep { step: closing.name.clone() });
        }
        check_bounds(closing, mistakes);
        check_times(closing, mistakes);
    }
    for (position, step) in definition.steps.iter().enumerate() {
        let seen = definition.steps.iter().take(position).any(|earlier| earlier.name == step.name);
        if seen && step.name.as_str() != NAMELESS {
            mistakes.push(DefinitionError::DuplicateStep { step: step.name.clone() });
        }
        check_kind(position, step, &pivots, mistakes);
        check_bounds(step, mistakes);
        check_times(step, mistakes);
        check_hold(definition, step, mistakes);
    }
}

fn check_whole(definition: &Definition, mistakes: &mut Vec<DefinitionError>) {
    // As a step's, but that it may have underscores: a saga may be named after a resource of the API.
    if StepName::new(&definition.name.replace('_', "-")).is_err() {
        mistakes.push(DefinitionError::BadSagaName { name: definition.name.clone() });
    }
    if definition.version == 0 {
        mistakes.push(DefinitionError::VersionZero);
    }
    if definition.steps.is_empty() {
        mistakes.push(DefinitionError::NoSteps);
    }
    let names: Vec<_> = definition.attribute_names().collect();
    if names.len() > ATTRIBUTES_MAX {
        mistakes.push(DefinitionError::TooManyAttributes { count: names.len() });
    }
    for (place, name) in names.iter().enumerate() {
        if !is_attribute_name(name) {
            mistakes.push(DefinitionError::BadAttributeName { name: (*name).to_owned() });
        } else if names.iter().take(place).any(|earlier| earlier == name) {
            mistakes.push(DefinitionError::DuplicateAttribute { name: (*name).to_owned() });
        }
    }
    if definition.deadline.is_some_and(|deadline| deadline < TIME_MIN) {
        mistakes.push(DefinitionError::NoTimeAtAll);
    }
}

fn check_kind(position: usize, step: &Step, pivots: &[(usize, &Step)], mistakes: &mut Vec<DefinitionError>) {
    let name = || step.name.clone();
    match step.kind {
        StepKind::Compensatable => {
            if matches!(step.work(), Work::Child(_)) && step.undo.is_some() {
                mistakes.push(DefinitionError::ChildWithCompensation { step: name() });
            }
            let is_a_command = matches!(step.work(), Work::Command(_));
            if is_a_command && step.undo.is_none() {
                mistakes.push(DefinitionError::NoCompensation { step: name() });
            }
            for (_, pivot) in pivots.iter().filter(|(_, pivot)| !pivot.ancestors.contains(position)) {
                mistakes.push(DefinitionError::NotBeforePivot { step: name(), pivot: pivot.name.clone() });
            }
        }
        StepKind::Pivot | StepKind::Retriable => {
            let is_a_wait = matches!(step.work(), Work::Signal(_) | Work::Timer);
            if is_a_wait && step.kind == StepKind::Pivot {
                mistakes.push(DefinitionError::PivotWithoutCommand { step: name() });
            }
            if step.needed.is_some() && step.kind == StepKind::Pivot {
                mistakes.push(DefinitionError::PivotPerhapsNeeded { step: name() });
            }
            if step.undo.is_some() {
                mistakes.push(DefinitionError::CompensationAfterPivot { step: name() });
            }
            let after_a_pivot = pivots.iter().any(|(at, _)| step.ancestors.contains(*at));
            if step.kind == StepKind::Retriable && !after_a_pivot {
                mistakes.push(DefinitionError::NotAfterPivot { step: name() });
            }
        }
    }
}

/// Before the pivot retries have an end, because others' inventory is held meanwhile; all others have none.
fn check_bounds(step: &Step, mistakes: &mut Vec<DefinitionError>) {
    let name = || step.name.clone();
    let bounded = step.command(Op::Action).map(|command| command.retry.bound().is_some());
    match step.kind {
        StepKind::Compensatable if bounded == Some(false) => {
            mistakes.push(DefinitionError::UnboundedRetries { step: name() })
        }
        StepKind::Pivot | StepKind::Retriable if bounded == Some(true) => {
            mistakes.push(DefinitionError::BoundedRetries { step: name(), op: Op::Action });
        }
        StepKind::Compensatable | StepKind::Pivot | StepKind::Retriable => {}
    }
    if step.compensation().is_some_and(|undo| undo.retry.bound().is_some()) {
        mistakes.push(DefinitionError::BoundedRetries { step: name(), op: Op::Compensation });
    }
}

fn check_times(step: &Step, mistakes: &mut Vec<DefinitionError>) {
    if let Work::Signal(signal) = step.work()
        && signal.within.is_some_and(|within| within < TIME_MIN)
    {
        mistakes.push(DefinitionError::NoTimeToSignal { step: step.name.clone() });
    }
    for op in [Op::Action, Op::Compensation, Op::Extension] {
        let Some(command) = step.command(op) else { continue };
        let wrong = command.retry.mistakes();
        mistakes.extend(wrong.map(|mistake| DefinitionError::BadRetry { step: step.name.clone(), op, mistake }));
        if command.reply_within < TIME_MIN {
            mistakes.push(DefinitionError::NoTimeToReply { step: step.name.clone(), op });
        }
    }
}

/// A hold must outlast the latest start of the pivot and one sending of each step from there on.
fn check_hold(definition: &Definition, step: &Step, mistakes: &mut Vec<DefinitionError>) {
    if step.holds() && step.kind != StepKind::Compensatable {
        mistakes.push(DefinitionError::HoldAfterPivot { step: step.name.clone() });
    }
    if step.extension.is_some() && !step.holds() {
        mistakes.push(DefinitionError::ExtensionWithoutValidity { step: step.name.clone() });
    }
    let Some(hold) = step.holds_for else { return };
    let Some(deadline) = definition.deadline else {
        mistakes.push(DefinitionError::HoldWithoutDeadline { step: step.name.clone(), hold });
        return;
    };
    let needed = deadline.saturating_add(time_from_pivot(definition, step));
    if needed > hold {
        mistakes.push(DefinitionError::DeadlineOutlastsHold { step: step.name.clone(), hold, needed });
    }
}

/// The longest chain of reply times of the pivots and retriables that depend on `step`.
fn time_from_pivot(definition: &Definition, step: &Step) -> Duration {
    let mut ends: Vec<Duration> = Vec::with_capacity(definition.steps.len());
    for (position, later) in definition.steps.iter().enumerate() {
        let before = ends.iter().enumerate().filter(|(at, _)| later.before.contains(*at));
        let start = before.map(|(_, end)| *end).max().unwrap_or_default();
        let own = match later.kind {
            StepKind::Compensatable => Duration::ZERO,
            // How long a signal or a time is waited for is the saga's own choice, and no hold is said to outlast it.
            StepKind::Pivot | StepKind::Retriable if step.descendants.contains(position) => {
                later.command(Op::Action).map_or(Duration::ZERO, |command| command.reply_within)
            }
            StepKind::Pivot | StepKind::Retriable => Duration::ZERO,
        };
        ends.push(start.saturating_add(own));
    }
    ends.into_iter().max().unwrap_or_default()
}
