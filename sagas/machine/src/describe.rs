//! The view of a saga's steps that people see.

use contract::{
    orchestrator_api::{StepView, StepWork},
    saga::StepStatus,
    step::Op,
};

use crate::{
    definition::Definition,
    holds::valid_until,
    state::{Phase, State, StepState},
    step::{Step, Work},
};

/// Every step of the definition and where it stands, in the definition's order; behind them the closing one, once the
/// saga is given up.
#[must_use]
pub fn describe(definition: &Definition, state: &State) -> Vec<StepView> {
    let untouched = StepState::default();
    let closing = definition.closing().filter(|_| state.given_up.is_some());
    let steps = definition.steps().iter().chain(closing);
    steps
        .map(|step| {
            let valid_until = valid_until(definition, state, step.name());
            StepView { valid_until, ..view(step, state.steps.get(step.name()).unwrap_or(&untouched)) }
        })
        .collect()
}

fn view(step: &Step, touched: &StepState) -> StepView {
    // The direction that was last at work.
    let op = if touched.compensation.phase == Phase::Idle { Op::Action } else { Op::Compensation };
    let current = touched.progress(op);
    let retry_at = match current.phase {
        Phase::Waiting { retry_at } => Some(retry_at),
        Phase::Idle | Phase::Outstanding { .. } | Phase::Done { .. } => None,
        Phase::AwaitingSignal { .. } | Phase::AwaitingTime { .. } | Phase::AwaitingChild { .. } => None,
        Phase::Refused | Phase::GivenUp | Phase::Stuck => None,
    };
    let reply = match &touched.action.phase {
        Phase::Done { reply } => reply.to_value().ok(),
        Phase::Idle | Phase::Outstanding { .. } | Phase::Waiting { .. } => None,
        Phase::AwaitingSignal { .. } | Phase::AwaitingTime { .. } | Phase::AwaitingChild { .. } => None,
        Phase::Refused | Phase::GivenUp | Phase::Stuck => None,
    };
    StepView {
        name: step.name().clone(),
        kind: step.kind(),
        work: work(step),
        compensation: step.compensation().map(|command| command.name.to_owned()),
        extension: step.extension().map(|command| command.name.to_owned()),
        after: step.after().to_vec(),
        status: status(touched),
        attempts: current.attempts,
        retry_at,
        wake_at: current.wake_at(),
        valid_until: None,
        retrying_since: current.retrying_since(),
        error: current.error.clone().or_else(|| touched.action.error.clone()),
        reply,
        child: touched.child,
        skipped: touched.action.skipped || touched.compensation.skipped,
        edited: current.edited.as_ref().map(|edited| edited.changes.clone()).unwrap_or_default(),
        resolved: touched.compensation.resolved.clone(),
    }
}

fn work(step: &Step) -> StepWork {
    match step.work() {
        Work::Command(command) => StepWork::Command { route: command.route, command: command.name.to_owned() },
        Work::Signal(signal) => StepWork::Signal { signal: signal.name.clone() },
        Work::Child(child) => StepWork::Child { saga: child.name.to_owned(), saga_version: child.version },
        Work::Timer => StepWork::Timer {},
    }
}

fn status(touched: &StepState) -> StepStatus {
    match touched.compensation.phase {
        Phase::Idle => match touched.action.phase {
            Phase::Idle if touched.not_applicable => StepStatus::NotApplicable,
            Phase::Idle => StepStatus::Pending,
            Phase::Outstanding { .. } => StepStatus::Dispatched,
            Phase::Waiting { .. } => StepStatus::Retrying,
            Phase::AwaitingSignal { .. } | Phase::AwaitingTime { .. } => StepStatus::Waiting,
            Phase::AwaitingChild { .. } => StepStatus::Waiting,
            Phase::Done { .. } => StepStatus::Done,
            Phase::Refused => StepStatus::Refused,
            // Its compensation waits for that of the steps that needed it.
            Phase::GivenUp => StepStatus::Compensating,
            Phase::Stuck => StepStatus::NeedsAttention,
        },
        Phase::Outstanding { .. } | Phase::Waiting { .. } => StepStatus::Compensating,
        Phase::AwaitingChild { .. } => StepStatus::Compensating,
        // No compensation waits for a signal or a time.
        Phase::AwaitingSignal { .. } | Phase::AwaitingTime { .. } => StepStatus::Compensating,
        Phase::Done { .. } => StepStatus::Compensated,
        Phase::Refused | Phase::GivenUp | Phase::Stuck => StepStatus::NeedsAttention,
    }
}
