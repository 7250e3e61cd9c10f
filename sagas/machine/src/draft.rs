//! A decision in the making: what every input ends in, once it is known to count.
//!
//! ```text
//!   fault or no reply --> fail --> wait | turn around | ask a person
//!   refusal ----------> refuse --> turn around | ask a person
//!   success ----------> advance --> dispatch what is ready | end
//! ```
//!
//! Each entry is applied to a copy of the state as it is recorded, with the same [`crate::evolve()`] that the journal
//! will be replayed with; so a decision can never rest on something that replaying would not find.

use std::any::Any;

use chrono::{DateTime, Utc};
use contract::{
    limits::cut_error_text,
    saga::{Cause, SagaStatus, StepKind},
    step::{CommandId, Op, StepName},
};
use serde_json::value::RawValue;

use crate::{
    decide::CAUSE_DEADLINE,
    decision::{CommandToSend, Decision, Verdict},
    definition::Definition,
    entry::Entry,
    evolve::evolve,
    mapping::MappingError,
    resume::deadline,
    retry::later,
    state::{Phase, Progress, State, StepState},
    step::{Shape, Step, Work},
    step_set::StepSet,
};

/// The longest code of a refusal or fault that is journaled, in bytes: ours have at most 32, but any worker may join.
const CODE_BYTES_MAX: usize = 64;

/// A decision in the making.
pub(crate) struct Draft<'a> {
    pub(crate) definition: &'a Definition,
    /// As of the last recorded entry.
    pub(crate) state: State,
    pub(crate) now: DateTime<Utc>,
    entries: Vec<Entry>,
    commands: Vec<CommandToSend>,
    /// The input as the definition's type: read at most once.
    input: Option<Box<dyn Any>>,
}

/// A failed attempt, before it is known what follows from it.
pub(crate) struct Failure {
    /// True when the command may have taken effect.
    pub(crate) in_doubt: bool,
    pub(crate) code: String,
    pub(crate) message: String,
}

impl<'a> Draft<'a> {
    pub(crate) fn new(definition: &'a Definition, state: State, now: DateTime<Utc>) -> Self {
        Self { definition, state, now, entries: Vec::new(), commands: Vec::new(), input: None }
    }

    pub(crate) fn finish(self) -> Decision {
        let Self { entries, state, commands, .. } = self;
        Decision { entries, state, commands, verdict: Verdict::Accepted }
    }

    pub(crate) fn record(&mut self, entry: Entry) {
        evolve(&mut self.state, &entry);
        self.entries.push(entry);
    }

    /// Dispatches whatever has become ready, or ends the saga.
    pub(crate) fn advance(&mut self) {
        if self.state.status.is_final() {
            return;
        }
        match self.state.direction() {
            Op::Action => self.advance_forward(),
            Op::Compensation => self.advance_back(),
        }
    }

    /// Records a failed attempt and what follows from it.
    pub(crate) fn fail(&mut self, step: &Step, op: Op, shape: &Shape, failure: Failure) {
        let Some(progress) = self.state.progress(&step.name, op) else { return };
        let (attempt, attempts) = (progress.attempt, progress.attempts);
        let work = self.command_id(step, op, progress.generation);
        let again = shape.retry.allows_another(attempts) && attempt < u16::MAX;
        let retry_at = again.then(|| later(self.now, shape.retry.wait(&work, attempts)));
        let Failure { in_doubt, code, message } = failure;
        let (code, message) = (cut_code(code), cut_error_text(message));
        self.record(Entry::CommandFailed {
            step: step.name.clone(),
            op,
            attempt,
            in_doubt,
            code: code.clone(),
            message: message.clone(),
            retry_at,
        });
        if !again {
            self.give_up(step, op, code, message);
        }
    }

    /// Records a business no and what follows from it.
    pub(crate) fn refuse(&mut self, step: &Step, op: Op, code: String, message: String) {
        let (code, message) = (cut_code(code), cut_error_text(message));
        let (name, cause) = (step.name.clone(), (code.clone(), message.clone()));
        self.record(Entry::CommandRefused { step: name, op, code, message });
        let (code, message) = cause;
        match (op, step.kind) {
            (Op::Action, StepKind::Compensatable | StepKind::Pivot) => {
                self.turn_around(Cause { step: Some(step.name.clone()), code, message, refused: true });
            }
            (Op::Action, StepKind::Retriable) | (Op::Compensation, _) => self.ask_a_person(step, op, code, message),
        }
    }

    /// From here on the saga only undoes.
    pub(crate) fn turn_around(&mut self, cause: Cause) {
        self.record(Entry::CompensationStarted { cause });
        self.advance_back();
    }

