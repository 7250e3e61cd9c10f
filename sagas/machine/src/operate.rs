//! The decision on an operator's action, or the reason why it is not possible now.

use chrono::{DateTime, Utc};
use contract::{
    Document, Evidence, SagaId,
    limits::PAYLOAD_BYTES_MAX,
    saga::{Action, Cause, PauseClock, PausedHolds, SagaStatus, StepKind},
    step::{Op, StepName},
};
use serde_json::Value;

use crate::{
    codes::{
        CAUSE_GIVEN_UP, REFUSED_ACTION_EXPIRED, REFUSED_COMMAND_MISMATCH, REFUSED_DEFINITION_MISMATCH,
        REFUSED_EDIT_IMPOSSIBLE, REFUSED_MIGRATION_IMPOSSIBLE, REFUSED_PIVOT_PASSED, REFUSED_REPLY_MISMATCH,
        REFUSED_RESOLVE_IMPOSSIBLE, REFUSED_RETRY_IMPOSSIBLE, REFUSED_SAGA_CLOSING, REFUSED_SAGA_COMPENSATING,
        REFUSED_SAGA_FINISHED, REFUSED_SAGA_PAUSED, REFUSED_SKIP_IMPOSSIBLE, REFUSED_STEP_UNKNOWN,
        REFUSED_TIMER_NOT_SET,
    },
    decision::{Decision, Verdict},
    definition::Definition,
    draft::{Draft, undo_call},
    edit,
    entry::Entry,
    evolve::cancelled,
    input::{Operator, Terms},
    queries::pivot_issued,
    state::{Phase, Progress, State},
    step::Step,
    wake::storable,
};

/// Decides an operator's action.
pub(crate) fn operate(
    definition: &Definition,
    state: State,
    operator: &Operator,
    action: &Action,
    terms: Terms,
    now: DateTime<Utc>,
) -> Decision {
    if let Some(verdict) = judge(&state, terms, now) {
        return Decision::unchanged(state, verdict);
    }
    // Giving up needs no definition: it is the way out for a saga that no program knows any more.
    if !definition.fits(&state) && !matches!(action, Action::Abandon {}) {
        let State { name, version, fingerprint, .. } = &state;
        let message = format!("the saga was started under `{name}` version {version}, shape {fingerprint}");
        return refused(state, REFUSED_DEFINITION_MISMATCH, message);
    }
    let request_id = terms.request_id;
    let acted = Entry::OperatorActed { operator: operator.clone(), action: action.clone(), request_id };
    let mut draft = Draft::new(definition, state, now);
    let possible = match action {
        Action::Retry { step } => retry(&mut draft, acted, step.as_ref()),
        Action::Cancel {} => cancel(&mut draft, acted, operator),
        Action::Skip { step, reply, force } => skip(&mut draft, acted, step, reply.clone().into(), *force),
        Action::Edit { step, patch } => edit(&mut draft, acted, step, patch),
        Action::Resolve { step, evidence } => resolve(&mut draft, acted, step, evidence),
        Action::FireTimer { step } => fire_timer(&mut draft, acted, step),
        Action::RescheduleTimer { step, at } => reschedule_timer(&mut draft, acted, step, *at),
        Action::Pause { clock, holds } => pause(&mut draft, acted, *clock, *holds),
        Action::Resume {} => resume(&mut draft, acted),
        // Who knows the other version decides with both, see [`crate::migrate()`].
        Action::Migrate { version } => Err(Verdict::Refused {
            code: REFUSED_MIGRATION_IMPOSSIBLE,
            message: format!("this program does not know `{}` version {version}", definition.name),
        }),
        Action::Abandon {} => abandon(&mut draft, acted, operator),
    };
    match possible {
        Ok(()) => draft.finish(),
        // It was judged before anything was recorded.
        Err(verdict) => draft.finish_or(verdict),
    }
}

