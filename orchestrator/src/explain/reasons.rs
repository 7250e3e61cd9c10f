//! The reasons why a saga is not moving, the most important first: a function of what is known.

use chrono::TimeDelta;
use contract::{
    orchestrator_api::{CircuitCause, CommandPlace, DomainState, OpenStep, SagaPause, StandstillReason},
    step::Op,
};
use journal::Quarantined;
use machine::{Phase, Step, Work};

use super::Facts;
use crate::{messages::wire::PausedCommand, view};

/// How long something may be overdue before its lane is taken to have forgotten it: a lane hears the clock within a turn,
/// and not within a second of a new connection.
const FORGOTTEN_AFTER: TimeDelta = TimeDelta::seconds(10);

/// The word for a step that is stuck without an error of its own.
const STUCK: &str = "stuck";

/// All reasons; at least one.
pub(super) fn of(facts: &Facts<'_>, steps: &[OpenStep], domains: &[DomainState]) -> Vec<StandstillReason> {
    let mut reasons: Vec<_> = facts.quarantined.map(quarantined).into_iter().collect();
    reasons.extend(view::pause(facts.state).map(paused));
    reasons.extend(steps.iter().filter(|step| waits_for_person(step)).map(person_awaited));
    let waiting: Vec<_> = steps.iter().filter(|step| !waits_for_person(step)).collect();
    // What is left alone hears nothing, so nothing else holds it up.
    let waits: Vec<_> = facts.definition.steps().iter().filter_map(|step| of_wait(facts, step)).collect();
    let nothing = steps.is_empty() && waits.is_empty();
    let is_paused = facts.state.pause.is_some();
    if facts.quarantined.is_none() && (nothing && !is_paused || is_forgotten(facts, &waiting)) {
        reasons.push(StandstillReason::Orphaned {});
    }
    if !waiting.is_empty() {
        reasons.extend(of_lane(facts));
        reasons.extend(domains.iter().filter_map(of_circuit));
        reasons.extend(domains.iter().filter_map(of_queue));
    }
    reasons.extend(waiting.into_iter().filter_map(|step| of_pause(facts, step).or_else(|| of_step(step, domains))));
    reasons.extend(waits);
    reasons
}

/// A saga that is left alone.
pub(super) fn quarantined(quarantined: &Quarantined) -> StandstillReason {
    let Quarantined { saga_id: _, code, detail, since } = quarantined.clone();
    StandstillReason::Quarantined { code, detail, since }
}

const fn paused(SagaPause { since, clock, holds: _, quiescent }: SagaPause) -> StandstillReason {
    StandstillReason::Paused { since, clock, quiescent }
}

/// A step that sends nothing, and waits for a signal, for a time, for a child, or for a person after its signal was missed.
fn of_wait(facts: &Facts<'_>, step: &Step) -> Option<StandstillReason> {
    let is_a_wait = match step.work() {
        Work::Signal(_) | Work::Timer | Work::Child(_) => true,
        Work::Command(_) => false,
    };
    let op = if matches!(step.work(), Work::Child(_)) { facts.state.direction() } else { Op::Action };
    let progress = facts.state.progress(step.name(), op).filter(|_| is_a_wait)?;
    let name = step.name().clone();
    match &progress.phase {
        Phase::AwaitingSignal { signal, miss_at } => {
            Some(StandstillReason::SignalAwaited { step: name, signal: signal.clone(), miss_at: *miss_at })
        }
        Phase::AwaitingTime { fire_at } => Some(StandstillReason::TimeAwaited { step: name, at: *fire_at }),
        Phase::AwaitingChild { child } => {
            let found = facts.children.iter().find(|found| found.id == *child);
            Some(StandstillReason::ChildAwaited {
                step: name,
                op,
                child: *child,
                status: found.and_then(|found| found.status),
                paused: found.is_some_and(|found| found.paused),
                quarantine: found.and_then(|found| found.quarantine.clone()),
            })
        }
        Phase::Stuck => {
            let code = progress.error.as_ref().map_or_else(|| STUCK.to_owned(), |error| error.code.clone());
            Some(StandstillReason::PersonAwaited { step: name, op, code })
        }
        Phase::Idle | Phase::Outstanding { .. } | Phase::Waiting { .. } => None,
        Phase::Done { .. } | Phase::Refused | Phase::GivenUp => None,
    }
}

