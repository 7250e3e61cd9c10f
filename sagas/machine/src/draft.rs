//! A decision in the making: the acts that every input ends in, once it is known to count.
//!
//! ```text
//!   fault or no reply --> fail --> wait | turn around
//!   refusal ----------> refuse --> turn around | ask a person
//!   success ----------> advance --> dispatch what is ready | end
//! ```
//!
//! Each entry is applied to the state as it is recorded, with the same [`crate::evolve()`] that the journal
//! will be replayed with; so a decision can never rest on something that replaying would not find.

use chrono::{DateTime, Utc};
use contract::{
    SagaId,
    limits::cut_error_text,
    saga::{Cause, StepKind},
    step::{CommandId, Op},
};
use serde_json::value::RawValue;

use crate::{
    child_id::child_id,
    codes::{CAUSE_DEADLINE_PASSED, CAUSE_HOLD_EXPIRED, CAUSE_SIGNAL_MISSED},
    decision::{ChildCall, ChildStart, CommandToSend, Decision, Verdict},
    definition::Definition,
    entry::{Entry, Parent},
    evolve::evolve,
    holds::{HoldNext, extend_by, holds, is_extending},
    mapping::MappingError,
    payload::{build_payload, build_wake, is_needed},
    queries::{ahead, deadline, expires_at, is_due, kept, may_turn_around, ops, own_time, waits_over},
    retry::{Retry, later},
    state::{Phase, Progress, State},
    step::{ChildSpec, CommandSpec, Forward, SignalSpec, Step},
    wake::storable,
};

/// The longest code of a refusal or fault that is journaled, in bytes: ours have at most 32, but any worker may join.
const CODE_BYTES_MAX: usize = 64;

/// A decision in the making.
pub(crate) struct Draft<'a> {
    pub(crate) definition: &'a Definition,
    /// The state as of the last recorded entry.
    pub(crate) state: State,
    pub(crate) now: DateTime<Utc>,
    entries: Vec<Entry>,
    commands: Vec<CommandToSend>,
    pub(crate) children: Vec<ChildCall>,
}

