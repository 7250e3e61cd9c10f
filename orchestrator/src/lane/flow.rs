//! Flow control of a lane: how many commands may be under way to each domain, and whether a missing reply is a failure
//! or the silence of the whole domain.
//!
//! ```text
//!  admit --room--> under way --answer--> done with; the window grows
//!    |               |    |
//!    | no room       |    '--overdue, while what was sent later is answered--> missing: an attempt has failed
//!    v               |    '--overdue, and nothing later is answered--> the circuit opens: clocks stand, probes go out
//!   held <--not taken by the broker
//! ```
//!
//! A held command is journaled, so only its saga is remembered; `machine::resume` builds the command again when there is
//! room. Everything in here can be lost: the next owner of the shard resumes from the journal.

mod state;

use std::{
    collections::{BTreeSet, HashMap, HashSet, VecDeque},
    time::Duration,
};

use chrono::{DateTime, Utc};
use contract::{CommandId, Route, SagaId};
use machine::CommandToSend;
use tokio::time::Instant;

/// Commands under way to a domain at first, and after a takeover or a new connection: enough that a commit's batch is
/// not cut, few enough that the copies of a command that the owner before sent do no harm.
const WINDOW_FIRST: usize = 64;
/// The most: two full batches of a commit. More would only wait in the domain's queue.
const WINDOW_MAX: usize = 1_024;
/// After a domain was silent, one answer at a time shows that it is well again.
const WINDOW_AFTER_SILENCE: usize = 1;

/// The longest pause between two probes of a silent domain, in reply times of the probed command: five minutes for the
/// usual ten seconds. What waits in the domain's queue tells sooner that it is back.
const PROBE_PAUSE_REPLY_TIMES_MAX: u32 = 30;

/// The first pause before a queue is tried again that the broker did not take a command for.
const NOT_TAKEN_PAUSE_MIN: Duration = Duration::from_millis(100);
/// The longest one. A worker's queue that appears is found within it.
const NOT_TAKEN_PAUSE_MAX: Duration = Duration::from_secs(5);

/// The commands of one lane on their way to the domains.
#[derive(Debug)]
pub(super) struct Flow {
    routes: [RouteFlow; Route::ALL.len()],
    under_way: HashMap<CommandId, UnderWay>,
    /// The confirmed commands under way by the time at which their reply is due.
    due: BTreeSet<(Instant, CommandId)>,
    /// Whether the broker takes anything.
    ready: bool,
    /// The domains that are paused: nothing that was held leaves for them, and no probe.
    paused: [bool; Route::ALL.len()],
    /// The number of commands that were sent, which orders them.
    sent: u64,
    unconfirmed: usize,
}

/// A published command without an answer.
#[derive(Debug)]
struct UnderWay {
    route: Route,
    attempt: u16,
    /// Its place in the order of sending. A probe of it changes nothing: the copy before may be the one that is answered.
    order: u64,
    /// The place of its last copy.
    last_copy: u64,
    confirmed: bool,
    reply_within: Duration,
    expires_at: Option<DateTime<Utc>>,
    /// None before the broker has confirmed it, and while it stands.
    due: Option<Instant>,
}

/// The flow to one domain.
#[derive(Debug)]
struct RouteFlow {
    window: usize,
    under_way: usize,
    /// Sagas with commands that have no room yet, in order.
    held: VecDeque<SagaId>,
    is_held: HashSet<SagaId>,
    /// The place in the order of the latest command that was answered.
    answered: u64,
    circuit: Circuit,
}

#[derive(Debug)]
enum Circuit {
    Closed,
    Open(Open),
}

#[derive(Debug)]
struct Open {
    cause: Cause,
    since: Instant,
    /// The pause after the next probe.
    pause: Duration,
    pause_max: Duration,
    probe_at: Instant,
    /// The saga whose command is to be sent as a probe.
    probe: Option<SagaId>,
    /// Alternates between what is under way and what is held: a command that fells its worker must not be the only probe.
    probe_held: bool,
}

/// The reason why a circuit is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    /// The domain answers nothing. An answer closes the circuit.
    Silent,
    /// The broker does not take its commands. A confirm closes the circuit.
    NotTaken,
}

/// Where a command comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// From a decision or the journal: behind everything that is held.
    Fresh,
    /// It was held, or is a probe.
    Released,
    /// From the journal, after a takeover: the owner before may have sent it.
    Recovered,
}

/// An attempt whose reply is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Missing {
    pub(super) command_id: CommandId,
    pub(super) attempt: u16,
}

