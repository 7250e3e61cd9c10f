//! The migration of a running saga to another version of its definition: which sagas a version can take over, and the
//! decision that lets it.
//!
//! A version takes a saga over when the saga could have come as far under it: what was done has the same meaning there,
//! and nothing that was passed over should have come before. All else stays as it is in the journal, and the saga goes on
//! from where it stands.

use chrono::{DateTime, Utc};
use contract::{
    saga::Action,
    step::{Op, StepName},
};

use crate::{
    codes::REFUSED_MIGRATION_IMPOSSIBLE,
    decision::{Decision, Verdict},
    definition::Definition,
    draft::Draft,
    entry::Entry,
    input::{Operator, Terms},
    operate::judge,
    start::{self, StartError},
    state::{Phase, State, StepState},
    step::{CommandSpec, Step, Work},
};

/// An obstacle to a migration. Its text is for the person who asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Obstacle {
    /// The saga is of that version already, or of another saga.
    #[error("the saga is of `{name}` version {version}, which is not another version of `{other}`")]
    NotAnother {
        /// The saga's definition.
        name: String,
        /// The saga's version.
        version: u32,
        /// The definition that was to take it over.
        other: String,
    },
    /// The other version could not have been started with the saga's input.
    #[error("the saga's input would not start that version: {0}")]
    Input(StartError),
    /// A step that was begun is not in the other version.
    #[error("step `{0}` was begun, and that version has no such step")]
    StepGone(StepName),
    /// A step that was begun has another meaning in the other version.
    #[error("step `{0}` was begun, and that version does something else in it")]
    StepChanged(StepName),
    /// A step that was begun does not apply to the saga's input in the other version.
    #[error("step `{0}` was begun, and does not apply in that version")]
    StepNotApplicable(StepName),
    /// A reply that came is not of the type that the other version reads.
    #[error("that version cannot read what step `{step}` ended with: {mismatch}")]
    ReplyUnreadable {
        /// The name of the step.
        step: StepName,
        /// The place in the reply, and what is wrong there.
        mismatch: String,
    },
    /// The other version has a step that should have come before one that was begun.
    #[error("that version has step `{missing}` before `{step}`, which was begun without it")]
    StepPassedOver {
        /// The step that was begun.
        step: StepName,
        /// The step that should have come before.
        missing: StepName,
    },
}

/// Everything that keeps `to` from taking over a saga that was started under `from`.
#[must_use]
pub fn obstacles(from: &Definition, to: &Definition, state: &State) -> Vec<Obstacle> {
    if from.name != to.name || from.version == to.version || !from.fits(state) {
        let (name, version, other) = (state.name.clone(), state.version, to.name.clone());
        return vec![Obstacle::NotAnother { name, version, other }];
    }
    let not_applicable = match start::names_not_applicable(to, &state.input) {
        Ok(names) => names,
        Err(error) => return vec![Obstacle::Input(error)],
    };
    let begun = state.steps.iter().filter(|(_, step)| step.was_begun());
    let mut found = Vec::new();
    for (name, touched) in begun {
        let Some(new) = to.step(name) else {
            found.push(Obstacle::StepGone(name.clone()));
            continue;
        };
        let same = from.step(name).is_some_and(|old| is_same(old, new) && extends_alike(old, new, touched));
        if !same {
            found.push(Obstacle::StepChanged(name.clone()));
        }
        if not_applicable.contains(name) {
            found.push(Obstacle::StepNotApplicable(name.clone()));
        }
        found.extend(unreadable(new, touched));
        if state.direction() == Op::Action {
            let passed_over = |before: &&Step| {
                let stands = state.steps.get(&before.name);
                let done = stands.is_some_and(|step| step.action.is_done());
                !done && !not_applicable.contains(&before.name) && !was_not_needed(before, state)
            };
            let missing = to.steps_in(new.ancestors).filter(passed_over);
            let (step, missing) = (name, missing.map(|before| before.name.clone()));
            found.extend(missing.map(|missing| Obstacle::StepPassedOver { step: step.clone(), missing }));
        }
    }
    found
}

