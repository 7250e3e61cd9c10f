//! The meaning of entries. A state changes in no other way, live and at recovery alike.

use chrono::{DateTime, TimeDelta, Utc};
use contract::{
    Document, RequestId, SagaId, SignalId,
    command::FAULT_COMMAND_EXPIRED,
    saga::{Action, Cause, PauseClock, SagaStatus},
    step::{Op, StepName},
};

use crate::{
    codes::{CAUSE_SAGA_CANCELLED, CAUSE_SIGNAL_MISSED},
    entry::Entry,
    input::Operator,
    state::{EditedCommand, Pause, Phase, Progress, REQUESTS_MAX, ReceivedSignal, State, StepState},
    wake::storable,
};

/// Moves a state along by one entry. It is total: any entry can follow any state, so a journal can always be replayed.
pub fn evolve(state: &mut State, entry: &Entry) {
    match entry {
        Entry::SagaStarted { name, version, fingerprint, deadline_at, input, not_applicable, parent } => {
            state.name.clone_from(name);
            state.version = *version;
            state.fingerprint = fingerprint.clone();
            state.deadline_at = *deadline_at;
            state.input = input.clone();
            state.parent.clone_from(parent);
            for step in not_applicable {
                state.steps.entry(step.clone()).or_default().not_applicable = true;
            }
        }
        Entry::CommandDispatched { step, op, generation, attempt, reply_by } => {
            dispatched(progress(state, step, *op), *generation, *attempt, Phase::Outstanding { reply_by: *reply_by });
        }
        Entry::CommandDone { step, op, reply } => {
            let touched = state.steps.entry(step.clone()).or_default();
            conclude(touched.progress_mut(*op), Phase::Done { reply: reply.clone() });
            if *op == Op::Extension {
                touched.extended = Some(reply.clone());
            }
        }
        Entry::CommandRefused { step, op, code, message } => {
            let progress = progress(state, step, *op);
            conclude(progress, Phase::Refused);
            progress.refused = true;
            progress.error = Some(error(step, code, message, true));
        }
        Entry::CommandFailed { step, op, attempt: _, in_doubt, code, message, retry_at } => {
            let progress = progress(state, step, *op);
            progress.phase = retry_at.map_or(Phase::GivenUp, |retry_at| Phase::Waiting { retry_at });
            progress.in_doubt |= in_doubt;
            progress.retrying_since = progress.retrying_since.or(*retry_at);
            if code == FAULT_COMMAND_EXPIRED {
                // No worker started it, so it was no attempt.
                progress.attempts = progress.attempts.saturating_sub(1);
                progress.expired = true;
            }
            progress.error = Some(error(step, code, message, false));
        }
        Entry::CompensationStarted { cause } => turned_around(state, cause),
        Entry::AttentionNeeded { step, op, code, message } => {
            let progress = progress(state, step, *op);
            progress.phase = Phase::Stuck;
            progress.error = Some(error(step, code, message, progress.refused));
        }
        Entry::OperatorActed { operator, action, request_id } => {
            remember(state, *request_id);
            acted(state, operator, action);
        }
        Entry::ClosingStarted { cause } => given_up(state, cause),
        Entry::StepSkipped { step, op, reply } => {
            let progress = progress(state, step, *op);
            conclude(progress, Phase::Done { reply: reply.clone() });
            progress.skipped = true;
        }
        Entry::CommandEdited { step, op, changes, payload } => {
            let (payload, changes) = (payload.clone(), changes.clone());
            let progress = progress(state, step, *op);
            progress.edited = Some(EditedCommand { payload, changes });
            // It begins a new round of attempts.
            progress.attempts = 0;
            progress.retrying_since = None;
        }
        Entry::CompensationResolved { step, evidence } => {
            let progress = progress(state, step, Op::Compensation);
            conclude(progress, Phase::Done { reply: Document::default() });
            progress.resolved = Some(evidence.clone());
        }
        Entry::SignalAwaited { step, signal, miss_at } => {
            let phase = Phase::AwaitingSignal { signal: signal.clone(), miss_at: *miss_at };
            conclude(progress(state, step, Op::Action), phase);
        }
        Entry::SignalReceived { id, signal, actor: _, payload } => {
            let (id, name, payload) = (id.clone(), signal.clone(), payload.clone());
            state.signals.push(ReceivedSignal { id, name, payload, taken_by: None });
        }
        Entry::SignalTaken { step, id } => taken(state, step, id),
        Entry::SignalMissed { step, message } => {
            let progress = progress(state, step, Op::Action);
            conclude(progress, Phase::Refused);
            progress.refused = true;
            progress.error = Some(error(step, CAUSE_SIGNAL_MISSED, message, true));
        }
        Entry::TimerSet { step, fire_at } => {
            conclude(progress(state, step, Op::Action), Phase::AwaitingTime { fire_at: *fire_at });
        }
        Entry::TimerFired { step } => {
            conclude(progress(state, step, Op::Action), Phase::Done { reply: Document::default() });
        }
        Entry::ChildAwaited { step, op, child } => child_awaited(state, step, *op, *child),
        Entry::StepNotNeeded { step } => {
            let touched = state.steps.entry(step.clone()).or_default();
            touched.not_applicable = true;
            conclude(&mut touched.action, Phase::Idle);
        }
        Entry::ExtensionBegun { step, by } => {
            state.steps.entry(step.clone()).or_default().extend_by = Some(*by);
        }
        Entry::DefinitionChanged { version, fingerprint, not_applicable } => {
            state.version = *version;
            state.fingerprint = fingerprint.clone();
            // The conditions of the version before say nothing about this one.
            state.steps.retain(|_, step| step.was_begun());
            for step in not_applicable {
                state.steps.entry(step.clone()).or_default().not_applicable = true;
            }
        }
        Entry::ClockStood { since, until } => stood(state, *since, *until),
        Entry::SagaPaused { at, clock, holds } => {
            state.pause = Some(Pause { since: *at, clock: *clock, holds: *holds });
        }
        Entry::SagaResumed { at } => resumed(state, *at),
        Entry::SagaCompleted => state.status = SagaStatus::Completed,
        Entry::SagaCompensated => state.status = SagaStatus::Compensated,
        Entry::SagaAbandoned => state.status = SagaStatus::Abandoned,
    }
    if state.status.is_final() {
        state.pause = None;
    } else {
        state.status = status(state);
    }
}

