//! The explanation why a saga stands where it stands: as data, and as one sentence.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::PauseScope;
use crate::{
    command::Route,
    ids::SagaId,
    saga::{Cause, PauseClock, SagaStatus},
    signal::SignalName,
    step::{Op, StepName},
};

/// Why one saga is not moving, and which acts are possible now.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Explanation {
    /// The id of the saga.
    pub saga_id: SagaId,
    /// The saga's status; absent when the saga cannot be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<SagaStatus>,
    /// The journal's last number; 0 when the saga cannot be read.
    pub head: u64,
    /// The most important reasons in words for people.
    pub sentence: String,
    /// All reasons, the most important first; never empty.
    pub reasons: Vec<StandstillReason>,
    /// The steps with an outcome that is awaited, from a domain or a person.
    pub steps: Vec<OpenStep>,
    /// The domains that these steps wait for.
    pub domains: Vec<DomainState>,
    /// The lane of the saga's shard; absent when it gave no answer in time, and for a saga that has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lane: Option<LaneState>,
    /// The time when the saga is given up, while it may still be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_at: Option<DateTime<Utc>>,
    /// The time since which the saga's clock stands: something of it is overdue, and its deadline moves by as much.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_stands_since: Option<DateTime<Utc>>,
    /// The time when the engine next looks at the saga by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_wake_at: Option<DateTime<Utc>>,
    /// The acts of operators that the saga would take now.
    pub possible: Vec<PossibleAct>,
}

/// A reason why a saga is not moving. The order is that of their importance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum StandstillReason {
    /// The saga has ended.
    Ended {
        /// The status that it ended in.
        status: SagaStatus,
        /// The time of its end.
        at: DateTime<Utc>,
    },
    /// The saga is left alone until a person releases it.
    Quarantined {
        /// The word for the reason.
        code: String,
        /// The reason in words.
        detail: String,
        /// The time from which it is left alone.
        since: DateTime<Utc>,
    },
    /// The orchestrator that was asked cannot read the saga; its lane may run a program that can.
    Unreadable {
        /// The word for the reason.
        code: String,
        /// The reason in words.
        detail: String,
    },
    /// The saga is paused, and sends nothing new until a person resumes it.
    Paused {
        /// The time at which the pause began.
        since: DateTime<Utc>,
        /// The rule for the saga's times.
        clock: PauseClock,
        /// True when nothing of the saga is under way any more.
        quiescent: bool,
    },
    /// A step waits for a person.
    PersonAwaited {
        /// The name of the step.
        step: StepName,
        /// The direction, forward or back.
        op: Op,
        /// The code of its last refusal or fault.
        code: String,
    },
    /// Nothing of an open saga is due, under way or waited for: a fault of the engine, which it repairs by itself.
    Orphaned {},
    /// The lane of the saga's shard gave no answer: no orchestrator serves the shard, or the broker is away.
    LaneSilent {
        /// The number of the shard.
        shard: u16,
    },
    /// The lane has just taken its shard over, and has not loaded the saga yet.
    TakeoverUnderWay {
        /// The number of the shard.
        shard: u16,
    },
    /// The broker takes no commands from the saga's orchestrator.
    BrokerTakesNothing {},
    /// The broker does not take the commands of a domain: its queue is gone or full.
    QueueRefuses {
        /// The domain of the queue.
        route: Route,
        /// The time since which it takes none.
        since: DateTime<Utc>,
    },
    /// A domain answers nothing; probes are sent, and the clocks of its sagas stand.
    DomainSilent {
        /// The domain that is silent.
        route: Route,
        /// The time since which its circuit is open.
        since: DateTime<Utc>,
        /// The time of the next probe.
        next_probe_at: DateTime<Utc>,
    },
    /// The queue of a domain has no consumer: none of its workers runs, or none reaches the broker.
    ConsumersMissing {
        /// The domain of the queue.
        route: Route,
        /// The messages that wait in it.
        messages: u64,
    },
    /// A command is journaled and held back by a pause of its domain, definition or step.
    CommandPaused {
        /// The name of the step.
        step: StepName,
        /// The direction, forward or back.
        op: Op,
        /// The scope of the pause.
        scope: PauseScope,
        /// The time at which the pause began.
        since: DateTime<Utc>,
    },
    /// A command is journaled and waits for room on the way to its domain.
    RoomAwaited {
        /// The name of the step.
        step: StepName,
        /// The domain of the command.
        route: Route,
        /// The commands that may be under way to it from this lane at a time.
        window: u64,
    },
    /// A command is journaled, and the broker has not confirmed it yet.
    ConfirmAwaited {
        /// The name of the step.
        step: StepName,
        /// The domain of the command.
        route: Route,
    },
    /// A command is with its domain, which has not replied.
    ReplyAwaited {
        /// The name of the step.
        step: StepName,
        /// The direction, forward or back.
        op: Op,
        /// The domain that is to reply.
        route: Route,
        /// The time of the sending.
        since: DateTime<Utc>,
        /// The time at which the reply is due.
        reply_by: DateTime<Utc>,
    },
    /// A step waits for a signal.
    SignalAwaited {
        /// The name of the step.
        step: StepName,
        /// The signal's name.
        signal: SignalName,
        /// The time until which it must come; absent for a step that waits without end.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        miss_at: Option<DateTime<Utc>>,
    },
    /// A step waits for the end of a child saga, or of its undoing.
    ChildAwaited {
        /// The name of the step.
        step: StepName,
        /// The direction, forward or back.
        op: Op,
        /// The id of the child.
        child: SagaId,
        /// The child's status; absent when it cannot be read.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        status: Option<SagaStatus>,
        /// True while the child is paused.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        paused: bool,
        /// The code for which the child is left alone until a person releases it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        quarantine: Option<String>,
    },
    /// A step waits for a time.
    TimeAwaited {
        /// The name of the step.
        step: StepName,
        /// The time that it waits for.
        at: DateTime<Utc>,
    },
    /// An attempt failed, and the next one waits for its time.
    AttemptAwaited {
        /// The name of the step.
        step: StepName,
        /// The direction, forward or back.
        op: Op,
        /// The time of the next attempt.
        at: DateTime<Utc>,
        /// The code of the last failure.
        code: String,
    },
}

