//! The commands that must be outstanding right now, after a crash, a takeover or a lost broker: the journal is the
//! outbox.

use contract::step::CommandId;

use crate::{
    decision::CommandToSend,
    definition::Definition,
    payload::build_payload,
    queries::{expires_at, ops},
    state::{Phase, State},
};

/// The commands to publish again: each that still awaits a reply, with the attempt that is journaled.
///
/// A command that cannot be built any more is left out. Its saga stands until a person acts on it.
#[must_use]
pub fn resume(definition: &Definition, state: &State) -> Vec<CommandToSend> {
    if !definition.fits(state) || state.status.is_final() {
        return Vec::new();
    }
    let mut commands = Vec::new();
    for step in definition.at_work(state) {
        for op in ops(state).iter().copied() {
            let Some(progress) = state.progress(&step.name, op) else { continue };
            let (Phase::Outstanding { .. }, Some(spec)) = (&progress.phase, step.command(op)) else { continue };
            let Ok(payload) = build_payload(definition, state, step, op) else { continue };
            let generation = progress.generation;
            let command_id = CommandId { saga: state.saga_id, step: step.name.clone(), op, generation };
            let expires_at = expires_at(state, step, op);
            commands.push(CommandToSend::new(spec, command_id, progress.attempt, expires_at, payload));
        }
    }
    commands
}
