//! Questions about how far a saga has come, asked of its definition and its state: which steps are ready, what is to
//! be undone, whether the pivot was issued, when something falls due.

use chrono::{DateTime, Utc};
use contract::{saga::StepKind, step::Op};

use crate::{
    definition::Definition,
    state::{Phase, State, StepState},
    step::Step,
    step_set::StepSet,
};

/// The time at which something falls due by itself: a reply's deadline, a retry, or the saga's own deadline.
#[must_use]
pub fn next_wake(definition: &Definition, state: &State) -> Option<DateTime<Utc>> {
    if !definition.fits(state) || state.status.is_final() {
        return None;
    }
    let op = state.direction();
    let steps = definition.steps().iter().filter_map(|step| state.progress(&step.name, op)?.due_at());
    steps.chain(deadline(definition, state)).min()
}

/// The saga's deadline, while it may still turn the saga around.
pub(crate) fn deadline(definition: &Definition, state: &State) -> Option<DateTime<Utc>> {
    match state.direction() {
        Op::Action if !pivot_issued(definition, state) => state.deadline_at,
        Op::Action | Op::Compensation => None,
    }
}

/// True from the first sending of the pivot on: only its refusal turns the saga around then.
pub(crate) fn pivot_issued(definition: &Definition, state: &State) -> bool {
    let mut pivots = definition.steps.iter().filter(|step| step.kind == StepKind::Pivot);
    pivots.any(|step| {
        state.progress(&step.name, Op::Action).is_some_and(|progress| progress.was_issued() || progress.is_done())
    })
}

/// The work ahead of a saga in the direction that it goes.
pub(crate) struct Ahead<'d> {
    /// The steps to send now, in the definition's order.
    pub(crate) ready: Vec<&'d Step>,
    /// True when nothing is left to do in this direction.
    pub(crate) finished: bool,
}

/// The way forward: a step is ready when everything before it is done, or does not apply.
pub(crate) fn ahead_forward<'d>(definition: &'d Definition, state: &State) -> Ahead<'d> {
    let mut passed = StepSet::default();
    let mut ahead = Ahead { ready: Vec::new(), finished: true };
    let untouched = StepState::default();
    // In the definition's order every step comes after its dependencies, so one pass is enough.
    for (position, step) in definition.steps.iter().enumerate() {
        let touched = state.steps.get(&step.name).unwrap_or(&untouched);
        let open = step.before.is_within(passed);
        // A step that does not apply stands for its own dependencies: nothing gets past them through it.
        if (touched.not_applicable && open) || touched.action.is_done() {
            passed.insert(position);
            continue;
        }
        ahead.finished = false;
        if open && touched.action.phase == Phase::Idle {
            ahead.ready.push(step);
        }
    }
    ahead
}

/// The way back: a step is ready to be undone when everything that needed it is undone.
pub(crate) fn ahead_back<'d>(definition: &'d Definition, state: &State) -> Ahead<'d> {
    let pending = pending_undos(definition, state);
    let free = definition.steps_in(pending).filter(|step| step.descendants.is_apart_from(pending));
    let idle = |step: &&Step| {
        state.progress(&step.name, Op::Compensation).is_none_or(|progress| progress.phase == Phase::Idle)
    };
    Ahead { ready: free.filter(idle).collect(), finished: pending.is_empty() }
}

/// The steps that still have to be undone.
fn pending_undos(definition: &Definition, state: &State) -> StepSet {
    let mut pending = StepSet::default();
    for (position, step) in definition.steps.iter().enumerate() {
        let Some(touched) = state.steps.get(&step.name) else { continue };
        if step.undo.is_some() && needs_undo(touched) && !touched.compensation.is_done() {
            pending.insert(position);
        }
    }
    pending
}

/// True when the step took effect, or may have taken effect.
fn needs_undo(step: &StepState) -> bool {
    match step.action.phase {
        Phase::Done { .. } | Phase::GivenUp | Phase::Outstanding { .. } | Phase::Waiting { .. } | Phase::Stuck => {
            !step.not_applicable
        }
        Phase::Idle | Phase::Refused => false,
    }
}
