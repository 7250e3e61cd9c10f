//! The messages between orchestrators, and how a lane and an orchestrator read their queues.
//!
//! ```text
//!  replies.<shard>          <- replies | act | signal | dead command | watch | ping | question | pause question
//!  orchestrator.<instance>  <- answer to an act | committed (something happened to a watched saga) | pong | told | pause told | worker present
//! ```
//!
//! They travel only between orchestrators of one installation. They outlive a deployment in the shard queues, so
//! they change by optional fields only, like everything in the contract.

use chrono::{DateTime, Utc};
use contract::{
    CommandId, Document, RequestId, SagaId, SignalId, SignalName,
    envelope::{self, KIND_REPLY, ReplyEnvelope},
    orchestrator_api::{CommandPlace, DomainState, LaneState, PauseScope},
    roll_call::{KIND_ROLL_CALL, KIND_WORKER_PRESENT, RollCall, WorkerPresent},
    saga::Action,
};
use machine::{Entry, Operator};
use messaging::{Delivery, EVERY_WORKER, Message, Outgoing, QueueName};
use serde::{Deserialize, Serialize};

/// The kind of [`Act`].
const KIND_ACT: &str = "sojourn.lane.act";
/// The kind of [`SignalSent`].
const KIND_SIGNAL: &str = "sojourn.lane.signal";
/// The kind of [`DeadCommand`].
const KIND_DEAD_COMMAND: &str = "sojourn.lane.dead_command";
/// The kind of [`Watch`].
const KIND_WATCH: &str = "sojourn.lane.watch";
/// The kind of [`ActAnswer`].
const KIND_ACT_ANSWER: &str = "sojourn.orchestrator.act_answer";
/// The kind of [`Committed`].
const KIND_COMMITTED: &str = "sojourn.orchestrator.committed";

/// The kind of [`Release`].
const KIND_RELEASE: &str = "sojourn.lane.release";
/// The kind of [`Ping`].
const KIND_PING: &str = "sojourn.lane.ping";
/// The kind of [`Pong`].
const KIND_PONG: &str = "sojourn.orchestrator.pong";
/// The kind of [`Question`].
const KIND_QUESTION: &str = "sojourn.lane.question";
/// The kind of [`Told`].
const KIND_TOLD: &str = "sojourn.orchestrator.told";

/// The kind of [`PauseQuestion`].
const KIND_PAUSE_QUESTION: &str = "sojourn.lane.pause_question";
/// The kind of [`PauseTold`].
const KIND_PAUSE_TOLD: &str = "sojourn.orchestrator.pause_told";

/// An operator acts on a saga.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Act {
    pub(crate) request_id: RequestId,
    /// The queue that hears the answer.
    pub(crate) answer_to: String,
    pub(crate) saga_id: SagaId,
    pub(crate) action: Action,
    pub(crate) operator: Operator,
    /// The time until which the operator waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) expires_at: Option<DateTime<Utc>>,
    /// The number of the last record that the operator has seen, when that is to be the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) if_head: Option<u64>,
}

/// A signal came for a saga.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct SignalSent {
    pub(crate) request_id: RequestId,
    /// The queue that hears the answer.
    pub(crate) answer_to: String,
    pub(crate) saga_id: SagaId,
    pub(crate) id: SignalId,
    pub(crate) name: SignalName,
    pub(crate) payload: Document,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) actor: Option<String>,
}

/// A command ended in the dead letters.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct DeadCommand {
    pub(crate) command_id: CommandId,
    pub(crate) attempt: u16,
    pub(crate) reason: String,
}

/// An orchestrator wants to hear of this saga's commits for a while.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Watch {
    pub(crate) saga_id: SagaId,
    /// The queue that hears of them.
    pub(crate) notify_to: String,
    pub(crate) until: DateTime<Utc>,
}

/// The verdict on an [`Act`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ActAnswer {
    pub(crate) request_id: RequestId,
    #[serde(flatten)]
    pub(crate) end: ActEnd,
}

/// The end of an act.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "end", rename_all = "snake_case")]
pub(crate) enum ActEnd {
    /// The act is committed.
    Accepted,
    /// There was nothing to do.
    Unchanged { why: String },
    /// Not as the saga stands.
    Refused { code: String, message: String },
    /// There is no such saga.
    NoSuchSaga,
    /// The saga is left alone, and hears it when it goes on.
    Kept,
    /// The saga is left alone.
    Parked { code: String, detail: String },
}

/// How far a watched saga has come.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Committed {
    pub(crate) saga_id: SagaId,
    /// The journal's last number, when the lane knows it at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) head: Option<u64>,
    /// The record of that number, when it has just been committed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) record: Option<CommittedRecord>,
}

/// A record as it travels.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct CommittedRecord {
    pub(crate) seq: u64,
    pub(crate) at: DateTime<Utc>,
    pub(crate) entries: Vec<Entry>,
}

