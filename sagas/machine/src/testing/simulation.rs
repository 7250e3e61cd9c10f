//! The run of one saga from its start to its end, with time, loss, repetition, disorder and crashes.

use std::collections::{BTreeSet, VecDeque};

use chrono::{DateTime, TimeDelta, Utc};
use contract::{
    Document, SagaId, SignalId, StepName,
    command::Outcome,
    saga::{Action, Cause},
    step::{CommandId, Op},
};
use serde_json::Value;

use super::{
    check::check_run,
    dice::Dice,
    ended::Ended,
    participants::{Fate, Participants, Script},
};
use crate::{
    child::owed_to_children,
    decide::decide,
    decision::{ChildCall, ChildStart, CommandToSend, Decision, Verdict},
    definition::Definition,
    entry::Entry,
    evolve::evolve,
    holds::holds_until,
    input::{ChildEnd, Input, Operator, Signal, Terms},
    lint::ends_with_a_hold,
    next_wake::next_wake,
    record::{read_record, write_record},
    resume::resume,
    start::{StartError, start},
    state::{Phase, State},
    step::{SignalSpec, Step, Work},
};

/// The most events of one run: far more than any script leads to, so a run that reaches it goes in circles.
const EVENTS_MAX: usize = 200_000;

/// The time for which a domain is away: longer than any deadline of a test.
const AWAY_FOR: TimeDelta = TimeDelta::hours(2);

/// The time after which a person resumes a paused saga in which nothing happens by itself: longer than any deadline of a
/// test.
const PAUSED_FOR: TimeDelta = TimeDelta::hours(2);

/// The moments at which the orchestrator dies, between its commit and its first publishing unless it says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crash {
    /// It never dies.
    Never,
    /// It dies after that decision, the start being 0.
    After(usize),
    /// It dies after each decision.
    Always,
    /// It dies after each decision, once all of it is published.
    AlwaysOncePublished,
}

/// The plan of a run.
pub struct Simulation<'d> {
    definition: &'d Definition,
    input: Value,
    replies: &'d dyn Fn(&str) -> Value,
    script: Script,
    crash: Crash,
    repeat: bool,
    shuffle: Option<Dice>,
    impatient: bool,
    acts: VecDeque<(usize, Action)>,
    hold: Option<(&'static str, TimeDelta)>,
    saga_id: SagaId,
}

/// A message that is on its way.
enum Message {
    Command(CommandToSend),
    Reply { command_id: CommandId, attempt: u16, outcome: Outcome<Document> },
    DeadLetter { command_id: CommandId, attempt: u16 },
    Signal(Signal),
    Child(ChildCall),
}

struct Run<'d> {
    simulation: Simulation<'d>,
    state: State,
    journal: Vec<Vec<Entry>>,
    sent: Vec<CommandToSend>,
    participants: Participants,
    queue: Vec<Message>,
    late: Vec<CommandToSend>,
    /// Commands in the queues of domains that are away, with the time at which those are back.
    away: Vec<(DateTime<Utc>, CommandToSend)>,
    now: DateTime<Utc>,
    /// The steps whose signal was sent, or never will be.
    signaled: BTreeSet<StepName>,
}

impl<'d> Simulation<'d> {
    /// A run in which everything goes well. `replies` gives a reply of the right type for a command's name.
    pub fn new(definition: &'d Definition, input: Value, replies: &'d dyn Fn(&str) -> Value) -> Self {
        let saga_id = SagaId::from_uuid("01900000-0000-7000-8000-000000000001".parse().unwrap_or_default());
        Self {
            definition,
            input,
            replies,
            script: Script::clean(),
            crash: Crash::Never,
            repeat: false,
            shuffle: None,
            impatient: false,
            acts: VecDeque::new(),
            hold: None,
            saga_id,
        }
    }

    /// Sets what goes wrong.
    #[must_use]
    pub fn script(mut self, script: Script) -> Self {
        self.script = script;
        self
    }

    /// Sets when the orchestrator dies.
    #[must_use]
    pub const fn crash(mut self, crash: Crash) -> Self {
        self.crash = crash;
        self
    }

    /// Lets each message arrive twice.
    #[must_use]
    pub const fn repeat(mut self) -> Self {
        self.repeat = true;
        self
    }

    /// Lets messages arrive in any order.
    #[must_use]
    pub const fn shuffle(mut self, dice: Dice) -> Self {
        self.shuffle = Some(dice);
        self
    }

