//! What must hold of any run, whatever went wrong in it.

use contract::{
    orchestrator_api::{SagaStatus, StepKind},
    step::{Op, StepName},
};

use super::simulation::{Ended, payloads};
use crate::{
    definition::Definition,
    entry::Entry,
    evolve::evolve,
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
    let applies = |step: &&StepName| !state.steps.get(*step).is_some_and(|step| step.not_applicable);
    let names = definition.steps().iter().map(crate::step::Step::name);
    match state.status {
        SagaStatus::Completed => {
            for step in names.filter(applies) {
                assert!(participants.stands(step), "the saga is completed, but `{step}` does not stand");
            }
        }
        SagaStatus::Compensated => {
            for step in names {
                assert!(!participants.stands(step), "the saga is compensated, but `{step}` stands");
            }
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

/// No compensation after the pivot; before it, each once, and only when whatever needed it is undone.
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
            Entry::CommandDispatched { step, op: Op::Action, .. } => {
                assert!(state.cause.is_none(), "`{step}` is sent after the saga was turned around");
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
        evolve(&mut state, entry);
    }
    assert_eq!(state, ended.state, "the journal adds up to another state");
    let acted = ended.journal.iter().flatten().any(|entry| matches!(entry, Entry::OperatorActed { .. }));
    assert!(acted || sends <= sends_max(definition), "{sends} commands, more than the definition allows");
}

/// Whatever depends on `step` and may have taken effect must be undone before it.
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
    let shapes = definition.steps().iter().flat_map(|step| [Some(step.action()), step.compensation()]).flatten();
    shapes.map(|shape| usize::from(shape.retry.bound().unwrap_or(u16::MAX))).sum()
}