/// The way in which one direction of a step begins.
enum Beginning<'a> {
    /// It sends a command.
    Send(&'a CommandSpec, Box<RawValue>),
    /// It waits for a signal, or takes one that is kept.
    Await(&'a SignalSpec),
    /// It starts a child saga with this input.
    Begin(&'a ChildSpec, Box<RawValue>),
    /// It has a child saga undone.
    Undo(SagaId),
    /// It waits for a time.
    Sleep(DateTime<Utc>),
    /// It has nothing to do, and is passed.
    Pass,
}

/// A failed attempt, before it is known what follows from it.
pub(crate) struct Failure {
    pub(crate) kind: FailureKind,
    pub(crate) code: String,
    pub(crate) message: String,
}

/// The kinds of failed attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FailureKind {
    /// It surely had no effect.
    Fault,
    /// A worker found it expired and did not start it: that was no attempt. An earlier sending may have had its effect.
    Expired,
    /// It may have taken effect.
    InDoubt,
    /// It took effect, and what it answers cannot be read: a worker repeats its answer, so asking again does not help.
    Unreadable,
}

impl FailureKind {
    const fn is_in_doubt(self) -> bool {
        match self {
            Self::Fault => false,
            Self::Expired | Self::InDoubt | Self::Unreadable => true,
        }
    }

    /// True when the command is sent again after `attempts` attempts.
    const fn lets_try_again(self, retry: &Retry, attempts: u16) -> bool {
        match self {
            Self::Fault | Self::InDoubt => retry.allows_another(attempts),
            Self::Expired => true,
            Self::Unreadable => retry.bound().is_some() && retry.allows_another(attempts),
        }
    }
}

impl<'a> Draft<'a> {
    pub(crate) fn new(definition: &'a Definition, state: State, now: DateTime<Utc>) -> Self {
        Self { definition, state, now, entries: Vec::new(), commands: Vec::new(), children: Vec::new() }
    }

    /// The decision; `otherwise` is the verdict when nothing was recorded.
    pub(crate) fn finish_or(self, otherwise: Verdict) -> Decision {
        let Self { entries, state, commands, children, .. } = self;
        let verdict = if entries.is_empty() { otherwise } else { Verdict::Accepted };
        Decision { entries, state, commands, children, verdict }
    }

    /// The decision of an input that counts.
    pub(crate) fn finish(self) -> Decision {
        self.finish_or(Verdict::Accepted)
    }

    pub(crate) fn record(&mut self, entry: Entry) {
        if self.entries.is_empty() {
            self.record_standing();
        }
        self.apply(entry);
    }

    /// Records first of all that the saga's clock stood, when it did and a deadline counts.
    fn record_standing(&mut self) {
        // A pause that froze it is accounted for at its end.
        if self.state.frozen_since().is_some() {
            return;
        }
        let since = own_time(&self.state, self.now);
        let counts = deadline(self.definition, &self.state).is_some_and(|deadline| deadline > since);
        if self.definition.fits(&self.state) && counts && since < self.now {
            self.apply(Entry::ClockStood { since, until: self.now });
        }
    }

    fn apply(&mut self, entry: Entry) {
        evolve(&mut self.state, &entry);
        self.entries.push(entry);
    }

    /// Dispatches the steps that have become ready, or ends the saga.
    pub(crate) fn advance(&mut self) {
        if self.state.status.is_final() {
            return;
        }
        let op = self.state.direction();
        let (ahead, end) = ahead(self.definition, &self.state);
        if ahead.finished {
            self.record(end);
        } else if !ahead.ready.is_empty() {
            self.dispatch(&ahead.ready, op);
        }
    }

    /// Records a failed attempt and what follows from it.
    pub(crate) fn fail(&mut self, step: &Step, op: Op, spec: &CommandSpec, failure: Failure) {
        let Some(progress) = self.state.progress(&step.name, op) else { return };
        let (attempt, attempts) = (progress.attempt, progress.attempts);
        let id = self.command_id(step, op, progress.generation);
        let Failure { kind, code, message } = failure;
        let again = kind.lets_try_again(&spec.retry, attempts);
        let retry_at = again.then(|| later(self.now, spec.retry.wait(&id, attempts)));
        let (code, message) = (cut_code(code), cut_error_text(message));
        self.record(Entry::CommandFailed {
            step: step.name.clone(),
            op,
            attempt,
            in_doubt: kind.is_in_doubt(),
            code: code.clone(),
            message: message.clone(),
            retry_at,
        });
        if !again {
            self.give_up(step, op, code, message);
        }
    }

    /// Records a business refusal and what follows from it. What failed in a child counts as its step's refusal, and is
    /// told as what it is: `refused` says that it was a business's no.
    pub(crate) fn refuse(&mut self, step: &Step, op: Op, code: String, message: String, refused: bool) {
        let (code, message) = (cut_code(code), cut_error_text(message));
        let (name, cause) = (step.name.clone(), (code.clone(), message.clone()));
        self.record(Entry::CommandRefused { step: name, op, code, message });
        let (code, message) = cause;
        self.follow_refusal(step, op, Cause { step: Some(step.name.clone()), code, message, refused });
    }

    /// Records the consequences of a business refusal.
    fn follow_refusal(&mut self, step: &Step, op: Op, cause: Cause) {
        let Cause { code, message, .. } = cause.clone();
        match (op, step.kind) {
            (Op::Action, StepKind::Compensatable | StepKind::Pivot) => self.turn_around(cause),
            // What the client is told is why: the code of the cause says what came of it.
            (Op::Extension, _) => self.turn_around(hold_expired(step, message, true)),
            (Op::Action, StepKind::Retriable) | (Op::Compensation, _) => self.ask_a_person(step, op, code, message),
        }
    }

    /// Turns the saga around: from here on it only undoes.
    pub(crate) fn turn_around(&mut self, cause: Cause) {
        // What can be kept no longer is undone in time, and not when the pause is over.
        if cause.code == CAUSE_HOLD_EXPIRED && !self.state.lets_holds_lapse() {
            self.end_pause();
        }
        self.record(Entry::CompensationStarted { cause });
        self.advance();
    }

    /// Turns the saga around when its deadline has passed and its pivot is not issued; true when it did.
    pub(crate) fn turn_around_at_deadline(&mut self) -> bool {
        let time = own_time(&self.state, self.now);
        let passed = deadline(self.definition, &self.state).is_some_and(|deadline| deadline <= time);
        if passed {
            let message = "the saga's deadline passed before its point of no return".to_owned();
            self.turn_around(Cause { step: None, code: CAUSE_DEADLINE_PASSED.to_owned(), message, refused: false });
        }
        passed
    }

    /// Ends the pause, when the saga is in one.
    pub(crate) fn end_pause(&mut self) {
        if self.state.pause.is_some() {
            self.record(Entry::SagaResumed { at: self.now });
        }
    }

    /// Lets a paused saga go on, with all that would have happened meanwhile.
    pub(crate) fn resume(&mut self) {
        self.end_pause();
        self.pass_time();
        self.advance();
    }

    /// Ends the waits whose time has come and sends the commands that have waited long enough, or turns the saga around
    /// at its deadline.
    pub(crate) fn pass_time(&mut self) {
        if self.turn_around_at_deadline() || self.keep_holds() {
            return;
        }
        self.end_waits();
        for op in ops(&self.state) {
            let due = |step: &&Step| {
                let phase = self.state.progress(&step.name, *op).map(|progress| &progress.phase);
                let (Some(Phase::Waiting { retry_at }), Some(spec)) = (phase, step.command(*op)) else { return false };
                is_due(*retry_at, spec, self.now)
            };
            let due: Vec<_> = self.definition.at_work(&self.state).iter().filter(due).collect();
            self.dispatch(&due, *op);
        }
    }

    /// Extends the holds that would not last, or turns the saga around where that is not possible any more; true when it
    /// did the latter. It is asked again before the pivot is issued, so it is the only place where a hold is judged.
    pub(crate) fn keep_holds(&mut self) -> bool {
        if self.state.lets_holds_lapse() {
            return false;
        }
        let now = self.now;
        let due: Vec<_> =
            holds(self.definition, &self.state).into_iter().filter(|hold| hold.next.at() <= now).collect();
        if let Some(hold) = due.iter().find(|hold| matches!(hold.next, HoldNext::GiveUp { .. })) {
            let until = hold.valid_until;
            let message = match hold.step.extension() {
                Some(_) => format!("what it holds until {until} was not extended in time"),
                None => format!("what it holds until {until} cannot be extended"),
            };
            self.turn_around(hold_expired(hold.step, message, false));
            return true;
        }
        for hold in due {
            let (step, HoldNext::Extend { give_up_at, window, .. }) = (hold.step, hold.next) else { continue };
            match self.beginning(step, Op::Extension) {
                Ok(Beginning::Send(spec, payload)) => {
                    let by = extend_by(now, give_up_at, window);
                    self.record(Entry::ExtensionBegun { step: step.name.clone(), by });
                    self.send(step, Op::Extension, spec, payload);
                }
                Ok(Beginning::Await(_) | Beginning::Sleep(_) | Beginning::Pass) => {}
                Ok(Beginning::Begin(..) | Beginning::Undo(_)) => {}
                Err(error) => {
                    self.turn_around(unbuildable(step, &error));
                    return true;
                }
            }
        }
        false
    }

    /// Ends the waits whose time has come. Timers first: what was done in time is not undone for a signal that is missed
    /// later.
    pub(crate) fn end_waits(&mut self) {
        if self.state.frozen_since().is_some() {
            return;
        }
        let over = waits_over(self.definition, &self.state, self.now);
        let (mut passed, mut missed) = (false, Vec::new());
        for step in over {
            match &step.forward {
                Forward::Timer { .. } => {
                    self.record(Entry::TimerFired { step: step.name.clone() });
                    passed = true;
                }
                Forward::Signal { signal, .. } if signal.is_optional => {
                    self.record(Entry::StepNotNeeded { step: step.name.clone() });
                    passed = true;
                }
                Forward::Signal { signal, .. } => missed.push((step, signal)),
                Forward::Command { .. } | Forward::Close { .. } | Forward::Child { .. } => {}
            }
        }
        for (step, signal) in missed {
            // The first one that is missed may have turned the saga around.
            if self.state.progress(&step.name, Op::Action).is_some_and(Progress::is_a_wait) {
                let message = format!("the signal `{}` did not come in time", signal.name);
                self.record(Entry::SignalMissed { step: step.name.clone(), message: message.clone() });
                let (name, code) = (Some(step.name.clone()), CAUSE_SIGNAL_MISSED.to_owned());
                self.follow_refusal(step, Op::Action, Cause { step: name, code, message, refused: true });
            }
        }
        if passed {
            self.advance();
        }
    }

    /// Begins one direction of these steps, all or none where a failure would turn the saga around: a command that is
    /// undone by the same decision is better not sent.
    pub(crate) fn dispatch(&mut self, steps: &[&'a Step], op: Op) {
        if self.state.holds_back(op) {
            return;
        }
        // A reply may be heard before the timer: what is held may have run out by now.
        if self.turn_around_at_deadline() || self.keep_holds() {
            return;
        }
        // The pivot waits for the extensions that are under way.
        let waits = |step: &Step| op == Op::Action && step.kind == StepKind::Pivot && is_extending(&self.state);
        let steps: Vec<_> = steps.iter().filter(|step| !waits(step)).collect();
        let mut beginnings = Vec::with_capacity(steps.len());
        for step in steps {
            match self.beginning(step, op) {
                Ok(beginning) => beginnings.push((*step, beginning)),
                Err(error) if may_turn_around(self.definition, &self.state) => {
                    self.turn_around(unbuildable(step, &error));
                    return;
                }
                Err(error) => self.ask_a_person(step, op, error.code().to_owned(), error.to_string()),
            }
        }
        let mut passed = false;
        for (step, beginning) in beginnings {
            match beginning {
                Beginning::Send(spec, payload) => self.send(step, op, spec, payload),
                Beginning::Await(signal) => passed |= self.take_or_await(step, signal),
                Beginning::Begin(spec, input) => self.begin_child(step, spec, input),
                Beginning::Undo(child) => self.undo_child(step, child),
                Beginning::Sleep(fire_at) => self.record(Entry::TimerSet { step: step.name.clone(), fire_at }),
                Beginning::Pass => {
                    self.record(Entry::StepNotNeeded { step: step.name.clone() });
                    passed = true;
                }
            }
        }
        if passed {
            self.advance();
        }
    }

    /// Starts a child saga and waits for its end.
    fn begin_child(&mut self, step: &Step, spec: &ChildSpec, input: Box<RawValue>) {
        let started = self.state.progress(&step.name, Op::Action).map_or(0, |progress| progress.generation);
        let parent = Parent { saga_id: self.state.saga_id, step: step.name.clone() };
        let child = child_id(&parent, started.saturating_add(1), self.now);
        let ChildSpec { name, version, .. } = *spec;
        self.record(Entry::ChildAwaited { step: step.name.clone(), op: Op::Action, child });
        self.children.push(ChildCall::Begin(ChildStart { child, parent, name, version, input: input.into() }));
    }

    /// Has a child saga undone and waits for its end.
    fn undo_child(&mut self, step: &Step, child: SagaId) {
        self.record(Entry::ChildAwaited { step: step.name.clone(), op: Op::Compensation, child });
        self.children.extend(undo_call(&self.state, child));
    }

    /// Lets a step take a signal that is kept, or wait for one; true when it took one.
    fn take_or_await(&mut self, step: &Step, signal: &SignalSpec) -> bool {
        let (step, name) = (step.name.clone(), signal.name.clone());
        if let Some(id) = kept(&self.state, &name) {
            self.record(Entry::SignalTaken { step, id });
            return true;
        }
        let miss_at = signal.within.map(|within| storable(later(self.now, within)));
        self.record(Entry::SignalAwaited { step, signal: name, miss_at });
        false
    }

    /// Sets the time anew at which a step goes on, or misses its signal.
    pub(crate) fn reschedule(&mut self, step: &Step, at: DateTime<Utc>) {
        let name = step.name.clone();
        match self.state.progress(&step.name, Op::Action).map(|progress| progress.phase.clone()) {
            Some(Phase::AwaitingTime { .. }) => self.record(Entry::TimerSet { step: name, fire_at: storable(at) }),
            Some(Phase::AwaitingSignal { signal, .. }) => {
                self.record(Entry::SignalAwaited { step: name, signal, miss_at: Some(storable(at)) });
            }
            Some(_) | None => {}
        }
    }

    fn give_up(&mut self, step: &Step, op: Op, code: String, message: String) {
        if op == Op::Extension {
            let message = format!("what it holds was not extended: {code}: {message}");
            self.turn_around(hold_expired(step, message, false));
        } else if may_turn_around(self.definition, &self.state) {
            self.turn_around(Cause { step: Some(step.name.clone()), code, message, refused: false });
        } else {
            self.ask_a_person(step, op, code, message);
        }
    }

    pub(crate) fn ask_a_person(&mut self, step: &Step, op: Op, code: String, message: String) {
        self.record(Entry::AttentionNeeded { step: step.name.clone(), op, code, message: cut_error_text(message) });
    }

    fn send(&mut self, step: &Step, op: Op, spec: &CommandSpec, payload: Box<RawValue>) {
        let unsent = Progress::default();
        let progress = self.state.progress(&step.name, op).unwrap_or(&unsent);
        // A refusal is sticky: only a new generation can be answered otherwise.
        // So is an answer: what is extended again is asked for anew.
        let next_generation = progress.generation == 0 || progress.refused || progress.is_done();
        let (generation, attempt) = if next_generation {
            (progress.generation.saturating_add(1), 1)
        } else {
            (progress.generation, progress.attempt.saturating_add(1))
        };
        let reply_by = later(self.now, spec.reply_within);
        let command_id = self.command_id(step, op, generation);
        let expires_at = expires_at(&self.state, step, op);
        self.commands.push(CommandToSend::new(spec, command_id, attempt, expires_at, payload));
        self.record(Entry::CommandDispatched { step: step.name.clone(), op, generation, attempt, reply_by });
    }

    fn beginning(&self, step: &'a Step, op: Op) -> Result<Beginning<'a>, MappingError> {
        if op == Op::Action && !self.is_needed(step)? {
            return Ok(Beginning::Pass);
        }
        match (op, &step.forward) {
            (Op::Action, Forward::Signal { signal, .. }) => Ok(Beginning::Await(signal)),
            (Op::Action, Forward::Timer { wake, divisor }) => {
                let wake = build_wake(self.definition, &self.state, step, wake)?;
                Ok(Beginning::Sleep(wake.time(self.now, *divisor)))
            }
            (Op::Action, Forward::Child { child, .. }) => {
                Ok(Beginning::Begin(child, build_payload(self.definition, &self.state, step, op)?))
            }
            (Op::Compensation, Forward::Child { .. }) => {
                let child = self.state.steps.get(&step.name).and_then(|touched| touched.child);
                child.map(Beginning::Undo).ok_or(MappingError::Mixed)
            }
            (Op::Action, Forward::Command { .. } | Forward::Close { .. }) | (Op::Compensation | Op::Extension, _) => {
                let spec = step.command(op).ok_or(MappingError::Mixed)?;
                Ok(Beginning::Send(spec, build_payload(self.definition, &self.state, step, op)?))
            }
        }
    }

    /// A command that was sent once stays needed: it may have taken effect. So does one that a person changed.
    fn is_needed(&self, step: &Step) -> Result<bool, MappingError> {
        let is_settled = |progress: &Progress| progress.was_issued() || progress.edited.is_some();
        match &step.needed {
            Some(needed) if !self.state.progress(&step.name, Op::Action).is_some_and(is_settled) => {
                is_needed(self.definition, &self.state, step, needed)
            }
            Some(_) | None => Ok(true),
        }
    }

    fn command_id(&self, step: &Step, op: Op, generation: u16) -> CommandId {
        CommandId { saga: self.state.saga_id, step: step.name.clone(), op, generation }
    }
}

/// The cause of a saga that lost what a step held.
fn hold_expired(step: &Step, message: String, refused: bool) -> Cause {
    Cause { step: Some(step.name.clone()), code: CAUSE_HOLD_EXPIRED.to_owned(), message, refused }
}

/// The cause of a saga whose definition could not make a step's command.
fn unbuildable(step: &Step, error: &MappingError) -> Cause {
    let (code, message) = (error.code().to_owned(), error.to_string());
    Cause { step: Some(step.name.clone()), code, message, refused: false }
}

/// The word to a child that is to be undone: for the cause of the saga itself, or that of a cancel which went on to it.
pub(crate) fn undo_call(state: &State, child: SagaId) -> Option<ChildCall> {
    let cancelled = || state.cancelled_child.as_ref().filter(|(told, _)| *told == child).map(|(_, cause)| cause);
    let cause = state.cause.as_ref().or_else(cancelled)?;
    Some(ChildCall::Undo { child, cause: Cause { step: None, ..cause.clone() } })
}

/// The code as it is journaled. It is a stable word, so a long one is cut rather than kept.
fn cut_code(mut code: String) -> String {
    if code.len() > CODE_BYTES_MAX {
        let end = (0..=CODE_BYTES_MAX).rev().find(|at| code.is_char_boundary(*at)).unwrap_or(0);
        code.truncate(end);
    }
    code
}
