//! The decision on one input: judges first whether the input counts; the draft then says what follows from it.

use chrono::{DateTime, Utc};
use contract::{
    Document,
    command::{FAULT_COMMAND_DEAD_LETTERED, FAULT_COMMAND_EXPIRED, Fault, Outcome, Refusal},
    step::{CommandId, Op},
};

use crate::{
    child::{child_ended, undone_by_parent},
    codes::{FAILURE_REPLY_MISSING, FAILURE_REPLY_UNREADABLE},
    decision::{Decision, Verdict},
    definition::Definition,
    draft::{Draft, Failure, FailureKind},
    entry::Entry,
    input::Input,
    operate::operate,
    queries::ops,
    signal::signaled,
    state::{Phase, Progress, State},
    step::{CommandSpec, Step},
};

/// Decides what one input leads to. Neither the input nor the state can make it panic; what does not count changes
/// nothing and says so in the verdict. The state goes in and comes out, and is not copied.
#[must_use]
pub fn decide(definition: &Definition, state: State, input: &Input, now: DateTime<Utc>) -> Decision {
    match input {
        Input::Replied { command_id, attempt, outcome } => {
            answered(definition, state, command_id, now, |awaited| awaited.replied(*attempt, outcome))
        }
        Input::DeadLettered { command_id, attempt, reason } => {
            // It may have taken effect each time before its worker fell over, so it stays in doubt.
            let (code, message) = (FAULT_COMMAND_DEAD_LETTERED.to_owned(), reason.clone());
            let failure = Failure { kind: FailureKind::InDoubt, code, message };
            answered(definition, state, command_id, now, |awaited| awaited.attempt_failed(*attempt, failure))
        }
        Input::ReplyMissing { command_id, attempt } => {
            answered(definition, state, command_id, now, |awaited| awaited.reply_missing(*attempt))
        }
        Input::Signaled(signal) => signaled(definition, state, signal, now),
        Input::ChildEnded { child, end } => child_ended(definition, state, *child, end, now),
        Input::Undo { cause } => undone_by_parent(definition, state, cause, now),
        Input::TimePassed => time_passed(definition, state, now),
        Input::Operator { operator, action, terms } => operate(definition, state, operator, action, *terms, now),
    }
}

/// A command whose outcome still counts.
struct Awaited<'a> {
    definition: &'a Definition,
    state: State,
    step: &'a Step,
    op: Op,
    spec: &'a CommandSpec,
    now: DateTime<Utc>,
}

fn answered<'a>(
    definition: &'a Definition,
    state: State,
    id: &CommandId,
    now: DateTime<Utc>,
    then: impl FnOnce(Awaited<'a>) -> Decision,
) -> Decision {
    match judge(definition, &state, id) {
        Ok((step, spec)) => then(Awaited { definition, state, step, op: id.op, spec, now }),
        Err(verdict) => Decision::unchanged(state, verdict),
    }
}

/// Judges whether an answer to this command still counts (S13, S14).
fn judge<'a>(
    definition: &'a Definition,
    state: &State,
    id: &CommandId,
) -> Result<(&'a Step, &'a CommandSpec), Verdict> {
    let never_sent = || Verdict::Unknown(format!("this saga never sent `{id}`"));
    if id.saga != state.saga_id {
        return Err(never_sent());
    }
    let sent = state.progress(&id.step, id.op).filter(|progress| progress.was_issued());
    let progress = sent.ok_or_else(never_sent)?;
    if id.generation == 0 || id.generation > progress.generation {
        return Err(never_sent());
    }
    if state.status.is_final() {
        return Err(Verdict::Ignored("the saga has ended"));
    }
    if !definition.fits(state) {
        return Err(Verdict::Ignored("the saga was started under another definition"));
    }
    if id.generation < progress.generation || progress.refused {
        return Err(Verdict::Ignored("it was refused before"));
    }
    if state.given_up.is_some() && definition.closing().is_none_or(|closing| *closing.name() != id.step) {
        return Err(Verdict::Ignored("the saga was given up"));
    }
    if !ops(state).contains(&id.op) {
        return Err(Verdict::Ignored("the saga was turned around"));
    }
    match progress.phase {
        Phase::Outstanding { .. } | Phase::Waiting { .. } | Phase::Stuck => {}
        Phase::Done { .. } => return Err(Verdict::Ignored("it was done before")),
        Phase::Refused => return Err(Verdict::Ignored("it was refused before")),
        // A step that waits for a signal, a time or a child has sent nothing.
        Phase::AwaitingSignal { .. } | Phase::AwaitingTime { .. } | Phase::AwaitingChild { .. } => {
            return Err(never_sent());
        }
        Phase::Idle | Phase::GivenUp => return Err(Verdict::Ignored("it was given up")),
    }
    definition.command(&id.step, id.op).ok_or(Verdict::Ignored("the definition has no such command"))
}

impl<'a> Awaited<'a> {
    fn replied(self, attempt: u16, outcome: &Outcome<Document>) -> Decision {
        match outcome {
            Outcome::Done { reply } => match self.spec.reply.check(reply) {
                Ok(()) => {
                    let (step, op) = (self.step.name.clone(), self.op);
                    let mut draft = self.draft();
                    draft.record(Entry::CommandDone { step, op, reply: reply.clone() });
                    draft.advance();
                    draft.finish()
                }
                Err(mismatch) => {
                    let message = format!("the reply is not what `{}` answers: {mismatch}", self.spec.name);
                    let code = FAILURE_REPLY_UNREADABLE.to_owned();
                    // It says itself that it took effect; only what it answers is lost.
                    self.attempt_failed(attempt, Failure { kind: FailureKind::Unreadable, code, message })
                }
            },
            Outcome::Refused(Refusal { code, message }) => {
                let (step, op) = (self.step, self.op);
                let mut draft = self.draft();
                draft.refuse(step, op, code.clone(), message.clone(), true);
                draft.finish()
            }
            Outcome::Faulted(Fault { code, message }) => {
                let expired = code == FAULT_COMMAND_EXPIRED;
                let kind = if expired { FailureKind::Expired } else { FailureKind::Fault };
                self.attempt_failed(attempt, Failure { kind, code: code.clone(), message: message.clone() })
            }
        }
    }

    fn reply_missing(self, attempt: u16) -> Decision {
        let message = format!("`{}` was not answered within {:?}", self.spec.name, self.spec.reply_within);
        let code = FAILURE_REPLY_MISSING.to_owned();
        self.attempt_failed(attempt, Failure { kind: FailureKind::InDoubt, code, message })
    }

    /// A failure says nothing about any attempt but its own.
    fn attempt_failed(self, attempt: u16, failure: Failure) -> Decision {
        let is_awaited =
            |progress: &Progress| matches!(progress.phase, Phase::Outstanding { .. }) && progress.attempt == attempt;
        if !self.state.progress(&self.step.name, self.op).is_some_and(is_awaited) {
            return Decision::unchanged(self.state, Verdict::Ignored("another attempt is awaited"));
        }
        let (step, op, spec) = (self.step, self.op, self.spec);
        let mut draft = self.draft();
        draft.fail(step, op, spec, failure);
        draft.finish()
    }

    fn draft(self) -> Draft<'a> {
        Draft::new(self.definition, self.state, self.now)
    }
}

fn time_passed(definition: &Definition, state: State, now: DateTime<Utc>) -> Decision {
    let mut draft = Draft::new(definition, state, now);
    let is_open = definition.fits(&draft.state) && !draft.state.status.is_final();
    if is_open {
        draft.pass_time();
    }
    draft.finish_or(Verdict::Ignored("nothing is due"))
}
