//! Questions about how far a saga has come, asked of its definition and its state: which steps are ready, what is to
//! be undone, whether the pivot was issued, when something falls due.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use contract::{
    SignalId, SignalName,
    saga::StepKind,
    step::{Op, StepName},
};

use crate::{
    definition::Definition,
    entry::Entry,
    retry::later,
    state::{Phase, Progress, State, StepState},
    step::{CommandSpec, Step},
    step_set::StepSet,
};

/// The shortest standing of a saga's clock that is told from the time that messages and commits take.
const STANDING_MIN: TimeDelta = TimeDelta::seconds(1);

/// A retry that is due later than its policy can make it was written by a clock that was ahead by more than this.
const AHEAD_MIN: Duration = Duration::from_secs(1);

/// The directions in which a saga may have commands under way.
#[must_use]
pub const fn ops(state: &State) -> &'static [Op] {
    match state.direction() {
        Op::Action | Op::Extension => &[Op::Action, Op::Extension],
        Op::Compensation => &[Op::Compensation],
    }
}

/// The steps that wait for a signal or a time.
pub(crate) fn waits(state: &State) -> impl Iterator<Item = (&StepName, &Progress)> {
    let waits = state.steps.iter().map(|(name, step)| (name, &step.action));
    waits.filter(|(_, progress)| progress.is_a_wait())
}

/// The steps whose wait is over.
pub(crate) fn waits_over<'d>(definition: &'d Definition, state: &State, now: DateTime<Utc>) -> Vec<&'d Step> {
    let is_over = |name: &StepName| {
        waits(state).any(|(found, progress)| found == name && progress.wake_at().is_some_and(|at| at <= now))
    };
    definition.steps.iter().filter(|step| is_over(&step.name)).collect()
}

/// The earliest first retry of what must succeed in the end and still does not, unless a pause holds it back.
#[must_use]
pub fn retrying_since(definition: &Definition, state: &State) -> Option<DateTime<Utc>> {
    let op = state.direction();
    if state.holds_back(op) {
        return None;
    }
    let must_succeed = definition.at_work(state).iter().filter(|step| match (op, step.kind) {
        (Op::Action, StepKind::Compensatable) | (Op::Extension, _) => false,
        (Op::Action, StepKind::Pivot | StepKind::Retriable) | (Op::Compensation, _) => true,
    });
    must_succeed.filter_map(|step| state.progress(&step.name, op)?.retrying_since()).min()
}

/// True when a retry is to be sent now. A clock that was ahead may have put it too far off: no wait is longer than its
/// policy allows.
pub(crate) fn is_due(retry_at: DateTime<Utc>, spec: &CommandSpec, now: DateTime<Utc>) -> bool {
    let (_, longest) = spec.retry.waits();
    retry_at <= now || retry_at > later(now, longest.saturating_add(AHEAD_MIN))
}

/// The saga's own time: now, unless its clock stands.
pub(crate) fn own_time(state: &State, now: DateTime<Utc>) -> DateTime<Utc> {
    clock_stands_since(state, now).unwrap_or(now)
}

/// The time since which the saga's clock stands, because a pause froze it, or something of it is overdue: an outage costs
/// time, and none of the saga's own.
#[must_use]
pub fn clock_stands_since(state: &State, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    state.frozen_since().or_else(|| first_due(state).filter(|due| now - *due >= STANDING_MIN))
}

/// The earliest time at which a reply is due, or a retry that no pause holds back.
pub(crate) fn first_due(state: &State) -> Option<DateTime<Utc>> {
    let op = state.direction();
    let held_back = |half: &&Progress| state.holds_back(op) && matches!(half.phase, Phase::Waiting { .. });
    let halves = state.steps.values().map(|step| step.progress(op)).filter(|half| !held_back(half));
    halves.filter_map(Progress::due_at).min()
}

/// The time after which a worker must not start a command any more: the saga is turned around then, and undoes it. What
/// must succeed in the end does not expire, nor what a worker once found expired by a clock of its own.
pub(crate) fn expires_at(state: &State, step: &Step, op: Op) -> Option<DateTime<Utc>> {
    let expired = state.progress(&step.name, op).is_some_and(|progress| progress.expired);
    match (op, step.kind) {
        (Op::Action, StepKind::Compensatable) if !expired => state.deadline_at,
        (Op::Extension, _) if !expired => state.steps.get(&step.name).and_then(|touched| touched.extend_by),
        (Op::Action | Op::Compensation | Op::Extension, _) => None,
    }
}

/// The saga's deadline, while it may still turn the saga around.
#[must_use]
pub fn deadline(definition: &Definition, state: &State) -> Option<DateTime<Utc>> {
    if may_turn_around(definition, state) { state.deadline_at } else { None }
}

/// True while something other than the pivot's refusal may turn the saga around.
pub(crate) fn may_turn_around(definition: &Definition, state: &State) -> bool {
    state.cause.is_none() && state.given_up.is_none() && !pivot_issued(definition, state)
}

/// True from the first sending of the pivot on: only its refusal turns the saga around then.
#[must_use]
pub fn pivot_issued(definition: &Definition, state: &State) -> bool {
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

/// The way of a saga in its direction, and the entry that ends it.
pub(crate) fn ahead<'d>(definition: &'d Definition, state: &State) -> (Ahead<'d>, Entry) {
    if state.given_up.is_some() {
        return (ahead_closing(definition, state), Entry::SagaAbandoned);
    }
    match state.direction() {
        Op::Action | Op::Extension => (ahead_forward(definition, state), Entry::SagaCompleted),
        Op::Compensation => (ahead_back(definition, state), Entry::SagaCompensated),
    }
}

/// The way out: the one step that closes the business object.
fn ahead_closing<'d>(definition: &'d Definition, state: &State) -> Ahead<'d> {
    let untouched = Progress::default();
    let Some(closing) = &definition.closing else { return Ahead { ready: Vec::new(), finished: true } };
    let progress = state.progress(&closing.name, Op::Action).unwrap_or(&untouched);
    let ready = if progress.phase == Phase::Idle { vec![closing] } else { Vec::new() };
    Ahead { ready, finished: progress.is_done() }
}

/// The way forward: a step is ready when everything before it is done, or does not apply.
fn ahead_forward<'d>(definition: &'d Definition, state: &State) -> Ahead<'d> {
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
fn ahead_back<'d>(definition: &'d Definition, state: &State) -> Ahead<'d> {
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
        if step.is_undone() && needs_undo(touched) && !touched.compensation.is_done() {
            pending.insert(position);
        }
    }
    pending
}

/// True when the step took effect, or may have taken effect.
pub(crate) fn needs_undo(step: &StepState) -> bool {
    match step.action.phase {
        Phase::Done { .. } | Phase::GivenUp | Phase::Outstanding { .. } | Phase::Waiting { .. } => !step.not_applicable,
        Phase::AwaitingChild { .. } | Phase::Stuck => !step.not_applicable,
        // A wait is over, without any effect, when the saga turns around.
        Phase::Idle | Phase::Refused | Phase::AwaitingSignal { .. } | Phase::AwaitingTime { .. } => false,
    }
}

/// The id of the first signal of that name that is kept.
pub(crate) fn kept(state: &State, name: &SignalName) -> Option<SignalId> {
    state.signals.iter().find(|kept| kept.name == *name && kept.taken_by.is_none()).map(|kept| kept.id.clone())
}