    /// Turns the saga around when its deadline has passed and its pivot is not issued; true when it did.
    pub(crate) fn turn_around_at_deadline(&mut self) -> bool {
        let passed = deadline(self.definition, &self.state).is_some_and(|deadline| deadline <= self.now);
        if passed {
            let message = "the saga's deadline passed before its point of no return".to_owned();
            self.turn_around(Cause { step: None, code: CAUSE_DEADLINE.to_owned(), message, refused: false });
        }
        passed
    }

    /// Sends one direction of these steps, all or none where a failure would turn the saga around: a command that is
    /// undone by the same decision is better not sent.
    pub(crate) fn dispatch(&mut self, steps: &[&'a Step], op: Op) {
        // A reply may be heard before the timer, after an outage for one: what is held may have run out by now.
        if self.turn_around_at_deadline() {
            return;
        }
        let mut built = Vec::with_capacity(steps.len());
        for step in steps {
            match (self.build(step, op), step.shape(op)) {
                (Ok(payload), Some(shape)) => built.push((*step, shape, payload)),
                (Ok(_), None) => {}
                (Err(error), _) if op == Op::Action && !pivot_issued(self.definition, &self.state) => {
                    let cause = Cause {
                        step: Some(step.name.clone()),
                        code: error.code().to_owned(),
                        message: error.to_string(),
                        refused: false,
                    };
                    self.turn_around(cause);
                    return;
                }
                (Err(error), _) => self.ask_a_person(step, op, error.code().to_owned(), error.to_string()),
            }
        }
        for (step, shape, payload) in built {
            self.send(step, op, shape, payload);
        }
    }

    fn give_up(&mut self, step: &Step, op: Op, code: String, message: String) {
        if op == Op::Action && !pivot_issued(self.definition, &self.state) {
            self.turn_around(Cause { step: Some(step.name.clone()), code, message, refused: false });
        } else {
            self.ask_a_person(step, op, code, message);
        }
    }

    fn ask_a_person(&mut self, step: &Step, op: Op, code: String, message: String) {
        self.record(Entry::AttentionNeeded { step: step.name.clone(), op, code, message: cut_error_text(message) });
    }

    fn advance_forward(&mut self) {
        let definition = self.definition;
        let progress = ForwardView::of(definition, &self.state);
        if progress.settled_all {
            self.record(Entry::SagaCompleted);
        } else if !progress.ready.is_empty() {
            let ready: Vec<_> = chosen(definition, progress.ready).collect();
            self.dispatch(&ready, Op::Action);
        }
    }

    fn advance_back(&mut self) {
        let definition = self.definition;
        let pending = pending_undos(definition, &self.state);
        if pending.is_empty() {
            self.record(Entry::SagaCompensated);
            return;
        }
        let free = chosen(definition, pending).filter(|step| step.descendants.is_apart_from(pending));
        let idle = |step: &&Step| {
            self.state.progress(&step.name, Op::Compensation).is_none_or(|progress| progress.phase == Phase::Idle)
        };
        let ready: Vec<_> = free.filter(idle).collect();
        if !ready.is_empty() {
            self.dispatch(&ready, Op::Compensation);
        }
    }

    fn send(&mut self, step: &Step, op: Op, shape: &Shape, payload: Box<RawValue>) {
        let unsent = Progress::default();
        let progress = self.state.progress(&step.name, op).unwrap_or(&unsent);
        // A refusal is sticky: only a new generation can be answered otherwise.
        let next_generation = progress.generation == 0 || progress.refused;
        let (generation, attempt) = if next_generation {
            (progress.generation.saturating_add(1), 1)
        } else {
            (progress.generation, progress.attempt.saturating_add(1))
        };
        let reply_by = later(self.now, shape.reply_within);
        let command_id = self.command_id(step, op, generation);
        let Shape { name, version, route, .. } = *shape;
        self.commands.push(CommandToSend { command_id, attempt, name, version, route, deadline: reply_by, payload });
        self.record(Entry::CommandDispatched { step: step.name.clone(), op, generation, attempt, reply_by });
    }

    fn build(&mut self, step: &Step, op: Op) -> Result<Box<RawValue>, MappingError> {
        build_payload(self.definition, &self.state, step, op, &mut self.input)
    }

    fn command_id(&self, step: &Step, op: Op, generation: u16) -> CommandId {
        CommandId { saga: self.state.saga_id, step: step.name.clone(), op, generation }
    }
}

/// Builds the command of one direction of a step. `input` caches the saga's input in the definition's type.
pub(crate) fn build_payload(
    definition: &Definition,
    state: &State,
    step: &Step,
    op: Op,
    input: &mut Option<Box<dyn Any>>,
) -> Result<Box<RawValue>, MappingError> {
    let input: &dyn Any = match input {
        Some(read) => &**read,
        None => &**input.insert((definition.read_input)(&state.input).map_err(MappingError::Input)?),
    };
    match (op, &step.work, &step.undo) {
        (Op::Action, Work::Command { build, .. }, _) => build(input, &*facts(definition, state, step)?),
        (Op::Compensation, _, Some(undo)) => {
            let unknown = || Cause { step: None, code: String::new(), message: String::new(), refused: false };
            match &state.cause {
                Some(cause) => (undo.build)(input, cause),
                None => (undo.build)(input, &unknown()),
            }
        }
        (Op::Compensation, _, None) => Err(MappingError::Mixed),
    }
}

/// What a step may know: what the steps before it learned, in the definition's order. Never what a parallel step
/// learned, or the same command could be built in two ways.
fn facts(definition: &Definition, state: &State, step: &Step) -> Result<Box<dyn Any>, MappingError> {
    let mut facts = (definition.new_facts)();
    for before in chosen(definition, step.ancestors) {
        let Work::Command { learn: Some(learn), .. } = &before.work else { continue };
        if let Some(Phase::Done { reply }) = state.progress(&before.name, Op::Action).map(|progress| &progress.phase) {
            learn(&mut *facts, reply)?;
        }
    }
    Ok(facts)
}

/// True from the first sending of the pivot on: only its refusal turns the saga around then.
pub(crate) fn pivot_issued(definition: &Definition, state: &State) -> bool {
    let mut pivots = definition.steps.iter().filter(|step| step.kind == StepKind::Pivot);
    pivots.any(|step| {
        state.progress(&step.name, Op::Action).is_some_and(|progress| progress.was_issued() || progress.is_done())
    })
}

/// The steps that still have to be undone.
pub(crate) fn pending_undos(definition: &Definition, state: &State) -> StepSet {
    let mut pending = StepSet::default();
    for (position, step) in definition.steps.iter().enumerate() {
        let Some(touched) = state.steps.get(&step.name) else { continue };
        if step.undo.is_some() && needs_undo(touched) && !touched.compensation.is_done() {
            pending.insert(position);
        }
    }
    pending
}

/// True when the step took effect, or may have.
fn needs_undo(step: &StepState) -> bool {
    match step.action.phase {
        Phase::Done { .. } | Phase::GivenUp | Phase::Outstanding { .. } | Phase::Waiting { .. } | Phase::Stuck => {
            !step.not_applicable
        }
        Phase::Idle | Phase::Refused => false,
    }
}

/// How far the way forward has come.
struct ForwardView {
    /// Applicable, not yet sent, and everything before it is settled.
    ready: StepSet,
    settled_all: bool,
}

impl ForwardView {
    fn of(definition: &Definition, state: &State) -> Self {
        let mut settled = StepSet::default();
        let mut ready = StepSet::default();
        let mut settled_all = true;
        let untouched = StepState::default();
        // In the definition's order every step comes after its dependencies, so one pass is enough.
        for (position, step) in definition.steps.iter().enumerate() {
            let touched = state.steps.get(&step.name).unwrap_or(&untouched);
            let open = step.before.is_within(settled);
            // A step that does not apply stands for its own dependencies: nothing gets past them through it.
            if (touched.not_applicable && open) || touched.action.is_done() {
                settled.insert(position);
                continue;
            }
            settled_all = false;
            if open && touched.action.phase == Phase::Idle {
                ready.insert(position);
            }
        }
        Self { ready, settled_all }
    }
}

/// The steps of a set, in the definition's order.
fn chosen(definition: &Definition, set: StepSet) -> impl Iterator<Item = &Step> {
    definition.steps.iter().enumerate().filter(move |(position, _)| set.contains(*position)).map(|(_, step)| step)
}

/// A code as it is journaled: a stable word, so a long one is cut rather than kept.
fn cut_code(mut code: String) -> String {
    if code.len() > CODE_BYTES_MAX {
        let end = (0..=CODE_BYTES_MAX).rev().find(|at| code.is_char_boundary(*at)).unwrap_or(0);
        code.truncate(end);
    }
    code
}

/// True when the saga has ended; a word for the verdict.
pub(crate) const fn ended(status: SagaStatus) -> Option<&'static str> {
    match status {
        SagaStatus::Completed => Some("the saga is completed"),
        SagaStatus::Compensated => Some("the saga is compensated"),
        SagaStatus::Abandoned => Some("the saga is abandoned"),
        SagaStatus::Running | SagaStatus::Compensating | SagaStatus::NeedsAttention => None,
    }
}

/// The step of that name and its position's command of one direction.
pub(crate) fn find<'d>(definition: &'d Definition, name: &StepName, op: Op) -> Option<(&'d Step, &'d Shape)> {
    let step = definition.step(name)?;
    step.shape(op).map(|shape| (step, shape))
}
