//! A small vocabulary of commands, and sagas over it in a test's hands.

use std::time::Duration;

use chrono::{DateTime, Utc};
use contract::{
    Command, Document, SagaId, StepName,
    command::{FAULT_COMMAND_EXPIRED, Outcome, Route},
    saga::{Action, PauseClock, PausedHolds, SagaStatus, StepStatus},
    step::{CommandId, Op},
};
use machine::{
    Builder, ChildCall, ChildEnd, CommandToSend, Decision, Definition, Entry, Input, Operator, Phase, Retry, Signal,
    State, Terms, Verdict, Wake, describe,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The input of every test saga.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Trip {
    /// Steps with a condition look at one bit each.
    pub(crate) flags: u8,
    /// Repeated in each command.
    pub(crate) note: String,
}

/// The facts that steps learn: the texts of replies, in the order in which they are folded.
#[derive(Debug, Default)]
pub(crate) struct Learned {
    pub(crate) said: Vec<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Probe {
    pub(crate) note: String,
    pub(crate) said: Vec<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Echo {
    pub(crate) said: String,
    /// The time until which something is held, where the participant holds it.
    #[serde(default)]
    pub(crate) until: Option<DateTime<Utc>>,
}

impl Command for Probe {
    const NAME: &'static str = "order.probe";
    const VERSION: u16 = 1;
    const ROUTE: Route = Route::Order;
    type Reply = Echo;
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Unprobe {
    pub(crate) note: String,
    pub(crate) because: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Unprobed {}

impl Command for Unprobe {
    const NAME: &'static str = "order.unprobe";
    const VERSION: u16 = 2;
    const ROUTE: Route = Route::Order;
    type Reply = Unprobed;
}

pub(crate) fn probe(trip: &Trip, learned: &Learned) -> Probe {
    Probe { note: trip.note.clone(), said: learned.said.clone() }
}

pub(crate) fn unprobe(trip: &Trip, cause: &machine::Cause) -> Unprobe {
    Unprobe { note: trip.note.clone(), because: cause.code.clone() }
}

/// The payload of every signal.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Approval {
    pub(crate) approved_by: String,
}

pub(crate) fn learn_approval(learned: &mut Learned, approval: &Approval) {
    learned.said.push(approval.approved_by.clone());
}

pub(crate) fn learn(learned: &mut Learned, echo: &Echo) {
    learned.said.push(echo.said.clone());
}

/// A reply of the right type for each command.
pub(crate) fn replies(command: &str) -> Value {
    match command {
        "order.probe" => json!({"said": "yes"}),
        "order.unprobe" => json!({}),
        _ => json!({"approved_by": "ann"}),
    }
}

pub(crate) fn name(text: &str) -> StepName {
    StepName::new(text).unwrap()
}

pub(crate) fn trip(flags: u8) -> Value {
    json!({"flags": flags, "note": "a trip"})
}

/// Retries of what must succeed: short, without a bound.
pub(crate) const AGAIN: Retry = Retry::exponential(Duration::from_millis(100)).cap(Duration::from_secs(1));

/// Retries before the pivot: short, few.
pub(crate) const FEW: Retry =
    Retry::exponential(Duration::from_millis(100)).cap(Duration::from_secs(1)).attempts_max(4);

/// create (C) -> flights (C) beside rooms (C) -> confirm (P) -> tell (R) beside bill (R).
pub(crate) fn journey() -> Definition {
    let mut saga = Builder::<Trip, Learned>::new("journey", 1);
    saga.deadline(Duration::from_secs(120));
    let create = saga
        .step("create")
        .command(probe)
        .on_reply(learn)
        .compensate(unprobe)
        .retry(FEW)
        .compensation_retry(AGAIN)
        .add();
    let mut hold = |step: &str| {
        saga.step(step)
            .after([create])
            .command(probe)
            .on_reply(learn)
            .compensate(unprobe)
            .retry(FEW)
            .compensation_retry(AGAIN)
            .add()
    };
    let held = [hold("flights"), hold("rooms")];
    let confirm = saga.step("confirm").pivot().after(held).command(probe).retry(AGAIN).add();
    saga.step("tell").retriable().after([confirm]).command(probe).retry(AGAIN).add();
    saga.step("bill").retriable().after([confirm]).command(probe).retry(AGAIN).add();
    saga.build().unwrap()
}

/// create (C) -> approval (signal, an hour) -> cool-down (timer, a day) -> confirm (P) -> receipt (signal, an hour) (R).
pub(crate) fn approval() -> Definition {
    let mut saga = Builder::<Trip, Learned>::new("approval", 1);
    let create = saga.step("create").command(probe).on_reply(learn).compensate(unprobe).retry(FEW).add();
    let approval = saga
        .step("approval")
        .after([create])
        .signal::<Approval>("approval")
        .within(Duration::from_secs(3_600))
        .on_signal(learn_approval)
        .add();
    let cool_down =
        saga.step("cool-down").after([approval]).timer(|_, _| Wake::After(Duration::from_secs(86_400))).add();
    let confirm = saga.step("confirm").pivot().after([cool_down]).command(probe).retry(AGAIN).add();
    saga.step("receipt")
        .retriable()
        .after([confirm])
        .signal::<Approval>("receipt")
        .within(Duration::from_secs(3_600))
        .add();
    saga.build().unwrap()
}

/// authorize (C) -> action (signal, if it is needed) -> complete (C, if it is needed) -> capture (P).
pub(crate) fn payment() -> Definition {
    let mut saga = Builder::<Trip, Learned>::new("payment", 1);
    let authorize =
        saga.step("authorize").command(probe).on_reply(learn).compensate(unprobe).retry(FEW).compensation_retry(AGAIN);
    let authorize = authorize.add();
    let requires_action = |_: &Trip, learned: &Learned| learned.said.first().is_some_and(|said| said == "act");
    let action = saga.step("action").after([authorize]).if_needed(requires_action).signal::<Approval>("action");
    let action = action.within(Duration::from_secs(600)).add();
    let complete = saga.step("complete").after([action]).if_needed(requires_action).command(probe).retry(FEW);
    let complete = complete.compensate(unprobe).compensation_retry(AGAIN).add();
    saga.step("capture").pivot().after([complete]).command(probe).retry(AGAIN).add();
    saga.build().unwrap()
}

/// One saga in a test's hands.
pub(crate) struct Talk {
    pub(crate) definition: Definition,
    pub(crate) state: State,
    pub(crate) now: DateTime<Utc>,
    /// Of the last decision.
    pub(crate) sent: Vec<CommandToSend>,
    /// The words to children of the last decision.
    pub(crate) called: Vec<ChildCall>,
}

impl Talk {
    pub(crate) fn begin(definition: Definition, flags: u8) -> Self {
        let saga_id = SagaId::from_uuid(uuid::Uuid::from_u128(7));
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let Decision { state, commands: sent, children: called, .. } =
            machine::start(&definition, saga_id, None, trip(flags).into(), now).unwrap();
        Self { definition, state, now, sent, called }
    }

    /// Decides and moves along; the answer in words.
    pub(crate) fn hear(&mut self, input: &Input) -> String {
        let decision = machine::decide(&self.definition, self.state.clone(), input, self.now);
        let said = words(&decision, self.state.status);
        (self.state, self.sent, self.called) = (decision.state, decision.commands, decision.children);
        said
    }

    /// The child that a step started last.
    pub(crate) fn child(&self, step: &str) -> SagaId {
        let child = self.state.steps.get(&name(step)).and_then(|step| step.child);
        child.unwrap_or_else(|| SagaId::from_uuid(uuid::Uuid::from_u128(8)))
    }

    pub(crate) fn child_ends(&mut self, step: &str, end: ChildEnd) -> String {
        self.hear(&Input::ChildEnded { child: self.child(step), end })
    }

    pub(crate) fn command_id(&self, step: &str, op: Op) -> (CommandId, u16) {
        let progress = self.state.progress(&name(step), op);
        let generation = progress.map_or(1, |progress| progress.generation.max(1));
        let attempt = progress.map_or(1, |progress| progress.attempt.max(1));
        (CommandId { saga: self.state.saga_id, step: name(step), op, generation }, attempt)
    }

    pub(crate) fn reply(&self, step: &str, op: Op, outcome: Outcome<Value>) -> Input {
        let (command_id, attempt) = self.command_id(step, op);
        Input::Replied { command_id, attempt, outcome: outcome.map(Document::from) }
    }

    pub(crate) fn done(&mut self, step: &str) -> String {
        let input = self.reply(step, Op::Action, Outcome::done(json!({"said": step})));
        self.hear(&input)
    }

    pub(crate) fn says(&mut self, step: &str, said: &str) -> String {
        let input = self.reply(step, Op::Action, Outcome::done(json!({"said": said})));
        self.hear(&input)
    }

    pub(crate) fn undone(&mut self, step: &str) -> String {
        let input = self.reply(step, Op::Compensation, Outcome::done(json!({})));
        self.hear(&input)
    }

    pub(crate) fn refused(&mut self, step: &str, op: Op) -> String {
        let input = self.reply(step, op, Outcome::refused("no", "the business says no"));
        self.hear(&input)
    }

    pub(crate) fn faulted(&mut self, step: &str, op: Op) -> String {
        let input = self.reply(step, op, Outcome::faulted("broken", "it broke"));
        self.hear(&input)
    }

    /// Faults until the attempts are out.
    pub(crate) fn exhaust(&mut self, step: &str, op: Op) -> String {
        loop {
            let said = self.faulted(step, op);
            if !matches!(self.state.progress(&name(step), op).unwrap().phase, Phase::Waiting { .. }) {
                return said;
            }
            self.wait();
        }
    }

    /// An answer that cannot be read.
    pub(crate) fn garbled(&mut self, step: &str, op: Op) -> String {
        let input = self.reply(step, op, Outcome::done(json!(7)));
        self.hear(&input)
    }

    /// A worker finds the command expired.
    pub(crate) fn expired(&mut self, step: &str, op: Op) -> String {
        let input = self.reply(step, op, Outcome::faulted(FAULT_COMMAND_EXPIRED, "too late"));
        self.hear(&input)
    }

    /// Until the reply is due, which does not come, though others do.
    pub(crate) fn missing(&mut self, step: &str, op: Op) -> String {
        if let Some(Phase::Outstanding { reply_by }) = self.state.progress(&name(step), op).map(|at| &at.phase) {
            self.now = self.now.max(*reply_by);
        }
        let (command_id, attempt) = self.command_id(step, op);
        self.hear(&Input::ReplyMissing { command_id, attempt })
    }

    /// Until the next due time.
    pub(crate) fn wait(&mut self) -> String {
        self.now = self.next_wake().unwrap();
        self.hear(&Input::TimePassed)
    }

    /// The expiries of the commands of the last decision.
    pub(crate) fn sent_expiries(&self) -> Vec<Option<DateTime<Utc>>> {
        self.sent.iter().map(|command| command.expires_at).collect()
    }

    pub(crate) fn next_wake(&self) -> Option<DateTime<Utc>> {
        machine::next_wake(&self.definition, &self.state, self.now)
    }

    pub(crate) fn signal(&mut self, name: &str, id: &str) -> String {
        self.hear(&signal(name, id, json!({"approved_by": id})))
    }

    pub(crate) fn act(&mut self, action: Action) -> String {
        self.hear(&act(action))
    }
}

pub(crate) fn signal(name: &str, id: &str, payload: Value) -> Input {
    let (id, name, payload) = (id.parse().unwrap(), name.parse().unwrap(), payload.into());
    Input::Signaled(Signal { id, name, payload, actor: None })
}

pub(crate) fn act(action: Action) -> Input {
    let operator = Operator { actor: "ann".into(), role: "operator".into(), reason: "because".into() };
    Input::Operator { operator, action, terms: Terms::default() }
}

/// A decision in words: the entries, the verdict when there are none, and the status when it changes.
pub(crate) fn words(decision: &Decision, before: SagaStatus) -> String {
    let mut words: Vec<_> = decision.entries.iter().map(entry_words).collect();
    match &decision.verdict {
        Verdict::Accepted => {}
        Verdict::Ignored(why) => words.push(format!("ignored: {why}")),
        Verdict::Unknown(why) => words.push(format!("unknown: {why}")),
        Verdict::Refused { code, message } => words.push(format!("refused: {code}: {message}")),
    }
    let after = decision.state.status;
    if before != after {
        words.push(format!("=> {}", after.as_str()));
    }
    words.join("; ")
}

/// A pause that freezes the saga's clock and keeps what it holds.
pub(crate) fn pause() -> Action {
    Action::Pause { clock: PauseClock::Freeze, holds: PausedHolds::Keep }
}

fn entry_words(entry: &Entry) -> String {
    let way = |op: &Op| match op {
        Op::Action => "",
        Op::Compensation => "undo ",
        Op::Extension => "extend ",
    };
    match entry {
        Entry::SagaStarted { .. } => "started".into(),
        Entry::CommandDispatched { step, op, generation, attempt, .. } => {
            format!("send {}{step} {generation}.{attempt}", way(op))
        }
        Entry::CommandDone { step, op, .. } => format!("{}{step} done", way(op)),
        Entry::CommandRefused { step, op, code, .. } => format!("{}{step} refused ({code})", way(op)),
        Entry::CommandFailed { step, op, in_doubt, code, retry_at, .. } => {
            let doubt = if *in_doubt { ", in doubt" } else { "" };
            let then = if retry_at.is_some() { "waits" } else { "out of attempts" };
            format!("{}{step} failed ({code}{doubt}), {then}", way(op))
        }
        Entry::CompensationStarted { cause } => {
            format!(
                "turn around ({}{})",
                cause.step.as_ref().map_or(String::new(), |step| format!("{step}/")),
                cause.code
            )
        }
        Entry::AttentionNeeded { step, op, code, .. } => format!("{}{step} needs attention ({code})", way(op)),
        Entry::OperatorActed { operator, action, .. } => format!("{} acts: {}", operator.actor, action.as_str()),
        Entry::StepSkipped { step, op, .. } => format!("{}{step} skipped", way(op)),
        Entry::CommandEdited { step, op, changes, .. } => {
            changes.iter().fold(format!("{}{step} edited", way(op)), |words, change| words + " " + &change.pointer)
        }
        Entry::CompensationResolved { step, .. } => format!("undo {step} resolved by hand"),
        Entry::ClockStood { since, until } => format!("the clock stood for {} s", (*until - *since).num_seconds()),
        Entry::SignalAwaited { step, signal, miss_at } => {
            let end = if miss_at.is_some() { "for a time" } else { "without end" };
            format!("{step} awaits {signal} {end}")
        }
        Entry::SignalReceived { id, signal, .. } => format!("{signal} received ({id})"),
        Entry::SignalTaken { step, id } => format!("{step} takes {id}"),
        Entry::SignalMissed { step, .. } => format!("{step} misses its signal"),
        Entry::TimerSet { step, .. } => format!("{step} waits for its time"),
        Entry::TimerFired { step } => format!("the time of {step} comes"),
        Entry::ExtensionBegun { step, .. } => format!("{step} is to be extended"),
        Entry::DefinitionChanged { version, .. } => format!("now version {version}"),
        Entry::ClosingStarted { cause } => format!("close ({})", cause.code),
        Entry::ChildAwaited { step, op, .. } => format!("{}{step} awaits its child", way(op)),
        Entry::StepNotNeeded { step } => format!("{step} is not needed"),
        Entry::SagaPaused { clock, holds, .. } => format!("paused ({}, {})", clock.as_str(), holds.as_str()),
        Entry::SagaResumed { .. } => "resumed".into(),
        Entry::SagaCompleted => "completed".into(),
        Entry::SagaCompensated => "compensated".into(),
        Entry::SagaAbandoned => "abandoned".into(),
    }
}

pub(crate) fn begin() -> Talk {
    Talk::begin(journey(), 0)
}

pub(crate) fn at_pivot() -> Talk {
    let mut talk = begin();
    talk.done("create");
    talk.done("flights");
    talk.done("rooms");
    talk
}

pub(crate) fn status_of(talk: &Talk, step: &str) -> StepStatus {
    let steps = describe(&talk.definition, &talk.state);
    steps.iter().find(|view| view.name.as_str() == step).unwrap().status
}