impl Flow {
    pub(super) fn new() -> Self {
        let routes = std::array::from_fn(|_| RouteFlow::new());
        Self {
            routes,
            under_way: HashMap::new(),
            due: BTreeSet::new(),
            ready: true,
            paused: [false; Route::ALL.len()],
            sent: 0,
            unconfirmed: 0,
        }
    }

    /// Decides whether a committed command is published now. If not, its saga is held, unless the same attempt is under
    /// way already.
    pub(super) fn admit(&mut self, command: &CommandToSend, way: Way) -> bool {
        let (id, saga) = (&command.command_id, command.command_id.saga);
        let route = &mut self.routes[place(command.route)];
        let is_probe = way == Way::Released && route.take_probe(saga);
        if let Some(out) = self.under_way.get_mut(id)
            && out.attempt == command.attempt
        {
            if is_probe {
                self.sent += 1;
                out.last_copy = self.sent;
            }
            return is_probe;
        }
        let room = match &route.circuit {
            Circuit::Closed => route.has_room() && (way == Way::Released || route.held.is_empty()),
            Circuit::Open(_) => is_probe,
        };
        if !(room && self.ready) {
            route.hold(saga);
            return false;
        }
        self.forget(id);
        self.sent += 1;
        let CommandToSend { route, attempt, reply_within, expires_at, .. } = *command;
        let (order, last_copy) = (self.sent, self.sent);
        let out = UnderWay { route, attempt, order, last_copy, confirmed: false, reply_within, expires_at, due: None };
        self.under_way.insert(id.clone(), out);
        self.routes[place(route)].under_way += 1;
        self.unconfirmed += 1;
        true
    }

    /// The broker has taken a command: from now on its reply is awaited.
    pub(super) fn confirmed(&mut self, id: &CommandId, attempt: u16, at: Instant) {
        let Some(out) = self.under_way.get_mut(id).filter(|out| out.attempt == attempt) else { return };
        let route = out.route;
        if !out.confirmed {
            out.confirmed = true;
            self.unconfirmed -= 1;
            let due = at + out.reply_within;
            out.due = Some(due);
            self.due.insert((due, id.clone()));
        }
        if self.routes[place(route)].is_open_because(Cause::NotTaken) {
            self.close(route, at);
        }
    }

    /// The broker has not taken a command: it stands until the queue, or the broker, takes commands again.
    pub(super) fn not_taken(&mut self, id: &CommandId, attempt: u16, at: Instant) {
        let Some(route) = self.under_way.get(id).filter(|out| out.attempt == attempt).map(|out| out.route) else {
            return;
        };
        self.forget(id);
        let route = &mut self.routes[place(route)];
        route.hold_first(id.saga);
        route.open(Cause::NotTaken, at, NOT_TAKEN_PAUSE_MIN, NOT_TAKEN_PAUSE_MAX, at + NOT_TAKEN_PAUSE_MIN);
    }

    /// A domain has answered an attempt, whatever it said.
    pub(super) fn answered(&mut self, id: &CommandId, attempt: u16, at: Instant) {
        let Some(out) = self.under_way.get(id) else { return };
        let (route, order, is_last) = (out.route, out.order, out.attempt == attempt);
        let flow = &mut self.routes[place(route)];
        // A window that is not used up proves nothing about a larger one.
        if flow.under_way * 2 >= flow.window {
            flow.window = (flow.window + 1).min(WINDOW_MAX);
        }
        if is_last {
            flow.answered = flow.answered.max(order);
            self.forget(id);
        }
        let flow = &self.routes[place(route)];
        if flow.is_open_because(Cause::Silent) {
            self.close(route, at);
        }
    }

    /// Nothing is known of a command any more.
    pub(super) fn forget(&mut self, id: &CommandId) {
        if let Some(out) = self.under_way.remove(id) {
            self.routes[place(out.route)].under_way -= 1;
            self.unconfirmed -= usize::from(!out.confirmed);
            if let Some(due) = out.due {
                self.due.remove(&(due, id.clone()));
            }
        }
    }

    /// The domain of a command that expires after `now`: a worker that found it expired has a clock that is ahead.
    pub(super) fn expires_after(&self, id: &CommandId, now: DateTime<Utc>) -> Option<Route> {
        let out = self.under_way.get(id)?;
        out.expires_at.filter(|expires_at| *expires_at > now).map(|_| out.route)
    }

