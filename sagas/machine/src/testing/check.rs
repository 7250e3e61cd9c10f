//! The laws that must hold of any run, with any faults in it.

use chrono::{DateTime, Utc};
use contract::{
    saga::{SagaStatus, StepKind},
    step::{Op, StepName},
};

use super::ended::{Ended, payloads};
use crate::{
    definition::Definition,
    entry::Entry,
    evolve::evolve,
    holds::{holds_until, is_extending},
    queries::pivot_issued,
    retry::later,
    state::{Phase, State},
};

/// Panics when a run broke a law.
pub(super) fn check_run(definition: &Definition, ended: &Ended) {
    if let Err(id) = payloads(&ended.sent) {
        panic!("`{id}` was sent with two different payloads");
    }
    check_end(definition, ended);
    check_journal(definition, ended);
}

fn check_end(definition: &Definition, ended: &Ended) {
    let Ended { state, participants, .. } = ended;
    for (step, (done, undone)) in &participants.effects {
        assert!(*done <= 1, "`{step}` took effect {done} times");
        assert!(*undone <= *done, "`{step}` was undone more often than done");
    }
    // A signal or a time is no effect of a participant.
    let commands = definition.steps().iter().filter(|step| step.command(Op::Action).is_some());
    let names = commands.map(crate::step::Step::name);
    // What a person said to be done or undone may be otherwise.
    let by_hand = |progress: &crate::state::Progress| progress.skipped || progress.resolved.is_some();
    let skipped = |step: &StepName, op| state.progress(step, op).is_some_and(by_hand);
    let applies = |step: &&StepName| {
        !state.steps.get(*step).is_some_and(|step| step.not_applicable) && !skipped(step, Op::Action)
    };
    match state.status {
        SagaStatus::Completed => {
            for step in names.filter(applies) {
                assert!(participants.stands(step), "the saga is completed, but `{step}` does not stand");
            }
        }
        SagaStatus::Compensated => {
            for step in names.filter(|step| !skipped(step, Op::Compensation)) {
                assert!(!participants.stands(step), "the saga is compensated, but `{step}` stands");
            }
            check_undone(definition, state);
        }
        SagaStatus::NeedsAttention => {
            let stuck = |step: &crate::state::StepState| {
                step.action.phase == Phase::Stuck || step.compensation.phase == Phase::Stuck
            };
            assert!(state.steps.values().any(stuck), "attention is needed, but nothing is stuck");
        }
        SagaStatus::Running | SagaStatus::Compensating => {
            panic!("nothing happens any more, but the saga is {:?}", state.status)
        }
        SagaStatus::Abandoned => {}
    }
}

/// Every step that took effect, or may have, is undone: also those that the participants of this run happened not to
/// carry out.
fn check_undone(definition: &Definition, state: &State) {
    for step in definition.steps().iter().filter(|step| step.is_undone()) {
        let Some(touched) = state.steps.get(step.name()) else { continue };
        let happened = !matches!(touched.action.phase, Phase::Idle | Phase::Refused);
        assert_eq!(
            touched.compensation.is_done(),
            happened,
            "compensating `{}`, {}",
            step.name(),
            touched.action.phase
        );
    }
}

/// No compensation is sent after the pivot; before it each is sent once, and only when the steps that needed it are
/// undone.
fn check_journal(definition: &Definition, ended: &Ended) {
    let mut state = State::new(ended.state.saga_id);
    let mut pivot_done = false;
    let mut sends = 0_usize;
    for entry in ended.journal.iter().flatten() {
        assert!(!state.status.is_final(), "{entry:?} after the end");
        match entry {
            Entry::CommandDispatched { step, op: Op::Compensation, .. } => {
                assert!(!pivot_done, "`{step}` is undone after the pivot");
                assert!(state.cause.is_some(), "`{step}` is undone without a cause");
                check_turn(definition, &state, step);
                sends += 1;
            }
            Entry::CommandDispatched { step, op: Op::Action, .. } if state.given_up.is_some() => {
                let closing = definition.closing().map(crate::step::Step::name);
                assert_eq!(closing, Some(step), "`{step}` is sent after the saga was given up");
                sends += 1;
            }
            Entry::CommandDispatched { step, op: Op::Action, reply_by, .. } => {
                assert!(state.cause.is_none(), "`{step}` is sent after the saga was turned around");
                check_in_time(definition, &state, step, *reply_by);
                check_held(definition, &state, step, *reply_by);
                sends += 1;
            }
            Entry::CommandDone { step, op: Op::Action, .. } | Entry::StepSkipped { step, op: Op::Action, .. } => {
                pivot_done |= definition.step(step).is_some_and(|step| step.kind() == StepKind::Pivot);
            }
            Entry::CommandDone { step, op: Op::Compensation, .. } => {
                let before = state.progress(step, Op::Compensation).is_some_and(crate::state::Progress::is_done);
                assert!(!before, "`{step}` was undone twice");
            }
            _ => {}
        }
        let before = state.clone();
        evolve(&mut state, entry);
        // An action says who did it; what it does stands in the entries behind it.
        let says_something = state != before || matches!(entry, Entry::OperatorActed { .. });
        assert!(says_something, "{entry:?} changes nothing");
    }
    assert_eq!(state, ended.state, "the journal adds up to another state");
    assert!(
        ended.was_acted_on() || sends <= sends_max(definition),
        "{sends} commands, more than the definition allows"
    );
}

/// Before the pivot is issued, nothing is sent once the saga's deadline has passed (S16).
fn check_in_time(definition: &Definition, state: &State, step: &StepName, reply_by: DateTime<Utc>) {
    let (Some(deadline), Some(step)) = (state.deadline_at, definition.step(step)) else { return };
    let Some(command) = step.command(Op::Action) else { return };
    let latest = later(deadline, command.reply_within);
    assert!(pivot_issued(definition, state) || reply_by < latest, "`{}` is sent after the deadline", step.name());
}

/// The pivot is issued for the first time only while all that it depends on is held for as long as it may take, and no
/// extension is open.
fn check_held(definition: &Definition, state: &State, step: &StepName, reply_by: DateTime<Utc>) {
    let is_pivot = definition.step(step).is_some_and(|step| step.kind() == StepKind::Pivot);
    if !is_pivot || pivot_issued(definition, state) {
        return;
    }
    let held = holds_until(definition, state);
    assert!(
        held.is_none_or(|until| reply_by < until),
        "`{step}` is issued until {reply_by}, and held is until {held:?}"
    );
    assert!(!is_extending(state), "`{step}` is issued while an extension is under way");
}

/// The steps that depend on `step` and may have taken effect must be undone before it.
fn check_turn(definition: &Definition, state: &State, step: &StepName) {
    let Some(step) = definition.step(step) else { panic!("`{step}` is no step") };
    for (position, later) in definition.steps().iter().enumerate() {
        let Some(touched) = state.steps.get(later.name()) else { continue };
        let happened = !matches!(touched.action.phase, Phase::Idle | Phase::Refused);
        if step.descendants.contains(position) && happened && later.compensation().is_some() {
            assert!(touched.compensation.is_done(), "`{}` is undone before `{}`", step.name(), later.name());
        }
    }
}

fn sends_max(definition: &Definition) -> usize {
    let commands = definition.steps().iter().flat_map(|step| [step.command(Op::Action), step.compensation()]).flatten();
    // Once a command may be found expired, which is no attempt.
    commands.map(|command| usize::from(command.retry.bound().unwrap_or(u16::MAX)) + 1).sum()
}