/// The verdict on an action that does not count, whatever it asks for.
pub(crate) fn judge(state: &State, terms: Terms, now: DateTime<Utc>) -> Option<Verdict> {
    let refused = |code, message: String| Some(Verdict::Refused { code, message });
    if terms.request_id.is_some_and(|request| state.requests.contains(&request)) {
        return Some(Verdict::Ignored("the request took effect before"));
    }
    if terms.expires_at.is_some_and(|expires_at| expires_at < now) {
        return refused(REFUSED_ACTION_EXPIRED, "the action reached the saga too late".to_owned());
    }
    let ended = ended(state.status)?;
    refused(REFUSED_SAGA_FINISHED, format!("{ended}: nothing can be done to it any more"))
}

fn refused(state: State, code: &'static str, message: String) -> Decision {
    Decision::unchanged(state, Verdict::Refused { code, message })
}

fn retry(draft: &mut Draft<'_>, acted: Entry, only: Option<&StepName>) -> Result<(), Verdict> {
    let definition = draft.definition;
    let op = draft.state.direction();
    if draft.state.pause.is_some() {
        return Err(paused("nothing is sent until it is resumed"));
    }
    let can = |step: &&Step| draft.state.progress(&step.name, op).is_some_and(|progress| progress.can_be_retried());
    let steps: Vec<&Step> = match only {
        Some(name) => vec![known(definition, name)?],
        None => definition.at_work(&draft.state).iter().collect(),
    };
    let chosen: Vec<_> = steps.into_iter().filter(can).collect();
    if chosen.is_empty() {
        let message = match only {
            Some(step) => format!(
                "{}; only what is stuck or waits for its next attempt can be retried",
                stands(&draft.state, step, op)
            ),
            None => "no step is stuck or waits for its next attempt".to_owned(),
        };
        return Err(Verdict::Refused { code: REFUSED_RETRY_IMPOSSIBLE, message });
    }
    draft.record(acted);
    draft.dispatch(&chosen, op);
    Ok(())
}

fn cancel(draft: &mut Draft<'_>, acted: Entry, operator: &Operator) -> Result<(), Verdict> {
    let refused = |code, message: &str| Err(Verdict::Refused { code, message: message.to_owned() });
    if draft.state.given_up.is_some() {
        return Err(closing(&draft.state));
    }
    if draft.state.cause.is_some() {
        return refused(REFUSED_SAGA_COMPENSATING, "the saga is being undone already");
    }
    if pivot_issued(draft.definition, &draft.state) {
        if let Some(child) = child_of_pivot(draft) {
            if draft.state.cancelled_child.as_ref().is_some_and(|(told, _)| *told == child) {
                return Err(Verdict::Ignored("its child was told already"));
            }
            // The saga turns around when its child has.
            draft.record(acted);
            draft.children.extend(undo_call(&draft.state, child));
            return Ok(());
        }
        return refused(
            REFUSED_PIVOT_PASSED,
            "the saga is past its point of no return: retry or skip what is stuck, or abandon it",
        );
    }
    draft.record(acted);
    // A cancel wants the saga undone now.
    draft.end_pause();
    draft.turn_around(cancelled(operator));
    Ok(())
}

/// The child that a pivot waits for.
fn child_of_pivot(draft: &Draft<'_>) -> Option<SagaId> {
    let pivots = draft.definition.steps.iter().filter(|step| step.kind == StepKind::Pivot);
    let mut phases = pivots.filter_map(|step| draft.state.progress(&step.name, Op::Action));
    phases.find_map(Progress::awaited_child)
}

fn skip(draft: &mut Draft<'_>, acted: Entry, name: &StepName, reply: Document, force: bool) -> Result<(), Verdict> {
    let definition = draft.definition;
    let op = draft.state.direction();
    let step = known(definition, name)?;
    // A command that is under way may be carried out, or refused, after its step was skipped. A signal is not.
    let possible =
        |progress: &Progress| progress.can_be_retried() || progress.is_a_wait() || (force && progress.is_open());
    let possible = draft.state.progress(name, op).is_some_and(possible);
    let Some(expected) = step.expected(op).filter(|_| possible) else {
        let stands = stands(&draft.state, name, op);
        let message = format!(
            "{stands}; only what is stuck, waits for a signal or for its next attempt can be skipped, or by force what is under way"
        );
        return Err(Verdict::Refused { code: REFUSED_SKIP_IMPOSSIBLE, message });
    };
    let mismatch = |why: String| {
        let message = format!("the reply is not {}: {why}", expected.what);
        Verdict::Refused { code: REFUSED_REPLY_MISMATCH, message }
    };
    let bytes = reply.text().len();
    if bytes > PAYLOAD_BYTES_MAX {
        return Err(mismatch(format!("it has {bytes} bytes, more than {PAYLOAD_BYTES_MAX}")));
    }
    expected.reading.check(&reply).map_err(|found| mismatch(found.to_string()))?;
    draft.record(acted);
    draft.record(Entry::StepSkipped { step: step.name.clone(), op, reply });
    draft.advance();
    Ok(())
}

