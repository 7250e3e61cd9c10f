//! The pauses of domains, definitions and steps, as a lane applies them: commands that they hold back are journaled and not
//! published, and leave when the pause ends.
//!
//! The clock of a saga whose command is held back stands, as while a domain is silent: it costs time and no attempt.
//! Compensations and extensions are held back by the pause of their domain alone, so that what is held elsewhere is kept or
//! undone in time.

use std::collections::{HashMap, HashSet, VecDeque};

use chrono::{DateTime, Utc};
use contract::{
    CommandId, Route, SagaId,
    orchestrator_api::{Pause, PauseScope},
    step::Op,
};
use machine::{CommandToSend, Phase};
use tokio::sync::watch;

use super::{
    flow::{Flow, Way},
    memory::Memory,
};
use crate::{
    messages::wire::{PauseCount, PausedCommand},
    saga_instance::SagaInstance,
};

/// The pauses that a lane knows, and the commands that they hold back.
#[derive(Debug)]
pub(super) struct Pauses {
    changed: watch::Receiver<u64>,
    /// True when those in force are to be read again.
    stale: bool,
    in_force: Vec<Pause>,
    held: HashMap<SagaId, Vec<Held>>,
    /// Sagas whose pause has ended.
    released: VecDeque<SagaId>,
}

/// A command that is held back.
#[derive(Debug)]
struct Held {
    scope: PauseScope,
    command_id: CommandId,
    route: Route,
    /// Of a command that the owner before may have sent: the time until which its reply may come.
    perhaps_until: Option<DateTime<Utc>>,
}

impl Pauses {
    pub(super) fn new(changed: watch::Receiver<u64>) -> Self {
        Self { changed, stale: true, in_force: Vec::new(), held: HashMap::new(), released: VecDeque::new() }
    }

    /// Waits until a pause has begun or ended. Nothing is lost when it is dropped while it waits.
    pub(super) async fn changed(&mut self) {
        if self.changed.changed().await.is_err() {
            // The journal is gone, and with it this lane.
            std::future::pending::<()>().await;
        }
        self.stale = true;
    }

    /// True when those in force are to be read again.
    pub(super) fn is_stale(&mut self) -> bool {
        if self.changed.has_changed().unwrap_or(false) {
            self.changed.mark_unchanged();
            self.stale = true;
        }
        self.stale
    }

    /// Takes over those that are in force now; what only others held back is released.
    pub(super) fn learn(&mut self, in_force: Vec<Pause>) {
        self.stale = false;
        let holds = |scope: &PauseScope| in_force.iter().any(|pause| pause.scope == *scope);
        for (saga, held) in &mut self.held {
            let before = held.len();
            held.retain(|held| holds(&held.scope));
            if held.len() < before {
                self.released.push_back(*saga);
            }
        }
        self.held.retain(|_, held| !held.is_empty());
        self.in_force = in_force;
    }

    /// The number of those in force.
    pub(super) fn in_force(&self) -> usize {
        self.in_force.len()
    }

    /// The domains that are paused.
    pub(super) fn routes(&self) -> impl Iterator<Item = Route> {
        self.in_force.iter().filter_map(|pause| match pause.scope {
            PauseScope::Domain(route) => Some(route),
            PauseScope::Definition { .. } | PauseScope::Step { .. } => None,
        })
    }

    /// Holds a command back, if a pause wants that; it has not been published by this lane.
    pub(super) fn hold(&mut self, saga: &SagaInstance, command: &CommandToSend, way: Way) -> bool {
        let id = &command.command_id;
        let Some(pause) = self.in_force.iter().find(|pause| applies(&pause.scope, saga, id, command.route)) else {
            return false;
        };
        let held = self.held.entry(id.saga).or_default();
        if !held.iter().any(|held| held.command_id == *id) {
            let (scope, command_id, route) = (pause.scope.clone(), id.clone(), command.route);
            let perhaps_until = match way {
                Way::Recovered => reply_by(saga, id),
                Way::Fresh | Way::Released => None,
            };
            held.push(Held { scope, command_id, route, perhaps_until });
        }
        true
    }

    /// Forgets the commands that a saga does not await any more.
    pub(super) fn prune(&mut self, saga: &SagaInstance) {
        let Some(held) = self.held.get_mut(&saga.id()) else { return };
        held.retain(|held| !saga.state.status.is_final() && reply_by(saga, &held.command_id).is_some());
        if held.is_empty() {
            self.held.remove(&saga.id());
        }
    }