/// A step with an outcome that is awaited.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenStep {
    /// The step's name.
    pub name: StepName,
    /// The direction, forward or back.
    pub op: Op,
    /// The domain that carries the command out.
    pub route: Route,
    /// The command's name.
    pub command: String,
    /// The number of sendings in the current round of attempts.
    pub attempts: u16,
    /// The number of sendings after which it is given up; absent when there is no such bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempts_max: Option<u16>,
    /// The place of the command on its way; absent when none is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command_is: Option<CommandPlace>,
    /// The time of the last sending.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_at: Option<DateTime<Utc>>,
    /// The time at which the reply is due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_by: Option<DateTime<Utc>>,
    /// The time of the next attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<DateTime<Utc>>,
    /// The last refusal or fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Cause>,
}

/// The place of a journaled command on its way to its domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CommandPlace {
    /// Held back in the lane, for want of room or of a domain that answers.
    Held,
    /// Handed to the broker, which has not confirmed it.
    Published,
    /// With the broker or the domain.
    Confirmed,
    /// Unknown: the lane did not answer, or has not loaded the saga yet.
    Unknown,
}

/// The way to a domain, as the saga's lane and the broker know it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DomainState {
    /// The domain that is meant.
    pub route: Route,
    /// The flow of the lane's commands to it; absent when the lane gave no answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flow: Option<FlowState>,
    /// The domain's queue; absent when the broker did not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<QueueState>,
}

/// The flow of one lane's commands to one domain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowState {
    /// The commands that may be under way at a time.
    pub window: u64,
    /// The commands that are under way.
    pub under_way: u64,
    /// The sagas whose commands are held back.
    pub held_sagas: u64,
    /// The open circuit; absent while it is closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub circuit: Option<OpenCircuit>,
}

/// A circuit that lets nothing but probes pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenCircuit {
    /// The reason why it is open.
    pub cause: CircuitCause,
    /// The time since which it is open.
    pub since: DateTime<Utc>,
    /// The time of the next probe.
    pub next_probe_at: DateTime<Utc>,
}

/// The reason why a circuit is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CircuitCause {
    /// The domain answers nothing.
    DomainSilent,
    /// The broker does not take its commands.
    QueueRefuses,
}

/// A domain's queue. Commands travel together in parcels, so a message may hold several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueState {
    /// The messages that wait.
    pub messages: u64,
    /// The subscriptions on it.
    pub consumers: u32,
}

/// The lane of a saga's shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaneState {
    /// The number of the shard.
    pub shard: u16,
    /// True while it loads the sagas of a shard that it took over.
    pub taking_over: bool,
    /// True when it has the saga in memory. A saga that sleeps is not.
    pub loaded: bool,
    /// True while the broker takes commands from it.
    pub broker_takes: bool,
    /// The time at which it looks at the saga by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wakes_at: Option<DateTime<Utc>>,
    /// The limit for which its process takes no further starts; open sagas go on all the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starts_refused_for: Option<String>,
}

/// An act of an operator that a saga would take now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "act", rename_all = "snake_case")]
pub enum PossibleAct {
    /// Sending again what is stuck or waits for its next attempt.
    Retry {
        /// The steps that can be retried.
        steps: Vec<StepName>,
    },
    /// Saying the outcome of a step.
    Skip {
        /// The name of the step.
        step: StepName,
        /// True when it needs `force`: its command is under way.
        force: bool,
    },
    /// Changing the command of what is stuck or waits for its next attempt.
    Edit {
        /// The steps whose command can be changed.
        steps: Vec<StepName>,
    },
    /// Saying that a compensation was done by hand.
    Resolve {
        /// The steps that may have been undone by hand.
        steps: Vec<StepName>,
    },
    /// Letting the time of a step come now, or another one.
    Timer {
        /// The steps that wait for a time.
        steps: Vec<StepName>,
    },
    /// Letting another version of its definition take the saga over.
    Migrate {
        /// The versions that could.
        versions: Vec<u32>,
    },
    /// Turning the saga around.
    Cancel {},
    /// Having a saga in quarantine loaded again.
    Release {},
    /// Giving the saga up as it stands.
    Abandon {},
    /// Pausing the saga.
    Pause {},
    /// Letting the paused saga go on.
    Resume {},
}