/// Decides an operator's wish to let `to` take over a saga that was started under `from`.
#[must_use]
pub fn migrate(
    from: &Definition,
    to: &Definition,
    state: State,
    operator: &Operator,
    terms: Terms,
    now: DateTime<Utc>,
) -> Decision {
    if let Some(verdict) = judge(&state, terms, now) {
        return Decision::unchanged(state, verdict);
    }
    let found = obstacles(from, to, &state);
    if !found.is_empty() {
        let found: Vec<_> = found.iter().map(ToString::to_string).collect();
        let (code, message) = (REFUSED_MIGRATION_IMPOSSIBLE, found.join("; "));
        return Decision::unchanged(state, Verdict::Refused { code, message });
    }
    // It was read without an error a moment ago.
    let not_applicable = start::names_not_applicable(to, &state.input).unwrap_or_default();
    let not_needed = to.steps.iter().filter(|step| was_not_needed(step, &state)).map(|step| step.name.clone());
    let mut not_applicable: Vec<_> = not_applicable.into_iter().chain(not_needed).collect();
    not_applicable.sort_unstable();
    not_applicable.dedup();
    let (action, request_id) = (Action::Migrate { version: to.version }, terms.request_id);
    let mut draft = Draft::new(to, state, now);
    draft.record(Entry::OperatorActed { operator: operator.clone(), action, request_id });
    let (version, fingerprint) = (to.version, to.fingerprint.clone());
    draft.record(Entry::DefinitionChanged { version, fingerprint, not_applicable });
    draft.advance();
    draft.finish()
}

/// True when the saga came by the step and found that it is not needed. The other version would have found the same, or
/// has missed the signal.
fn was_not_needed(step: &Step, state: &State) -> bool {
    let passed = |touched: &StepState| touched.not_applicable && !touched.was_begun();
    let may_pass = step.is_perhaps_needed() || matches!(step.work(), Work::Signal(signal) if signal.is_optional);
    may_pass && state.steps.get(&step.name).is_some_and(passed)
}

/// True when a step means the same in both versions: its kind, its work and its undo.
fn is_same(old: &Step, new: &Step) -> bool {
    let same_work = match (old.work(), new.work()) {
        (Work::Command(old), Work::Command(new)) => is_same_command(old, new),
        (Work::Signal(old), Work::Signal(new)) => old.name == new.name && old.is_optional == new.is_optional,
        (Work::Child(old), Work::Child(new)) => (old.name, old.version) == (new.name, new.version),
        (Work::Timer, Work::Timer) => true,
        (Work::Command(_) | Work::Signal(_) | Work::Child(_) | Work::Timer, _) => false,
    };
    let same_undo = match (old.compensation(), new.compensation()) {
        (Some(old), Some(new)) => is_same_command(old, new),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    };
    old.kind == new.kind && same_work && same_undo
}

/// True when an extension that is under way is the other version's as well.
fn extends_alike(old: &Step, new: &Step, touched: &StepState) -> bool {
    match (old.extension(), new.extension()) {
        _ if !touched.extension.is_open() => true,
        (Some(old), Some(new)) => is_same_command(old, new),
        (Some(_) | None, _) => false,
    }
}

fn is_same_command(old: &CommandSpec, new: &CommandSpec) -> bool {
    (old.name, old.version, old.route) == (new.name, new.version, new.route)
}

fn unreadable(step: &Step, touched: &StepState) -> Option<Obstacle> {
    let Phase::Done { reply } = &touched.action.phase else { return None };
    let expected = step.expected(Op::Action)?;
    let mismatch = expected.reading.check(reply).err()?.to_string();
    Some(Obstacle::ReplyUnreadable { step: step.name.clone(), mismatch })
}