    /// True when nothing of a saga is under way but commands that are held back.
    pub(super) fn hold_all_of(&self, saga: &SagaInstance) -> bool {
        let Some(held) = self.held.get(&saga.id()) else { return false };
        let mut awaited = saga.awaited();
        awaited.all(|(step, op)| held.iter().any(|held| held.command_id.step == *step && held.command_id.op == op))
    }

    /// Takes out sagas whose commands may leave now.
    pub(super) fn take_released(&mut self, max: usize) -> Vec<SagaId> {
        let count = self.released.len().min(max);
        self.released.drain(..count).collect()
    }

    /// True when there are sagas whose commands may leave now.
    pub(super) fn has_released(&self) -> bool {
        !self.released.is_empty()
    }

    /// The sagas with commands that are held back, or may leave now.
    pub(super) fn sagas(&self) -> HashSet<SagaId> {
        self.held.keys().chain(&self.released).copied().collect()
    }

    /// The commands of a saga that are held back.
    pub(super) fn of(&self, saga: SagaId) -> Vec<PausedCommand> {
        let since = |scope: &PauseScope| {
            let pause = self.in_force.iter().find(|pause| pause.scope == *scope);
            pause.map_or(DateTime::UNIX_EPOCH, |pause| pause.since)
        };
        let held = self.held.get(&saga).into_iter().flatten();
        let command = held.map(|Held { scope, command_id, route, .. }| PausedCommand {
            command_id: command_id.clone(),
            route: *route,
            scope: scope.clone(),
            since: since(scope),
        });
        command.collect()
    }

    /// Counts what a pause would hold back and is under way, and what it holds back. One that is not known yet is read at the
    /// next turn.
    pub(super) fn count(&mut self, scope: &PauseScope, flow: &Flow, memory: &Memory, now: DateTime<Utc>) -> PauseCount {
        let known = self.in_force.iter().any(|pause| pause.scope == *scope);
        self.stale |= !known;
        let under_way = flow.commands().filter(|(id, route)| match memory.get(id.saga) {
            Some(saga) => applies(scope, saga, id, *route),
            // Nothing speaks against it.
            None => may_apply(scope, id, *route),
        });
        let held = || self.held.values().flatten().filter(|held| held.scope == *scope);
        let perhaps = held().filter(|held| held.perhaps_until.is_some_and(|until| until > now));
        let held_sagas: HashSet<_> = held().map(|held| held.command_id.saga).collect();
        let under_way = (under_way.count() + perhaps.count()) as u64;
        PauseCount { known, under_way, held_sagas: held_sagas.len() as u64 }
    }
}

/// True when a command belongs to a scope.
fn applies(scope: &PauseScope, saga: &SagaInstance, id: &CommandId, route: Route) -> bool {
    let is_of = |name: &String, version: &u32| saga.state.name == *name && saga.state.version == *version;
    may_apply(scope, id, route)
        && match scope {
            PauseScope::Domain(_) => true,
            PauseScope::Definition { name, version } | PauseScope::Step { name, version, .. } => is_of(name, version),
        }
}

/// True when a command belongs to a scope, if its saga does.
fn may_apply(scope: &PauseScope, id: &CommandId, route: Route) -> bool {
    match scope {
        PauseScope::Domain(paused) => *paused == route,
        PauseScope::Definition { .. } => id.op == Op::Action,
        PauseScope::Step { step, .. } => id.op == Op::Action && id.step == *step,
    }
}

/// The time at which the reply to a command is due, while it is awaited.
fn reply_by(saga: &SagaInstance, id: &CommandId) -> Option<DateTime<Utc>> {
    let progress = saga.state.progress(&id.step, id.op).filter(|progress| progress.generation == id.generation)?;
    match progress.phase {
        Phase::Outstanding { reply_by } => Some(reply_by),
        Phase::Idle | Phase::Waiting { .. } | Phase::AwaitingSignal { .. } | Phase::AwaitingTime { .. } => None,
        Phase::AwaitingChild { .. } => None,
        Phase::Done { .. } | Phase::Refused | Phase::GivenUp | Phase::Stuck => None,
    }
}