const fn waits_for_person(step: &OpenStep) -> bool {
    step.reply_by.is_none() && step.retry_at.is_none()
}

fn person_awaited(step: &OpenStep) -> StandstillReason {
    let code = step.error.as_ref().map_or_else(|| STUCK.to_owned(), |error| error.code.clone());
    StandstillReason::PersonAwaited { step: step.name.clone(), op: step.op, code }
}

/// True when the lane, which has loaded its shard, knows nothing of what the journal says is under way or overdue.
fn is_forgotten(facts: &Facts<'_>, waiting: &[&OpenStep]) -> bool {
    let Some(stands) = facts.stands.filter(|stands| facts.at_rest && !stands.lane.taking_over) else { return false };
    waiting.iter().any(|step| match (step.command_is, step.retry_at) {
        (Some(CommandPlace::Unknown), _) => true,
        // A pause holds retries back.
        (None, Some(_)) if facts.state.pause.is_some() => false,
        (None, Some(at)) => stands.lane.wakes_at.is_none() && facts.now - at > FORGOTTEN_AFTER,
        (Some(CommandPlace::Held | CommandPlace::Published | CommandPlace::Confirmed), _) | (None, None) => false,
    })
}

fn of_lane(facts: &Facts<'_>) -> Option<StandstillReason> {
    let shard = facts.shard;
    let Some(stands) = facts.stands else { return Some(StandstillReason::LaneSilent { shard }) };
    if stands.lane.taking_over && !stands.lane.loaded {
        return Some(StandstillReason::TakeoverUnderWay { shard });
    }
    (!stands.lane.broker_takes).then_some(StandstillReason::BrokerTakesNothing {})
}

fn of_circuit(domain: &DomainState) -> Option<StandstillReason> {
    let (route, circuit) = (domain.route, domain.flow.as_ref()?.circuit?);
    Some(match circuit.cause {
        CircuitCause::DomainSilent => {
            StandstillReason::DomainSilent { route, since: circuit.since, next_probe_at: circuit.next_probe_at }
        }
        CircuitCause::QueueRefuses => StandstillReason::QueueRefuses { route, since: circuit.since },
    })
}

fn of_queue(domain: &DomainState) -> Option<StandstillReason> {
    let queue = domain.queue.filter(|queue| queue.consumers == 0)?;
    Some(StandstillReason::ConsumersMissing { route: domain.route, messages: queue.messages })
}

/// A command that a pause of its domain, definition or step holds back.
fn of_pause(facts: &Facts<'_>, open: &OpenStep) -> Option<StandstillReason> {
    let is_of = |paused: &&PausedCommand| paused.command_id.step == open.name && paused.command_id.op == open.op;
    let PausedCommand { scope, since, .. } = facts.stands?.paused.iter().find(is_of)?.clone();
    Some(StandstillReason::CommandPaused { step: open.name.clone(), op: open.op, scope, since })
}

fn of_step(open: &OpenStep, domains: &[DomainState]) -> Option<StandstillReason> {
    let (step, op, route) = (open.name.clone(), open.op, open.route);
    if let Some(at) = open.retry_at {
        let code = open.error.as_ref().map_or_else(String::new, |error| error.code.clone());
        return Some(StandstillReason::AttemptAwaited { step, op, at, code });
    }
    let reply_by = open.reply_by?;
    let flow = domains.iter().find(|domain| domain.route == route).and_then(|domain| domain.flow.as_ref());
    match (open.command_is?, flow) {
        // A silent domain, or a queue that takes nothing, is named by itself.
        (CommandPlace::Held, Some(flow)) if flow.circuit.is_none() => {
            Some(StandstillReason::RoomAwaited { step, route, window: flow.window })
        }
        (CommandPlace::Published, _) => Some(StandstillReason::ConfirmAwaited { step, route }),
        (CommandPlace::Held | CommandPlace::Confirmed | CommandPlace::Unknown, _) => {
            let since = open.sent_at.unwrap_or(reply_by);
            Some(StandstillReason::ReplyAwaited { step, op, route, since, reply_by })
        }
    }
}