/// Changes a command that is stuck or waits for its next attempt, and sends it, but for a pause. It keeps its id: where an
/// earlier sending took effect after all, the participant answers with what it did then, and does nothing twice.
fn edit(draft: &mut Draft<'_>, acted: Entry, name: &StepName, patch: &Value) -> Result<(), Verdict> {
    let (definition, op) = (draft.definition, draft.state.direction());
    let step = known(definition, name)?;
    let possible = draft.state.progress(name, op).is_some_and(Progress::can_be_retried);
    let Some(spec) = step.command(op).filter(|_| possible) else {
        let stands = stands(&draft.state, name, op);
        let message = format!("{stands}; only a command that is stuck or waits for its next attempt can be edited");
        return Err(Verdict::Refused { code: REFUSED_EDIT_IMPOSSIBLE, message });
    };
    let edited = edit::edit(definition, &draft.state, step, op, spec, patch).map_err(|why| {
        let message = format!("the outcome is not what `{}` takes, or nothing new: {why}", spec.name);
        Verdict::Refused { code: REFUSED_COMMAND_MISMATCH, message }
    })?;
    let (step_name, changes, payload) = (step.name.clone(), edited.changes, edited.payload);
    draft.record(acted);
    draft.record(Entry::CommandEdited { step: step_name, op, changes, payload });
    // A pause gives its author the time to look: the saga does not move on in between.
    if draft.state.pause.is_none() {
        draft.dispatch(&[step], op);
    }
    Ok(())
}

/// Takes a person's word, and evidence, that a compensation was done by hand.
fn resolve(draft: &mut Draft<'_>, acted: Entry, name: &StepName, evidence: &Evidence) -> Result<(), Verdict> {
    let step = known(draft.definition, name)?;
    let op = draft.state.direction();
    let stuck = draft.state.progress(name, Op::Compensation).is_some_and(Progress::can_be_retried);
    if op != Op::Compensation || !stuck {
        let stands = stands(&draft.state, name, op);
        let message = format!("{stands}; only a compensation that is stuck or waits for its next attempt is resolved");
        return Err(Verdict::Refused { code: REFUSED_RESOLVE_IMPOSSIBLE, message });
    }
    draft.record(acted);
    draft.record(Entry::CompensationResolved { step: step.name.clone(), evidence: evidence.clone() });
    draft.advance();
    Ok(())
}

/// Gives the saga up as it stands. Its business object must still come to an end that says so: where the definition names
/// the command for that, the saga is abandoned once it has taken effect.
fn abandon(draft: &mut Draft<'_>, acted: Entry, operator: &Operator) -> Result<(), Verdict> {
    let closes = draft.definition.fits(&draft.state) && draft.definition.closing.is_some();
    if !closes {
        draft.record(acted);
        draft.record(Entry::SagaAbandoned);
        return Ok(());
    }
    if draft.state.given_up.is_some() {
        return Err(closing(&draft.state));
    }
    draft.record(acted);
    // What is given up is closed now.
    draft.end_pause();
    let (code, message) = (CAUSE_GIVEN_UP.to_owned(), operator.reason.clone());
    draft.record(Entry::ClosingStarted { cause: Cause { step: None, code, message, refused: false } });
    draft.advance();
    Ok(())
}