    /// Lets time pass also while messages are on their way; needs [`Simulation::shuffle`].
    #[must_use]
    pub const fn impatient(mut self) -> Self {
        self.impatient = true;
        self
    }

    /// Lets each reply that has this field say that what it tells of is held for so long.
    #[must_use]
    pub const fn holding(mut self, field: &'static str, time: TimeDelta) -> Self {
        self.hold = Some((field, time));
        self
    }

    /// Lets an operator act once that many decisions have followed the start, after the acts that were asked for
    /// before.
    #[must_use]
    pub fn act(mut self, decisions: usize, action: Action) -> Self {
        self.acts.push_back((decisions, action));
        self
    }

    /// Runs the saga until nothing more happens by itself, and checks the laws of any run.
    ///
    /// # Errors
    /// When the saga does not start with this input.
    pub fn run(self) -> Result<Ended, StartError> {
        let definition = self.definition;
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap_or_default();
        let decision = start(definition, self.saga_id, None, self.input.clone().into(), now)?;
        let mut run = Run {
            state: State::new(self.saga_id),
            participants: Participants::new(self.script.clone()),
            simulation: self,
            journal: Vec::new(),
            sent: Vec::new(),
            queue: Vec::new(),
            late: Vec::new(),
            away: Vec::new(),
            now,
            signaled: BTreeSet::new(),
        };
        run.send_early_signals();
        run.commit(decision);
        Ok(run.run_on(definition))
    }

    /// Lets a saga whose run has ended hear one more input, with participants that are well again, and runs on.
    #[must_use]
    pub fn go_on(definition: &'d Definition, ended: Ended, replies: &'d dyn Fn(&str) -> Value, input: &Input) -> Ended {
        let Ended { state, journal, sent, mut participants, now } = ended;
        participants.heal();
        let mut simulation = Simulation::new(definition, Value::Null, replies);
        simulation.saga_id = state.saga_id;
        let (queue, late, away) = (Vec::new(), Vec::new(), Vec::new());
        let signaled = state.signals.iter().filter_map(|signal| signal.taken_by.clone()).collect();
        let mut run = Run { simulation, state, journal, sent, participants, queue, late, away, now, signaled };
        run.hear(input);
        run.run_on(definition)
    }
}

