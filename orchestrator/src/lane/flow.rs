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
        Self { routes, under_way: HashMap::new(), due: BTreeSet::new(), ready: true, sent: 0, unconfirmed: 0 }
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
        for route in Route::ALL {
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
        self.ready && self.routes.iter().any(can)
    }

    /// The next time at which a reply is due or a probe.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let probes = self.routes.iter().filter_map(|flow| match &flow.circuit {
            Circuit::Open(open) if self.ready => Some(open.probe_at),
            Circuit::Open(_) | Circuit::Closed => None,
        });
        probes.chain(self.due.first().map(|(due, _)| *due)).min()
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
mod tests {
    use contract::{StepName, step::Op};

    use super::*;

    const REPLY_WITHIN: Duration = Duration::from_secs(10);

    /// A lane's flow to one domain, and its time.
    struct Lane {
        flow: Flow,
        now: Instant,
    }

    fn saga(number: usize) -> SagaId {
        SagaId::from_uuid(uuid::Uuid::from_u128(u128::try_from(number).unwrap()))
    }

    fn command(number: usize) -> CommandToSend {
        attempt(number, 1)
    }

    fn attempt(number: usize, attempt: u16) -> CommandToSend {
        let command_id =
            CommandId { saga: saga(number), step: StepName::new("hold").unwrap(), op: Op::Action, generation: 1 };
        CommandToSend {
            command_id,
            attempt,
            name: "flights.hold_seats",
            version: 1,
            route: Route::Flights,
            expires_at: None,
            reply_within: REPLY_WITHIN,
            payload: serde_json::value::to_raw_value(&()).unwrap(),
        }
    }

    impl Lane {
        fn new() -> Self {
            Self { flow: Flow::new(), now: Instant::now() }
        }

        /// Sends these and has them confirmed; answers those that found room.
        fn send(&mut self, numbers: std::ops::Range<usize>) -> Vec<usize> {
            let admitted: Vec<_> = numbers.filter(|number| self.flow.admit(&command(*number), Way::Fresh)).collect();
            for number in &admitted {
                self.flow.confirmed(&command(*number).command_id, 1, self.now);
            }
            admitted
        }

        fn answer(&mut self, number: usize) {
            self.flow.answered(&command(number).command_id, 1, self.now);
        }

        fn after(&mut self, time: Duration) -> Vec<SagaId> {
            self.now += time;
            self.judge()
        }

        fn judge(&mut self) -> Vec<SagaId> {
            self.flow.judge(self.now).into_iter().map(|missing| missing.command_id.saga).collect()
        }

        /// Lets go what may go; answers how many commands went.
        fn release(&mut self) -> usize {
            let released = self.flow.release(self.now, 10_000);
            let numbers = released.into_iter().map(|saga| usize::try_from(saga.uuid().as_u128()).unwrap());
            let admitted: Vec<_> = numbers.filter(|number| self.flow.admit(&command(*number), Way::Released)).collect();
            self.flow.end_release(self.now);
            for number in &admitted {
                self.flow.confirmed(&command(*number).command_id, 1, self.now);
            }
            admitted.len()
        }

        fn is_open(&self) -> bool {
            self.flow.circuits().any(|(route, since)| route == Route::Flights && since.is_some())
        }
    }

    #[test]
    fn what_is_over_the_window_is_held_and_follows_as_answers_come_in_order() {
        let mut lane = Lane::new();
        assert_eq!(lane.send(0..100).len(), WINDOW_FIRST);
        assert_eq!((lane.flow.commands_under_way(), lane.flow.sagas_held()), (WINDOW_FIRST, 36));
        assert!(!lane.flow.can_release());
        lane.answer(0);
        assert!(lane.flow.can_release());
        assert!(!lane.flow.admit(&command(200), Way::Fresh), "what is held comes first");
        assert_eq!(lane.release(), 2, "the window has grown, and one place is free");
        (1..64).for_each(|number| lane.answer(number));
        lane.release();
        assert_eq!(lane.flow.sagas_held(), 0);
    }

    #[test]
    fn a_window_that_is_not_used_does_not_grow_and_none_grows_without_end() {
        let mut lane = Lane::new();
        for number in 0..1_000 {
            assert_eq!(lane.send(number..number + 1).len(), 1);
            lane.answer(number);
        }
        assert_eq!(lane.send(1_000..1_100).len(), WINDOW_FIRST);
        let mut lane = Lane::new();
        lane.send(0..100_000);
        for number in 0..50_000 {
            lane.answer(number);
            lane.release();
        }
        assert_eq!(lane.flow.commands_under_way(), WINDOW_MAX);
    }

    #[test]
    fn a_reply_is_missing_when_its_domain_has_answered_what_was_sent_later() {
        let mut lane = Lane::new();
        lane.send(0..2);
        lane.answer(1);
        assert!(lane.after(REPLY_WITHIN - Duration::from_millis(1)).is_empty(), "it has its time");
        assert_eq!(lane.after(Duration::from_millis(1)), [saga(0)]);
        assert!(!lane.is_open());
        assert_eq!(lane.flow.commands_under_way(), 0);
    }

    #[test]
    fn a_domain_that_answers_nothing_is_silent_and_gets_one_probe_at_a_time() {
        let mut lane = Lane::new();
        lane.send(0..10);
        assert!(lane.after(REPLY_WITHIN).is_empty(), "silence is no attempt");
        assert!(lane.is_open());
        assert!(lane.send(10..1_000).is_empty());
        assert_eq!(lane.release(), 1, "the first probe goes out at once");
        assert_eq!(lane.release(), 0);
        let mut probes = 1;
        for _ in 0..15 * 60 {
            assert!(lane.after(Duration::from_secs(1)).is_empty());
            probes += lane.release();
        }
        // After 10, 20, 40, 80, 160 and 300 seconds, each from the one before.
        assert_eq!(probes, 7);
        assert!(lane.flow.commands_under_way() < 20);
    }