fn closing(state: &State) -> Verdict {
    let message = format!("the saga is abandoned, and {}: retry or skip that step", {
        let step = state.steps.iter().find(|(_, step)| step.action.is_open());
        step.map_or_else(|| "is being closed".to_owned(), |(name, _)| stands(state, name, Op::Action))
    });
    Verdict::Refused { code: REFUSED_SAGA_CLOSING, message }
}

fn fire_timer(draft: &mut Draft<'_>, acted: Entry, name: &StepName) -> Result<(), Verdict> {
    let step = known(draft.definition, name)?;
    let phase = draft.state.progress(name, Op::Action).map(|progress| &progress.phase);
    if !matches!(phase, Some(Phase::AwaitingTime { .. })) {
        return Err(no_timer(&draft.state, name));
    }
    draft.record(acted);
    draft.record(Entry::TimerFired { step: step.name.clone() });
    draft.advance();
    Ok(())
}

fn reschedule_timer(draft: &mut Draft<'_>, acted: Entry, name: &StepName, at: DateTime<Utc>) -> Result<(), Verdict> {
    let step = known(draft.definition, name)?;
    let progress = draft.state.progress(name, Op::Action).filter(|progress| progress.is_a_wait());
    let Some(progress) = progress else { return Err(no_timer(&draft.state, name)) };
    if draft.state.frozen_since().is_some() {
        return Err(paused("its clock is frozen, and a new time means nothing until it is resumed"));
    }
    if progress.wake_at() == Some(storable(at)) {
        return Err(Verdict::Ignored("it is set to that time already"));
    }
    draft.record(acted);
    draft.reschedule(step, at);
    Ok(())
}

fn pause(draft: &mut Draft<'_>, acted: Entry, clock: PauseClock, holds: PausedHolds) -> Result<(), Verdict> {
    match draft.state.pause {
        None => {
            draft.record(acted);
            draft.record(Entry::SagaPaused { at: draft.now, clock, holds });
            Ok(())
        }
        Some(pause) if (pause.clock, pause.holds) == (clock, holds) => Err(Verdict::Ignored("it is paused already")),
        Some(_) => Err(paused("under other rules; resume it first")),
    }
}

fn resume(draft: &mut Draft<'_>, acted: Entry) -> Result<(), Verdict> {
    if draft.state.pause.is_none() {
        return Err(Verdict::Ignored("it is not paused"));
    }
    draft.record(acted);
    draft.resume();
    Ok(())
}

fn paused(why: &str) -> Verdict {
    Verdict::Refused { code: REFUSED_SAGA_PAUSED, message: format!("the saga is paused: {why}") }
}

fn no_timer(state: &State, name: &StepName) -> Verdict {
    let message = format!("{}: it waits for no time", stands(state, name, Op::Action));
    Verdict::Refused { code: REFUSED_TIMER_NOT_SET, message }
}

fn known<'d>(definition: &'d Definition, name: &StepName) -> Result<&'d Step, Verdict> {
    definition.step(name).ok_or_else(|| {
        let names: Vec<_> = definition.steps.iter().map(|step| step.name.as_str()).collect();
        let message = format!("`{}` has no step `{name}`; it has {}", definition.name, names.join(", "));
        Verdict::Refused { code: REFUSED_STEP_UNKNOWN, message }
    })
}

/// The phase of a step, as the beginning of a sentence.
fn stands(state: &State, step: &StepName, op: Op) -> String {
    let what = match op {
        Op::Action => "step",
        Op::Compensation => "the compensation of step",
        Op::Extension => "the extension of step",
    };
    match state.steps.get(step) {
        Some(touched) if touched.not_applicable => format!("step `{step}` does not apply to this saga"),
        Some(touched) => format!("{what} `{step}` is {}", touched.progress(op).phase),
        None => format!("{what} `{step}` is not sent"),
    }
}

/// The end of a saga in words, when it has ended.
const fn ended(status: SagaStatus) -> Option<&'static str> {
    match status {
        SagaStatus::Completed => Some("the saga is completed"),
        SagaStatus::Compensated => Some("the saga is compensated"),
        SagaStatus::Abandoned => Some("the saga is abandoned"),
        SagaStatus::Running | SagaStatus::Compensating | SagaStatus::NeedsAttention => None,
    }
}