/// An operator wants a saga that is left alone to go on.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Release {
    pub(crate) request_id: RequestId,
    /// The queue that hears the answer.
    pub(crate) answer_to: String,
    pub(crate) saga_id: SagaId,
}

/// An orchestrator that waits for a shard asks whether its lane is alive.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Ping {
    pub(crate) shard: u16,
    /// The queue that hears the answer.
    pub(crate) answer_to: String,
    /// The name of the question, when the lane is to tell of itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) request_id: Option<RequestId>,
}

/// The answer to a [`Ping`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Pong {
    pub(crate) shard: u16,
    /// True when the orchestrator that asks sent it to itself, to prove that its own way is free.
    #[serde(default)]
    pub(crate) own: bool,
    /// The lane, when it was asked to tell of itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) told: Option<LaneTold>,
}

/// A lane of its process, at a time of its clock.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct LaneTold {
    pub(crate) request_id: RequestId,
    pub(crate) instance: String,
    pub(crate) version: String,
    pub(crate) started_at: DateTime<Utc>,
    pub(crate) at: DateTime<Utc>,
    pub(crate) taking_over: bool,
    /// The orphans that it has found.
    pub(crate) orphans: u64,
    /// The flow to every domain.
    pub(crate) domains: Vec<DomainState>,
}

/// An orchestrator asks how a saga stands in its lane.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Question {
    pub(crate) request_id: RequestId,
    /// The queue that hears the answer.
    pub(crate) answer_to: String,
    pub(crate) saga_id: SagaId,
}

/// The answer to a [`Question`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Told {
    pub(crate) request_id: RequestId,
    #[serde(flatten)]
    pub(crate) stands: StandsInLane,
}

/// The part of a saga's standing that only its lane knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StandsInLane {
    pub(crate) lane: LaneState,
    /// The flow to every domain.
    pub(crate) domains: Vec<DomainState>,
    /// The saga's commands that are under way.
    pub(crate) commands: Vec<CommandInLane>,
    /// The domains for which the saga is held back.
    pub(crate) held_for: Vec<contract::Route>,
    /// The saga's commands that a pause holds back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) paused: Vec<PausedCommand>,
}

/// A command that a pause holds back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PausedCommand {
    pub(crate) command_id: CommandId,
    pub(crate) route: contract::Route,
    pub(crate) scope: PauseScope,
    pub(crate) since: DateTime<Utc>,
}

/// An orchestrator asks a lane how much a pause holds back, and what of it is under way.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PauseQuestion {
    pub(crate) request_id: RequestId,
    /// The queue that hears the answer.
    pub(crate) answer_to: String,
    pub(crate) scope: PauseScope,
}

/// The answer to a [`PauseQuestion`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PauseTold {
    pub(crate) request_id: RequestId,
    #[serde(flatten)]
    pub(crate) count: PauseCount,
}

/// How far one lane has come with a pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PauseCount {
    /// False when the lane has not heard of the pause yet.
    pub(crate) known: bool,
    pub(crate) under_way: u64,
    pub(crate) held_sagas: u64,
}

/// A command on its way from a lane to its domain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CommandInLane {
    pub(crate) command_id: CommandId,
    pub(crate) place: CommandPlace,
}

/// Everything that a lane hears from its queue.
#[derive(Debug, Clone)]
pub(crate) enum LaneMessage {
    Reply(ReplyEnvelope),
    Act(Act),
    Signal(SignalSent),
    DeadCommand(DeadCommand),
    Watch(Watch),
    Release(Release),
    Ping(Ping),
    Question(Question),
    PauseQuestion(PauseQuestion),
}

/// Everything that an orchestrator hears from its own queue.
#[derive(Debug, Clone)]
pub(crate) enum OwnMessage {
    Answer(ActAnswer),
    Committed(Committed),
    Pong(Pong),
    Told(Told),
    PauseTold(PauseTold),
    WorkerPresent(WorkerPresent),
}

impl LaneMessage {
    /// Reads a delivery of a shard queue; the error is the dead letter's reason.
    pub(crate) fn read(delivery: &Delivery) -> Result<Self, String> {
        let body = &delivery.message.body;
        let read = match delivery.message.kind.as_str() {
            KIND_REPLY => envelope::read(body, "reply").map(Self::Reply),
            KIND_ACT => envelope::read(body, "operator's act").map(Self::Act),
            KIND_SIGNAL => envelope::read(body, "signal").map(Self::Signal),
            KIND_DEAD_COMMAND => envelope::read(body, "dead command's notice").map(Self::DeadCommand),
            KIND_WATCH => envelope::read(body, "watch").map(Self::Watch),
            KIND_RELEASE => envelope::read(body, "release").map(Self::Release),
            KIND_PING => envelope::read(body, "ping").map(Self::Ping),
            KIND_QUESTION => envelope::read(body, "question").map(Self::Question),
            KIND_PAUSE_QUESTION => envelope::read(body, "question about a pause").map(Self::PauseQuestion),
            other => return Err(unknown_kind(other)),
        };
        read.map_err(|error| error.to_string())
    }