    #[test]
    fn any_answer_ends_the_silence_and_what_stood_is_sent_again_as_the_window_grows() {
        let mut lane = Lane::new();
        lane.send(0..10);
        lane.after(REPLY_WITHIN);
        lane.send(10..200);
        lane.after(Duration::from_secs(600));
        lane.answer(5);
        assert!(!lane.is_open());
        assert!(lane.judge().is_empty(), "those before it may be answered in a moment");
        assert_eq!((lane.flow.commands_under_way(), lane.flow.sagas_held()), (0, 199));
        let mut sent = Vec::new();
        while lane.flow.sagas_held() > 0 {
            sent.push(lane.release());
            let answered: Vec<_> = lane.flow.under_way.keys().cloned().collect();
            answered.iter().for_each(|id| lane.flow.answered(id, 1, lane.now));
        }
        assert_eq!(sent.iter().sum::<usize>(), 199);
        assert!(sent.len() < 15 && sent[0] == 2, "the window grows: {sent:?}");
    }

    #[test]
    fn after_a_silence_what_is_sent_again_and_then_not_answered_is_missing() {
        let mut lane = Lane::new();
        lane.send(0..3);
        lane.after(REPLY_WITHIN);
        lane.answer(1);
        assert_eq!(lane.release(), 2);
        lane.answer(0);
        assert_eq!(lane.send(3..4), [3]);
        lane.answer(3);
        assert_eq!(lane.after(REPLY_WITHIN), [saga(2)]);
    }

    #[test]
    fn a_command_that_fells_its_worker_is_not_the_only_probe() {
        let mut lane = Lane::new();
        lane.send(0..1);
        lane.after(REPLY_WITHIN);
        lane.send(1..3);
        assert_eq!(lane.release(), 1);
        lane.after(REPLY_WITHIN);
        assert_eq!(lane.release(), 1);
        assert_eq!(lane.flow.commands_under_way(), 2, "the second probe is another command");
    }

    #[test]
    fn a_probe_that_nothing_awaits_any_more_makes_place_for_another() {
        let mut lane = Lane::new();
        lane.send(0..2);
        lane.after(REPLY_WITHIN);
        for left in [1, 0] {
            assert_eq!(lane.flow.release(lane.now, 10).len(), 1);
            lane.flow.end_release(lane.now);
            assert_eq!(lane.flow.commands_under_way(), left);
        }
        assert!(lane.flow.release(lane.now, 10).is_empty());
        assert!(!lane.is_open(), "nothing is left that could prove anything");
    }

    #[test]
    fn the_clock_of_a_command_starts_when_the_broker_has_confirmed_it() {
        let mut lane = Lane::new();
        assert!(lane.flow.admit(&command(0), Way::Fresh));
        assert!(lane.after(Duration::from_secs(3_600)).is_empty());
        assert!(!lane.is_open());
        assert_eq!(lane.flow.next_due(), None);
        lane.flow.confirmed(&command(0).command_id, 1, lane.now);
        assert_eq!(lane.flow.next_due(), Some(lane.now + REPLY_WITHIN));
    }

    #[test]
    fn what_the_broker_does_not_take_is_tried_again_until_it_does() {
        let mut lane = Lane::new();
        assert!((0..3).all(|number| lane.flow.admit(&command(number), Way::Fresh)));
        (0..3).for_each(|number| lane.flow.not_taken(&command(number).command_id, 1, lane.now));
        assert_eq!((lane.flow.commands_under_way(), lane.flow.commands_unpublished()), (0, 3));
        assert_eq!(lane.flow.release(lane.now, 10), []);
        lane.now += NOT_TAKEN_PAUSE_MIN;
        assert_eq!(lane.release(), 1, "one is tried, and confirmed");
        assert!(!lane.is_open());
        assert_eq!(lane.release(), 2);
    }

    #[test]
    fn a_new_connection_sends_all_that_is_outstanding_again_window_by_window() {
        let mut lane = Lane::new();
        lane.send(0..500);
        lane.flow.broker_takes_none();
        assert_eq!((lane.release(), lane.flow.next_due().is_some()), (0, true));
        assert!(lane.send(500..501).is_empty());
        lane.flow.begin_anew();
        assert_eq!((lane.flow.commands_under_way(), lane.flow.sagas_held()), (0, 501));
        assert_eq!(lane.flow.release(lane.now, 3), [saga(0), saga(1), saga(2)], "in their order");
        assert_eq!(lane.release(), WINDOW_FIRST);
    }

    #[test]
    fn an_answer_to_an_earlier_attempt_proves_that_the_domain_lives_and_nothing_else() {
        let mut lane = Lane::new();
        lane.send(0..1);
        lane.flow.forget(&command(0).command_id);
        assert!(lane.flow.admit(&attempt(0, 2), Way::Fresh));
        lane.flow.confirmed(&attempt(0, 2).command_id, 2, lane.now);
        lane.after(REPLY_WITHIN);
        assert!(lane.is_open());
        lane.answer(0);
        assert!(!lane.is_open());
        assert_eq!(lane.flow.sagas_held(), 1, "the later attempt is still to be answered");
    }

    #[test]
    fn the_same_attempt_is_not_sent_twice_and_a_newer_one_takes_its_place() {
        let mut lane = Lane::new();
        lane.send(0..1);
        assert!(!lane.flow.admit(&command(0), Way::Fresh));
        assert!(lane.flow.admit(&attempt(0, 2), Way::Fresh));
        assert_eq!((lane.flow.commands_under_way(), lane.flow.sagas_held()), (1, 0));
    }
}
