//! The decision on a signal: whom it wakes, whether it is kept for a step that is not reached yet, or why it is refused.
//!
//! However often signals come and in whatever order, each step takes one. A signal is journaled only when a step takes it
//! or will, so a saga holds at most one a step, and knows the id of each for good.

use chrono::{DateTime, Utc};
use contract::{SignalName, signal::SIGNAL_BYTES_MAX, step::Op};

use crate::{
    codes::{
        REFUSED_DEFINITION_MISMATCH, REFUSED_SAGA_FINISHED, REFUSED_SIGNAL_ID_REUSED, REFUSED_SIGNAL_MISMATCH,
        REFUSED_SIGNAL_UNKNOWN,
    },
    decision::{Decision, Verdict},
    definition::Definition,
    draft::Draft,
    entry::Entry,
    input::Signal,
    state::{Phase, State},
    step::{SignalSpec, Step, Work},
};

/// The consequence of a signal that counts.
enum Use<'d> {
    Wakes(&'d Step),
    IsKept,
}

/// Decides a signal.
pub(crate) fn signaled(definition: &Definition, state: State, signal: &Signal, now: DateTime<Utc>) -> Decision {
    let uses = match judge(definition, &state, signal) {
        Ok(uses) => uses,
        Err(verdict) => return Decision::unchanged(state, verdict),
    };
    let Signal { id, name, payload, actor } = signal.clone();
    let mut draft = Draft::new(definition, state, now);
    draft.record(Entry::SignalReceived { id: id.clone(), signal: name, actor, payload });
    match uses {
        Use::Wakes(step) => {
            draft.record(Entry::SignalTaken { step: step.name.clone(), id });
            draft.advance();
        }
        Use::IsKept => {}
    }
    draft.finish()
}

fn judge<'d>(definition: &'d Definition, state: &State, signal: &Signal) -> Result<Use<'d>, Verdict> {
    let Signal { id, name, payload, .. } = signal;
    if let Some(before) = state.signals.iter().find(|before| before.id == *id) {
        return Err(if before.name == *name && before.payload == *payload {
            Verdict::Ignored("the signal came before")
        } else {
            refused(
                REFUSED_SIGNAL_ID_REUSED,
                format!("another signal `{}` came before under the id `{id}`", before.name),
            )
        });
    }
    if state.status.is_final() {
        return Err(refused(REFUSED_SAGA_FINISHED, format!("the saga is {}", state.status.as_str())));
    }
    if !definition.fits(state) {
        let State { name, version, fingerprint, .. } = state;
        let message = format!("the saga was started under `{name}` version {version}, shape {fingerprint}");
        return Err(refused(REFUSED_DEFINITION_MISMATCH, message));
    }
    let awaiting: Vec<_> = awaited(definition).filter(|(_, spec)| spec.name == *name).collect();
    let Some((_, spec)) = awaiting.first() else { return Err(unknown(definition, name)) };
    check(spec, signal)?;
    if state.given_up.is_some() {
        return Err(Verdict::Ignored("the saga was given up"));
    }
    if state.direction() == Op::Compensation {
        return Err(Verdict::Ignored("the saga was turned around"));
    }
    let phase = |step: &Step| state.steps.get(&step.name).map_or(&Phase::Idle, |touched| &touched.action.phase);
    let waits = |step: &Step| matches!(phase(step), Phase::AwaitingSignal { .. } | Phase::Stuck);
    if let Some((step, _)) = awaiting.iter().find(|(step, _)| waits(step)) {
        return Ok(Use::Wakes(step));
    }
    let applies = |step: &Step| !state.steps.get(&step.name).is_some_and(|touched| touched.not_applicable);
    let ahead = awaiting.iter().filter(|(step, _)| applies(step) && *phase(step) == Phase::Idle).count();
    let kept = state.signals.iter().filter(|kept| kept.name == *name && kept.taken_by.is_none()).count();
    if ahead > kept { Ok(Use::IsKept) } else { Err(Verdict::Ignored("no step waits for it any more")) }
}

/// The steps that wait for signals, each with its signal.
fn awaited(definition: &Definition) -> impl Iterator<Item = (&Step, &SignalSpec)> {
    definition.steps.iter().filter_map(|step| match step.work() {
        Work::Signal(spec) => Some((step, spec)),
        Work::Command(_) | Work::Child(_) | Work::Timer => None,
    })
}

fn check(spec: &SignalSpec, signal: &Signal) -> Result<(), Verdict> {
    let mismatch = |why: String| {
        refused(REFUSED_SIGNAL_MISMATCH, format!("the payload is not what the signal `{}` carries: {why}", spec.name))
    };
    let bytes = signal.payload.text().len();
    if bytes > SIGNAL_BYTES_MAX {
        return Err(mismatch(format!("it has {bytes} bytes, more than {SIGNAL_BYTES_MAX}")));
    }
    spec.payload.check(&signal.payload).map_err(|found| mismatch(found.to_string()))
}

fn unknown(definition: &Definition, name: &SignalName) -> Verdict {
    let mut names: Vec<_> = awaited(definition).map(|(_, spec)| spec.name.as_str()).collect();
    names.dedup();
    let expected = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    let message = format!("`{}` waits for no signal `{name}`; expected are: {expected}", definition.name);
    refused(REFUSED_SIGNAL_UNKNOWN, message)
}

const fn refused(code: &'static str, message: String) -> Verdict {
    Verdict::Refused { code, message }
}