    /// The saga that it is for, if it is for one.
    pub(crate) const fn saga_id(&self) -> Option<SagaId> {
        match self {
            Self::Reply(reply) => Some(reply.command_id.saga),
            Self::Act(act) => Some(act.saga_id),
            Self::Signal(signal) => Some(signal.saga_id),
            Self::DeadCommand(dead) => Some(dead.command_id.saga),
            Self::Watch(watch) => Some(watch.saga_id),
            Self::Release(release) => Some(release.saga_id),
            Self::Question(question) => Some(question.saga_id),
            Self::Ping(_) | Self::PauseQuestion(_) => None,
        }
    }
}

impl OwnMessage {
    /// Reads a delivery of an orchestrator's queue.
    pub(crate) fn read(delivery: &Delivery) -> Result<Self, String> {
        let body = &delivery.message.body;
        let read = match delivery.message.kind.as_str() {
            KIND_ACT_ANSWER => envelope::read(body, "act's answer").map(Self::Answer),
            KIND_COMMITTED => envelope::read(body, "commit's notice").map(Self::Committed),
            KIND_PONG => envelope::read(body, "pong").map(Self::Pong),
            KIND_TOLD => envelope::read(body, "answer to a question").map(Self::Told),
            KIND_PAUSE_TOLD => envelope::read(body, "answer about a pause").map(Self::PauseTold),
            KIND_WORKER_PRESENT => envelope::read(body, "answer to a roll call").map(Self::WorkerPresent),
            other => return Err(unknown_kind(other)),
        };
        read.map_err(|error| error.to_string())
    }
}

/// The message of an act for a saga's lane.
pub(crate) fn act(queue: &QueueName, act: &Act) -> Outgoing {
    outgoing(queue.as_str(), KIND_ACT, act)
}

/// The message of a signal for its saga's lane.
pub(crate) fn signal(queue: &QueueName, signal: &SignalSent) -> Outgoing {
    outgoing(queue.as_str(), KIND_SIGNAL, signal)
}

/// The message of a dead command for its saga's lane.
pub(crate) fn dead_command(queue: &QueueName, dead: &DeadCommand) -> Outgoing {
    outgoing(queue.as_str(), KIND_DEAD_COMMAND, dead)
}

/// The message of a watch for a saga's lane.
pub(crate) fn watch(queue: &QueueName, watch: &Watch) -> Outgoing {
    outgoing(queue.as_str(), KIND_WATCH, watch)
}

/// The message that answers an act.
pub(crate) fn act_answer(queue: &str, answer: &ActAnswer) -> Outgoing {
    outgoing(queue, KIND_ACT_ANSWER, answer)
}

/// The message of a release for a saga's lane.
pub(crate) fn release(queue: &QueueName, release: &Release) -> Outgoing {
    outgoing(queue.as_str(), KIND_RELEASE, release)
}

/// The message that asks whether a shard's lane is alive.
pub(crate) fn ping(queue: &QueueName, ping: &Ping) -> Outgoing {
    outgoing(queue.as_str(), KIND_PING, ping)
}

/// The message that answers a ping.
pub(crate) fn pong(queue: &str, pong: &Pong) -> Outgoing {
    outgoing(queue, KIND_PONG, pong)
}

/// The message that asks how a saga stands in its lane.
pub(crate) fn question(queue: &QueueName, question: &Question) -> Outgoing {
    outgoing(queue.as_str(), KIND_QUESTION, question)
}

/// The message that answers a question.
pub(crate) fn told(queue: &str, told: &Told) -> Outgoing {
    outgoing(queue, KIND_TOLD, told)
}

/// The message that asks a shard's lane about a pause.
pub(crate) fn pause_question(queue: &QueueName, question: &PauseQuestion) -> Outgoing {
    outgoing(queue.as_str(), KIND_PAUSE_QUESTION, question)
}

/// The message that answers a question about a pause.
pub(crate) fn pause_told(queue: &str, told: &PauseTold) -> Outgoing {
    outgoing(queue, KIND_PAUSE_TOLD, told)
}

/// The message that asks every worker process who it is.
pub(crate) fn roll_call(call: &RollCall) -> Outgoing {
    outgoing(EVERY_WORKER, KIND_ROLL_CALL, call)
}

/// The message that tells of a commit.
pub(crate) fn committed(queue: &str, committed: &Committed) -> Outgoing {
    outgoing(queue, KIND_COMMITTED, committed)
}

fn outgoing(queue: &str, kind: &str, content: &impl Serialize) -> Outgoing {
    let body = serde_json::to_vec(content).expect("messages hold only what JSON can hold");
    Outgoing::reply(queue, Message::new(kit::ids::message_id().to_string(), kind, body))
}

fn unknown_kind(kind: &str) -> String {
    let shown: String = kind.chars().take(64).collect();
    format!("the message's kind `{shown}` is not one that this queue takes")
}
