//! What must be outstanding right now, after a crash, a takeover or a lost broker: the journal is the outbox.

use chrono::{DateTime, Utc};
use contract::step::{CommandId, Op};

use crate::{
    decision::CommandToSend,
    definition::Definition,
    draft::{build_payload, pivot_issued},
    state::{Phase, State},
};

/// The commands to publish again: each that still awaits a reply, with the attempt that is journaled.
///
/// A command that cannot be built any more is left to its reply's deadline, which leads to a decision.
#[must_use]
pub fn resume(definition: &Definition, state: &State) -> Vec<CommandToSend> {
    let mut commands = Vec::new();
    if definition.fits(state) && !state.status.is_final() {
        let op = state.direction();
        let mut input = None;
        for step in definition.steps() {
            let Some(progress) = state.progress(&step.name, op) else { continue };
            let (Phase::Outstanding { reply_by }, Some(shape)) = (&progress.phase, step.shape(op)) else { continue };
            let Ok(payload) = build_payload(definition, state, step, op, &mut input) else { continue };
            let generation = progress.generation;
            commands.push(CommandToSend {
                command_id: CommandId { saga: state.saga_id, step: step.name.clone(), op, generation },
                attempt: progress.attempt,
                name: shape.name,
                version: shape.version,
                route: shape.route,
                deadline: *reply_by,
                payload,
            });
        }
    }
    commands
}

/// When something falls due by itself: a reply's deadline, a retry, or the saga's own deadline.
#[must_use]
pub fn next_wake(definition: &Definition, state: &State) -> Option<DateTime<Utc>> {
    if !definition.fits(state) || state.status.is_final() {
        return None;
    }
    let op = state.direction();
    let steps = definition.steps().iter().filter_map(|step| state.progress(&step.name, op)?.due_at());
    steps.chain(deadline(definition, state)).min()
}

/// The saga's deadline, while it may still turn the saga around.
pub(crate) fn deadline(definition: &Definition, state: &State) -> Option<DateTime<Utc>> {
    match state.direction() {
        Op::Action if !pivot_issued(definition, state) => state.deadline_at,
        Op::Action | Op::Compensation => None,
    }
}