    /// Judges what is overdue at a time up to which every reply that has arrived was heard: answers the attempts that
    /// have failed. A domain that has answered nothing later is silent: its commands stand.
    pub(super) fn judge(&mut self, heard_until: Instant) -> Vec<Missing> {
        let mut missing = Vec::new();
        while self.due.first().is_some_and(|(due, _)| *due <= heard_until) {
            let Some((_, id)) = self.due.pop_first() else { break };
            let Some(out) = self.under_way.get_mut(&id) else { continue };
            out.due = None;
            let (route, attempt, reply_within) = (&mut self.routes[place(out.route)], out.attempt, out.reply_within);
            if out.order < route.answered {
                self.forget(&id);
                missing.push(Missing { command_id: id, attempt });
            } else {
                // The first probe goes out at once: it may be a single message that was lost.
                let pause_max = reply_within * PROBE_PAUSE_REPLY_TIMES_MAX;
                if route.open(Cause::Silent, heard_until, reply_within, pause_max, heard_until) {
                    route.window = WINDOW_AFTER_SILENCE;
                }
            }
        }
        missing
    }

    /// Takes out the sagas whose commands may leave now: held ones as far as there is room, and one a silent domain as a
    /// probe. The caller resumes each and lets [`Flow::admit`] decide, then calls [`Flow::end_release`].
    pub(super) fn release(&mut self, now: Instant, max: usize) -> Vec<SagaId> {
        let mut released = Vec::new();
        if !self.ready {
            return released;
        }
        for route in Route::ALL.into_iter().filter(|route| !self.paused[place(*route)]) {
            let flow = &mut self.routes[place(route)];
            match &mut flow.circuit {
                Circuit::Closed => {
                    let room = flow.window.saturating_sub(flow.under_way).min(max.saturating_sub(released.len()));
                    released.extend((0..room).map_while(|_| flow.take_held()));
                }
                Circuit::Open(open) if open.probe_at <= now => {
                    let out = self.under_way.iter().filter(|(_, out)| out.route == route);
                    let out = out.min_by_key(|(_, out)| out.last_copy).map(|(id, _)| id.saga);
                    let held = flow.held.front().copied().filter(|_| open.probe_held || out.is_none());
                    open.probe_held = !open.probe_held;
                    open.probe_at = now + open.pause;
                    open.pause = (open.pause * 2).min(open.pause_max);
                    open.probe = held.or(out);
                    match open.probe {
                        Some(saga) => {
                            flow.is_held.remove(&saga);
                            flow.held.retain(|held| *held != saga);
                            released.push(saga);
                        }
                        // Nothing is left that could prove anything.
                        None => flow.circuit = Circuit::Closed,
                    }
                }
                Circuit::Open(_) => {}
            }
        }
        released
    }

    /// Ends a release. A probe that was not sent, because its saga awaits nothing of the domain any more, makes place
    /// for another one at once.
    pub(super) fn end_release(&mut self, now: Instant) {
        for route in Route::ALL {
            let Circuit::Open(open) = &mut self.routes[place(route)].circuit else { continue };
            let Some(saga) = open.probe.take() else { continue };
            open.probe_at = now;
            let of_saga =
                |(id, out): (&CommandId, &UnderWay)| (id.saga == saga && out.route == route).then(|| id.clone());
            let stale: Vec<_> = self.under_way.iter().filter_map(of_saga).collect();
            stale.iter().for_each(|id| self.forget(id));
        }
    }

    /// True when a release would find something.
    pub(super) fn can_release(&self) -> bool {
        let can =
            |flow: &RouteFlow| matches!(flow.circuit, Circuit::Closed) && flow.has_room() && !flow.held.is_empty();
        self.ready && self.routes.iter().zip(self.paused).any(|(flow, paused)| !paused && can(flow))
    }