/// The status of a saga that has not ended.
fn status(state: &State) -> SagaStatus {
    let stuck = |progress: &Progress| progress.phase == Phase::Stuck;
    if state.steps.values().any(|step| stuck(&step.action) || stuck(&step.compensation)) {
        SagaStatus::NeedsAttention
    } else if state.cause.is_some() {
        SagaStatus::Compensating
    } else {
        SagaStatus::Running
    }
}

fn dispatched(progress: &mut Progress, generation: u16, attempt: u16, phase: Phase) {
    if generation != progress.generation {
        progress.attempts = 0;
        progress.refused = false;
        progress.retrying_since = None;
    }
    progress.generation = generation;
    progress.attempt = attempt;
    progress.attempts = progress.attempts.saturating_add(1);
    progress.phase = phase;
}

/// Takes a definite outcome over, which ends every doubt.
fn conclude(progress: &mut Progress, phase: Phase) {
    progress.phase = phase;
    progress.in_doubt = false;
    progress.refused = false;
    progress.error = None;
    progress.expired = false;
    progress.retrying_since = None;
}

/// Lets the saga's clock go on from `until`: what was overdue is due then, and the deadline is as far away as it was.
fn stood(state: &mut State, since: DateTime<Utc>, until: DateTime<Utc>) {
    state.deadline_at = state.deadline_at.map(|deadline| moved(deadline, until - since));
    nothing_due_before(state, until);
}

/// Ends the pause. The times of a frozen clock lie as far ahead as at its begin.
fn resumed(state: &mut State, until: DateTime<Utc>) {
    let Some(Pause { since, clock, holds: _ }) = state.pause.take() else { return };
    let until = until.max(since);
    nothing_due_before(state, until);
    match clock {
        PauseClock::Run => {}
        PauseClock::Freeze => {
            let stood = until - since;
            state.deadline_at = state.deadline_at.map(|deadline| moved(deadline, stood));
            for step in state.steps.values_mut() {
                match &mut step.action.phase {
                    Phase::AwaitingTime { fire_at: at } | Phase::AwaitingSignal { miss_at: Some(at), .. } => {
                        *at = storable(moved(*at, stood));
                    }
                    Phase::AwaitingSignal { miss_at: None, .. } | Phase::Outstanding { .. } => {}
                    Phase::Idle | Phase::Waiting { .. } | Phase::AwaitingChild { .. } | Phase::Done { .. } => {}
                    Phase::Refused | Phase::GivenUp | Phase::Stuck => {}
                }
            }
        }
    }
}

/// Has no reply and no retry due before that time.
fn nothing_due_before(state: &mut State, until: DateTime<Utc>) {
    for progress in state.steps.values_mut().flat_map(StepState::all_mut) {
        match &mut progress.phase {
            Phase::Outstanding { reply_by: due } | Phase::Waiting { retry_at: due } => *due = until.max(*due),
            Phase::AwaitingSignal { .. } | Phase::AwaitingTime { .. } | Phase::AwaitingChild { .. } => {}
            Phase::Idle | Phase::Done { .. } | Phase::Refused | Phase::GivenUp | Phase::Stuck => {}
        }
    }
}

