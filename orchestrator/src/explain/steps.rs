//! The steps of a saga with an outcome that is awaited, from a domain or a person.

use chrono::{DateTime, Utc};
use contract::{
    Route,
    orchestrator_api::{CommandPlace, OpenStep},
    step::{CommandId, Op, StepName},
};
use journal::Record;
use machine::{CommandSpec, Definition, Entry, Phase, Progress, State, Step};

use super::Facts;
use crate::messages::wire::StandsInLane;

/// The open steps, in the definition's order.
pub(super) fn open(facts: &Facts<'_>) -> Vec<OpenStep> {
    let view = |(step, op, spec, progress): (&Step, Op, &CommandSpec, &Progress)| {
        let (reply_by, retry_at) = match progress.phase {
            Phase::Outstanding { reply_by } => (Some(reply_by), None),
            Phase::Waiting { retry_at } => (None, Some(retry_at)),
            // A step that sends nothing has no place here.
            Phase::AwaitingSignal { .. } | Phase::AwaitingTime { .. } | Phase::AwaitingChild { .. } => (None, None),
            Phase::Idle | Phase::Done { .. } | Phase::Refused | Phase::GivenUp | Phase::Stuck => (None, None),
        };
        OpenStep {
            name: step.name().clone(),
            op,
            route: spec.route,
            command: spec.name.to_owned(),
            attempts: progress.attempts,
            attempts_max: spec.retry.bound(),
            command_is: reply_by.map(|_| place(facts, step, op, spec, progress)),
            sent_at: sent_at(&facts.stored.records, step.name(), op),
            reply_by,
            retry_at,
            error: progress.error.clone(),
        }
    };
    open_of(facts.definition, facts.state).map(view).collect()
}

/// The domains of the open steps, each once.
pub(super) fn routes(definition: &Definition, state: &State) -> Vec<Route> {
    let awaited: Vec<_> = open_of(definition, state).map(|(_, _, spec, _)| spec.route).collect();
    Route::ALL.into_iter().filter(|route| awaited.contains(route)).collect()
}

fn open_of<'a>(
    definition: &'a Definition,
    state: &'a State,
) -> impl Iterator<Item = (&'a Step, Op, &'a CommandSpec, &'a Progress)> {
    let of_step = move |step: &'a Step| {
        machine::ops(state).iter().filter_map(move |op| {
            let progress = state.progress(step.name(), *op).filter(|progress| progress.is_open())?;
            Some((step, *op, step.command(*op)?, progress))
        })
    };
    definition.at_work(state).iter().flat_map(of_step)
}

/// The place of a command that awaits its reply.
fn place(facts: &Facts<'_>, step: &Step, op: Op, spec: &CommandSpec, progress: &Progress) -> CommandPlace {
    let Some(StandsInLane { commands, held_for, paused, .. }) = facts.stands else { return CommandPlace::Unknown };
    let (saga, step) = (facts.state.saga_id, step.name().clone());
    let id = CommandId { saga, step, op, generation: progress.generation };
    match commands.iter().find(|command| command.command_id == id) {
        Some(command) => command.place,
        None if paused.iter().any(|held| held.command_id == id) => CommandPlace::Held,
        None if held_for.contains(&spec.route) => CommandPlace::Held,
        None => CommandPlace::Unknown,
    }
}

/// The time of the last sending.
fn sent_at(records: &[Record], name: &StepName, direction: Op) -> Option<DateTime<Utc>> {
    let sends =
        |entry: &Entry| matches!(entry, Entry::CommandDispatched { step, op, .. } if step == name && *op == direction);
    records.iter().rev().find(|record| record.entries.iter().any(sends)).map(|record| record.at)
}