    /// The next time at which a reply is due or a probe.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let probes = self.routes.iter().zip(self.paused).filter_map(|(flow, paused)| match &flow.circuit {
            Circuit::Open(open) if self.ready && !paused => Some(open.probe_at),
            Circuit::Open(_) | Circuit::Closed => None,
        });
        probes.chain(self.due.first().map(|(due, _)| *due)).min()
    }

    /// These domains are paused from now on, and no others.
    pub(super) fn pause(&mut self, routes: impl Iterator<Item = Route>) {
        self.paused = [false; Route::ALL.len()];
        routes.for_each(|route| self.paused[place(route)] = true);
    }

    /// True when this very attempt was published, and is not answered.
    pub(super) fn is_under_way(&self, command: &CommandToSend) -> bool {
        self.under_way.get(&command.command_id).is_some_and(|out| out.attempt == command.attempt)
    }

    /// The commands that were published and are not answered.
    pub(super) fn commands(&self) -> impl Iterator<Item = (&CommandId, Route)> {
        self.under_way.iter().map(|(id, out)| (id, out.route))
    }

    /// The broker takes nothing for now. What is under way stays so.
    pub(super) const fn broker_takes_none(&mut self) {
        self.ready = false;
    }

    /// The broker takes commands again.
    pub(super) const fn broker_takes_again(&mut self) {
        self.ready = true;
    }

    /// The broker is back over a new connection: whatever was under way may be lost. All of it is sent again, window by
    /// window.
    pub(super) fn begin_anew(&mut self) {
        self.ready = true;
        let mut lost: Vec<_> = self.under_way.drain().map(|(id, out)| (out.order, out.route, id.saga)).collect();
        lost.sort_unstable_by_key(|(order, _, _)| *order);
        self.due.clear();
        self.unconfirmed = 0;
        for flow in &mut self.routes {
            (flow.window, flow.under_way, flow.circuit) = (WINDOW_FIRST, 0, Circuit::Closed);
        }
        for (_, route, saga) in lost.into_iter().rev() {
            self.routes[place(route)].hold_first(saga);
        }
    }

    /// Commands that were published and not answered yet.
    pub(super) fn commands_under_way(&self) -> usize {
        self.under_way.len()
    }

    /// Commands that are committed and not with the broker: those of held sagas, and those without a confirm.
    pub(super) fn commands_unpublished(&self) -> usize {
        self.sagas_held() + self.unconfirmed
    }

    /// Sagas that wait for room on the way to a domain.
    pub(super) fn sagas_held(&self) -> usize {
        self.routes.iter().map(|flow| flow.held.len()).sum()
    }

    /// Every domain, and since when its circuit is open if it is.
    pub(super) fn circuits(&self) -> impl Iterator<Item = (Route, Option<Instant>)> {
        Route::ALL.into_iter().map(|route| match &self.routes[place(route)].circuit {
            Circuit::Open(open) => (route, Some(open.since)),
            Circuit::Closed => (route, None),
        })
    }

    /// Closes a circuit. What stood while the domain was silent is held from now on: it may be lost, or be answered in a
    /// moment. What was not overdue yet has its whole time from now.
    fn close(&mut self, route: Route, now: Instant) {
        self.routes[place(route)].circuit = Circuit::Closed;
        let mut stood = Vec::new();
        for (id, out) in self.under_way.iter_mut().filter(|(_, out)| out.route == route && out.confirmed) {
            match &mut out.due {
                Some(due) => {
                    self.due.remove(&(*due, id.clone()));
                    *due = now + out.reply_within;
                    self.due.insert((*due, id.clone()));
                }
                None => stood.push((out.order, id.clone())),
            }
        }
        stood.sort_unstable_by_key(|(order, _)| *order);
        for (_, id) in stood.into_iter().rev() {
            self.forget(&id);
            self.routes[place(route)].hold_first(id.saga);
        }
    }
}

impl RouteFlow {
    fn new() -> Self {
        let (held, is_held) = (VecDeque::new(), HashSet::new());
        Self { window: WINDOW_FIRST, under_way: 0, held, is_held, answered: 0, circuit: Circuit::Closed }
    }

    const fn has_room(&self) -> bool {
        self.under_way < self.window
    }

    fn hold(&mut self, saga: SagaId) {
        if self.is_held.insert(saga) {
            self.held.push_back(saga);
        }
    }

    fn hold_first(&mut self, saga: SagaId) {
        if self.is_held.insert(saga) {
            self.held.push_front(saga);
        }
    }

    fn take_held(&mut self) -> Option<SagaId> {
        let saga = self.held.pop_front()?;
        self.is_held.remove(&saga);
        Some(saga)
    }

    /// True when the saga's command is the probe that is due; it is only once.
    fn take_probe(&mut self, saga: SagaId) -> bool {
        match &mut self.circuit {
            Circuit::Open(open) => open.probe.take_if(|probe| *probe == saga).is_some(),
            Circuit::Closed => false,
        }
    }

    fn is_open_because(&self, cause: Cause) -> bool {
        matches!(&self.circuit, Circuit::Open(open) if open.cause == cause)
    }

    /// Opens the circuit unless it is open; true when it was closed.
    fn open(&mut self, cause: Cause, since: Instant, pause: Duration, pause_max: Duration, probe_at: Instant) -> bool {
        let closed = matches!(self.circuit, Circuit::Closed);
        if closed {
            let open = Open { cause, since, pause, pause_max, probe_at, probe: None, probe_held: false };
            self.circuit = Circuit::Open(open);
        }
        closed
    }
}

/// The place of a domain in the table.
const fn place(route: Route) -> usize {
    route as usize
}

#[cfg(test)]
mod tests;