/// The time so much later, or itself when there is none.
fn moved(time: DateTime<Utc>, by: TimeDelta) -> DateTime<Utc> {
    time.checked_add_signed(by).unwrap_or(time)
}

/// Lets a step take a signal that is kept.
fn taken(state: &mut State, step: &StepName, id: &SignalId) {
    let kept = state.signals.iter_mut().find(|signal| signal.id == *id && signal.taken_by.is_none());
    if let Some(signal) = kept {
        signal.taken_by = Some(step.clone());
        let reply = signal.payload.clone();
        conclude(progress(state, step, Op::Action), Phase::Done { reply });
    }
}

/// Gives the state up as it stands: no step counts any more, and what was under way stays in doubt.
fn given_up(state: &mut State, cause: &Cause) {
    state.given_up = Some(cause.clone());
    for progress in state.steps.values_mut().flat_map(StepState::all_mut) {
        if progress.is_a_wait() {
            progress.phase = Phase::Idle;
        }
        if progress.is_open() {
            progress.phase = Phase::GivenUp;
            progress.in_doubt = true;
        }
    }
}

/// Lets a step wait for a child. Each child that it starts is of a new generation.
fn child_awaited(state: &mut State, step: &StepName, op: Op, child: SagaId) {
    let touched = state.steps.entry(step.clone()).or_default();
    touched.child = Some(child);
    let progress = touched.progress_mut(op);
    conclude(progress, Phase::AwaitingChild { child });
    progress.generation = progress.generation.saturating_add(1);
    progress.attempt = progress.generation;
    progress.attempts = 1;
}

/// Turns the state around. From here on only compensations count: the actions under way are in doubt, and their replies
/// come too late. What waits for a signal or a time waits no more, as if it had not been reached.
fn turned_around(state: &mut State, cause: &Cause) {
    state.cause = Some(cause.clone());
    // A child that is completed may be undone by its parent.
    if state.status == SagaStatus::Completed && state.parent.is_some() {
        state.status = SagaStatus::Compensating;
    }
    for step in state.steps.values_mut() {
        if step.action.is_a_wait() {
            step.action.phase = Phase::Idle;
        }
        if step.action.is_open() {
            step.action.phase = Phase::GivenUp;
        }
        if step.action.phase == Phase::GivenUp {
            step.action.in_doubt = true;
        }
        if step.extension.is_open() {
            step.extension.phase = Phase::GivenUp;
            step.extension.in_doubt = true;
        }
    }
}

fn remember(state: &mut State, request_id: Option<RequestId>) {
    if let Some(request_id) = request_id {
        let too_many = (state.requests.len() + 1).saturating_sub(REQUESTS_MAX);
        state.requests.drain(..too_many);
        state.requests.push(request_id);
    }
}

/// An operator's retry begins a new round of attempts for everything that it sends again. The other actions take
/// effect through the entries behind them.
fn acted(state: &mut State, operator: &Operator, action: &Action) {
    match action {
        Action::Retry { step } => {
            let op = state.direction();
            let meant = |name: &StepName| step.as_ref().is_none_or(|step| step == name);
            for (_, step) in state.steps.iter_mut().filter(|(name, _)| meant(name)) {
                let progress = step.progress_mut(op);
                if progress.can_be_retried() {
                    progress.attempts = 0;
                    progress.retrying_since = None;
                }
            }
        }
        Action::Cancel {} => {
            let awaited = state.steps.values().find_map(|step| step.action.awaited_child());
            state.cancelled_child = awaited.map(|child| (child, cancelled(operator)));
        }
        Action::Skip { .. } | Action::Abandon {} => {}
        Action::Edit { .. } | Action::Resolve { .. } => {}
        Action::FireTimer { .. } | Action::RescheduleTimer { .. } | Action::Migrate { .. } => {}
        Action::Pause { .. } | Action::Resume {} => {}
    }
}

/// The cause of a saga that an operator cancelled.
pub(crate) fn cancelled(operator: &Operator) -> Cause {
    let (code, message) = (CAUSE_SAGA_CANCELLED.to_owned(), operator.reason.clone());
    Cause { step: None, code, message, refused: false }
}

fn progress<'s>(state: &'s mut State, step: &StepName, op: Op) -> &'s mut Progress {
    state.steps.entry(step.clone()).or_default().progress_mut(op)
}

fn error(step: &StepName, code: &str, message: &str, refused: bool) -> Cause {
    Cause { step: Some(step.clone()), code: code.to_owned(), message: message.to_owned(), refused }
}