impl Run<'_> {
    /// Runs until nothing more happens by itself, and checks the laws of any run.
    fn run_on(mut self, definition: &Definition) -> Ended {
        self.go_round();
        let Self { state, journal, sent, participants, now, .. } = self;
        let ended = Ended { state, journal, sent, participants, now };
        check_run(definition, &ended);
        ended
    }

    fn go_round(&mut self) {
        for _ in 0..EVENTS_MAX {
            if let Some((_, action)) =
                self.simulation.acts.pop_front_if(|(decisions, _)| *decisions < self.journal.len())
            {
                let operator = Operator { actor: "ann".into(), role: "operator".into(), reason: "because".into() };
                self.hear_perhaps_twice(&Input::Operator { operator, action, terms: Terms::default() });
                continue;
            }
            self.send_signals();
            let due = self.next_due();
            let back_at = self.away.iter().map(|(back_at, _)| *back_at).min();
            let due = due.filter(|(at, _)| back_at.is_none_or(|back_at| *at < back_at));
            if self.queue.is_empty() || (self.simulation.impatient && due.is_some() && self.roll(10) == 0) {
                if let Some((at, input)) = due {
                    self.now = self.now.max(at);
                    self.hear(&input);
                } else if let Some(back_at) = back_at {
                    self.now = self.now.max(back_at);
                    let away = std::mem::take(&mut self.away);
                    away.into_iter().for_each(|(_, command)| self.carry_out(&command, Fate::Do));
                } else if self.state.pause.is_some() {
                    self.now += PAUSED_FOR;
                    let operator = Operator { actor: "ann".into(), role: "operator".into(), reason: "because".into() };
                    self.hear(&Input::Operator { operator, action: Action::Resume {}, terms: Terms::default() });
                } else if !self.late.is_empty() {
                    let late = std::mem::take(&mut self.late);
                    late.into_iter().for_each(|command| self.carry_out(&command, Fate::Do));
                } else {
                    return;
                }
                continue;
            }
            let next = self.roll(self.queue.len());
            if self.simulation.impatient {
                // Now and then the orchestrator was away for a while: then replies are heard before what is due.
                let passed_ms = if self.roll(12) == 0 { 1 << self.roll(20) } else { 1 };
                self.now += TimeDelta::milliseconds(passed_ms);
            }
            match self.queue.remove(next) {
                Message::Command(command) => {
                    let fate = self.participants.script().fate(&command);
                    self.carry_out(&command, fate);
                    if self.simulation.repeat {
                        self.carry_out(&command, fate);
                    }
                }
                Message::Reply { command_id, attempt, outcome } => {
                    self.hear_perhaps_twice(&Input::Replied { command_id, attempt, outcome });
                }
                Message::Child(call) => self.child_called(&call),
                Message::Signal(signal) => self.hear_perhaps_twice(&Input::Signaled(signal)),
                Message::DeadLetter { command_id, attempt } => {
                    let reason = "delivery limit".to_owned();
                    self.hear_perhaps_twice(&Input::DeadLettered { command_id, attempt, reason });
                }
            }
        }
        panic!("the saga goes in circles: {:?}", self.journal.iter().rev().take(5).collect::<Vec<_>>());
    }

    /// The input that falls due first: a timer of the saga, or a reply that is missing because only its command's domain answers.
    fn next_due(&self) -> Option<(DateTime<Utc>, Input)> {
        let definition = self.simulation.definition;
        let timer = next_wake(definition, &self.state, self.now).map(|at| (at, Input::TimePassed));
        let replies = resume(definition, &self.state).into_iter().filter_map(|command| {
            let CommandId { step, op, .. } = &command.command_id;
            let reply_by = self.state.progress(step, *op)?.due_at()?;
            let away = self.away.iter().any(|(_, away)| away.command_id == command.command_id);
            let (command_id, attempt) = (command.command_id, command.attempt);
            (!away).then_some((reply_by, Input::ReplyMissing { command_id, attempt }))
        });
        replies.chain(timer).min_by_key(|(at, _)| *at)
    }

    /// Sends the signals that come before their steps are reached.
    fn send_early_signals(&mut self) {
        let definition = self.simulation.definition;
        for step in definition.steps() {
            if self.participants.script().fate_of_signal(step.name()) == Fate::Early {
                self.send_signal(step);
            }
        }
    }

    /// Sends the signals that steps wait for, but for those that never come.
    fn send_signals(&mut self) {
        let definition = self.simulation.definition;
        for step in definition.steps() {
            let awaited = self.state.progress(step.name(), Op::Action);
            let awaited = awaited.is_some_and(|at| matches!(at.phase, Phase::AwaitingSignal { .. }));
            if !awaited || self.signaled.contains(step.name()) {
                continue;
            }
            let within = matches!(step.work(), Work::Signal(SignalSpec { within: Some(_), .. }));
            let lapses = ends_with_a_hold(definition, step) && holds_until(definition, &self.state).is_some();
            let ends = within || lapses;
            match self.participants.script().fate_of_signal(step.name()) {
                Fate::LoseCommand | Fate::Refuse | Fate::DeadLetter if ends => {}
                _ => self.send_signal(step),
            }
        }
    }

    fn send_signal(&mut self, step: &Step) {
        let Work::Signal(SignalSpec { name, .. }) = step.work() else { return };
        let id: SignalId = step.name().as_str().parse().unwrap_or_else(|error| panic!("{error}"));
        let payload = (self.simulation.replies)(name.as_str()).into();
        self.signaled.insert(step.name().clone());
        self.queue.push(Message::Signal(Signal { id, name: name.clone(), payload, actor: None }));
    }

    fn roll(&mut self, sides: usize) -> usize {
        self.simulation.shuffle.as_mut().map_or(0, |dice| dice.below(sides))
    }

    fn carry_out(&mut self, command: &CommandToSend, fate: Fate) {
        match fate {
            Fate::LoseCommand => {}
            Fate::Late => self.late.push(command.clone()),
            Fate::Away => self.away.push((self.now + AWAY_FOR, command.clone())),
            Fate::DeadLetter => {
                let (command_id, attempt) = (command.command_id.clone(), command.attempt);
                self.queue.push(Message::DeadLetter { command_id, attempt });
            }
            Fate::Do | Fate::Early | Fate::Refuse | Fate::Fault | Fate::LoseReply | Fate::Garble | Fate::Expire => {
                let reply = self.reply(command.name).into();
                if let Some(outcome) = self.participants.handle(command, fate, reply) {
                    let (command_id, attempt) = (command.command_id.clone(), command.attempt);
                    self.queue.push(Message::Reply { command_id, attempt, outcome });
                }
            }
        }
    }

    fn reply(&self, command: &str) -> Value {
        let mut reply = (self.simulation.replies)(command);
        if let Some((field, time)) = self.simulation.hold
            && let Some(until) = reply.get_mut(field)
        {
            *until = Value::from((self.now + time).to_rfc3339());
        }
        reply
    }

    fn hear_perhaps_twice(&mut self, input: &Input) {
        self.hear(input);
        if self.simulation.repeat {
            self.hear(input);
        }
    }

    fn hear(&mut self, input: &Input) {
        let decision = decide(self.simulation.definition, self.state.clone(), input, self.now);
        assert!(!matches!(decision.verdict, Verdict::Unknown(_)), "an answer was not known: {input:?}");
        self.commit(decision);
    }

    /// Lets a child hear its parent. A child that is only asked has run to the end that its script says; one that is to be
    /// undone is undone, unless its step is a pivot and it is past its own.
    fn child_called(&mut self, call: &ChildCall) {
        let (child, undone) = match call {
            // It hears a cancel before anything else.
            ChildCall::Begin(ChildStart { child, .. }) | ChildCall::Ask { child } => {
                (*child, self.state.cancelled_child.as_ref().is_some_and(|(told, _)| told == child))
            }
            ChildCall::Undo { child, .. } => (*child, true),
        };
        let found = self.state.steps.iter().find(|(_, step)| step.child == Some(child));
        let Some(step) = found.map(|(name, _)| name.clone()) else { return };
        let generation = self.state.progress(&step, Op::Action).map_or(0, |progress| progress.generation);
        let refused = match self.participants.script().fate_of_signal(&step) {
            Fate::Do | Fate::Early | Fate::LoseReply | Fate::Late | Fate::Expire | Fate::Away => false,
            Fate::Refuse | Fate::Fault | Fate::LoseCommand | Fate::Garble | Fate::DeadLetter => generation == 1,
        };
        let cause = Cause { step: None, code: "no".into(), message: "the child was refused".into(), refused: true };
        let end = match undone || refused {
            true => ChildEnd::Compensated { cause: Some(cause) },
            false => ChildEnd::Completed { result: (self.simulation.replies)("child").into() },
        };
        self.hear_perhaps_twice(&Input::ChildEnded { child, end });
    }

    /// Commits, and then publishes, unless the orchestrator dies in between.
    fn commit(&mut self, decision: Decision) {
        let Decision { entries, state: reached, commands, children, verdict: _ } = decision;
        if entries.is_empty() {
            assert!(commands.is_empty() && children.is_empty(), "commands without a commit");
            assert_eq!(reached, self.state, "another state without a commit");
            return;
        }
        let stored = through_the_journal(&entries);
        assert_eq!(stored, entries, "an entry changes on its way through the journal");
        stored.iter().for_each(|entry| evolve(&mut self.state, entry));
        assert_eq!(reached, self.state, "replaying a decision gives another state than deciding it");
        let number = self.journal.len();
        self.journal.push(stored);
        match self.simulation.crash {
            // A child begins in the append itself.
            Crash::Always => self.recover(),
            Crash::After(at) if at == number => self.recover(),
            Crash::Never | Crash::After(_) => self.publish(commands, children),
            Crash::AlwaysOncePublished => {
                self.publish(commands, children);
                self.recover();
            }
        }
    }

    /// Rebuilds the state after a crash: memory is gone; the journal and the broker's queues are not.
    fn recover(&mut self) {
        let mut restored = State::new(self.simulation.saga_id);
        self.journal.iter().flatten().for_each(|entry| evolve(&mut restored, entry));
        assert_eq!(restored, self.state, "replaying gives another state than running");
        self.state = restored;
        let owed = owed_to_children(&self.state);
        self.publish(resume(self.simulation.definition, &self.state), owed);
    }

    fn publish(&mut self, commands: Vec<CommandToSend>, children: Vec<ChildCall>) {
        self.queue.extend(children.into_iter().map(Message::Child));
        self.sent.extend(commands.iter().cloned());
        self.queue.extend(commands.into_iter().map(Message::Command));
    }
}

fn through_the_journal(entries: &[Entry]) -> Vec<Entry> {
    let text = write_record(entries).unwrap_or_default();
    read_record(&text).unwrap_or_else(|error| panic!("{text} does not read back: {error}"))
}
