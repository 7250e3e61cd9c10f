//! The orchestrator's HTTP interface, as the gateway and `sagactl` speak it.
//!
//! | call | answer |
//! |---|---|
//! | `POST /api/sagas` [`StartSaga`] | 201 / 200 [`SagaStarted`]; 404 unknown definition; 422; 503 + Retry-After. With `Prefer: wait=N` (RFC 7240) it answers at the saga's end, with its `status` |
//! | `GET /api/starts?name&key` | the saga that a start with this key made, and the fingerprint of its request; 404 |
//! | `GET /api/definitions` | every definition: name, version, fingerprint, steps |
//! | `GET /api/sagas?status&name&business_key&owner&q&created_after&created_before&page_size&page_token` | [`SagaPage`] |
//! | `GET /api/sagas/{id}` | [`SagaView`] |
//! | `GET /api/sagas/{id}/journal` | [`JournalPage`] |
//! | `GET /api/sagas/{id}/events` | server-sent events: `id: <seq>`, `event: record`, [`RecordView`]; then `event: end` |
//! | `POST /api/sagas/{id}/actions` [`ActionRequest`] | 200 [`SagaView`]; 404; 409; 422 |
//! | `GET /api/dead-letters`, `POST /api/dead-letters/{id}/redrive` | what could not be handled |
//!
//! Every call carries the internal token; operators' calls also `x-sojourn-actor` and `x-sojourn-role`.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    command::Route,
    ids::SagaId,
    step::{Op, StepName},
};

/// Names the operator.
pub const HEADER_ACTOR: &str = "x-sojourn-actor";
/// Names the operator's role.
pub const HEADER_ROLE: &str = "x-sojourn-role";

/// Starts a saga.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StartSaga {
    /// The definition's name.
    pub name: String,
    /// The definition's version; the newest when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
    /// Makes the start idempotent, together with the name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency: Option<StartKey>,
    /// What the business calls it, such as an order's id.
    pub business_key: String,
    /// Whose it is, such as a user's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// W3C trace context of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// The definition's input.
    pub input: Value,
}

/// One logical start.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StartKey {
    /// The same for each repetition of the request; scoped by the caller.
    pub key: String,
    /// A digest of what was asked; another one under the same key is refused with 422.
    pub fingerprint: String,
}

/// Answers a start.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SagaStarted {
    /// The instance.
    pub saga_id: SagaId,
    /// Of the instance that exists: for a repeated start, the first one's.
    pub business_key: String,
    /// False when the same start had come before.
    pub created: bool,
}

/// Where a saga stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SagaStatus {
    /// Going forward.
    Running,
    /// Being undone.
    Compensating,
    /// Everything took effect.
    Completed,
    /// Everything was undone.
    Compensated,
    /// A step cannot go on without a person.
    NeedsAttention,
    /// A person gave it up, with a reason.
    Abandoned,
}

impl SagaStatus {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Running, Self::Compensating, Self::Completed, Self::Compensated, Self::NeedsAttention, Self::Abandoned];

    /// The word in columns and addresses.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Compensating => "compensating",
            Self::Completed => "completed",
            Self::Compensated => "compensated",
            Self::NeedsAttention => "needs_attention",
            Self::Abandoned => "abandoned",
        }
    }

    /// True when nothing more will happen.
    #[must_use]
    pub const fn is_final(self) -> bool {
        match self {
            Self::Completed | Self::Compensated | Self::Abandoned => true,
            Self::Running | Self::Compensating | Self::NeedsAttention => false,
        }
    }
}

/// One line of a listing.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SagaSummary {
    /// The instance.
    pub id: SagaId,
    /// The definition.
    pub name: String,
    /// The definition's version.
    pub version: u32,
    /// Where it stands.
    pub status: SagaStatus,
    /// What the business calls it.
    pub business_key: String,
    /// Whose it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Groups sagas that failed the same way: step and code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// When it started.
    pub created_at: DateTime<Utc>,
    /// When its status last changed.
    pub updated_at: DateTime<Utc>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<DateTime<Utc>>,
}

/// A page of a listing. A null `next_page_token` is the only sign of the end (AIP-158).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SagaPage {
    /// The lines, newest first.
    pub items: Vec<SagaSummary>,
    /// For the next page.
    pub next_page_token: Option<String>,
}

/// One saga, as it stands.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SagaView {
    /// The line of the listing.
    #[serde(flatten)]
    pub summary: SagaSummary,
    /// The start input.
    pub input: Value,
    /// Every step of the definition, in its order.
    pub steps: Vec<StepView>,
    /// Why it is being undone, or was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<CauseView>,
    /// When it is given up before its point of no return.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_at: Option<DateTime<Utc>>,
    /// When the engine next looks at it by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_wake_at: Option<DateTime<Utc>>,
    /// Its messages that could not be handled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dead_letters: Vec<DeadLetterView>,
    /// The journal's last number.
    pub head: u64,
}

/// Why a saga was turned around.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CauseView {
    /// The step that was refused or ran out of attempts; absent for a deadline or a cancel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<StepName>,
    /// A stable word.
    pub code: String,
    /// For people: who asked when it was refused, else only operators.
    pub message: String,
    /// True for a business no, whose message is made for whoever asked. Anything else says how our parts failed, or
    /// what operators tell each other.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub refused: bool,
}

/// What a step is, in the words of Garcia-Molina and Richardson.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepKind {
    /// Can be undone.
    Compensatable,
    /// The point of no return.
    Pivot,
    /// After the pivot; must succeed in the end.
    Retriable,
}

/// Where a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepStatus {
    /// Not reached.
    Pending,
    /// Its condition does not hold for this input.
    NotApplicable,
    /// The command is out; its reply is awaited.
    Dispatched,
    /// A fault or a missing reply; it is asked again at `retry_at`.
    Retrying,
    /// It took effect.
    Done,
    /// A business no.
    Refused,
    /// Attempts ran out, or a retriable step was refused: a person is asked.
    NeedsAttention,
    /// Its compensation is out, or waits to be sent again.
    Compensating,
    /// It was undone.
    Compensated,
}

/// One step of one saga.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepView {
    /// The step.
    pub name: StepName,
    /// What it is.
    pub kind: StepKind,
    /// Who does it.
    pub route: Route,
    /// The command's name.
    pub command: String,
    /// The compensation's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compensation: Option<String>,
    /// What must be done before.
    pub after: Vec<StepName>,
    /// Where it stands.
    pub status: StepStatus,
    /// How often the current direction was sent.
    pub attempts: u16,
    /// When it is asked again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<DateTime<Utc>>,
    /// The last refusal or fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<CauseView>,
    /// What it answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply: Option<Value>,
    /// True when a person said what the outcome was.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub skipped: bool,
}

/// One committed decision.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RecordView {
    /// Its number, from 1 without gaps.
    pub seq: u64,
    /// When it was decided.
    pub at: DateTime<Utc>,
    /// The journal entries, as stored.
    pub entries: Vec<Value>,
    /// Where the saga stood after it.
    pub status: SagaStatus,
    /// Every step after it.
    pub steps: Vec<StepView>,
}

/// The journal, from the start.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct JournalPage {
    /// In order.
    pub items: Vec<RecordView>,
}

/// What an operator can do to a saga.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case", deny_unknown_fields)]
pub enum Action {
    /// Sends what is stuck or waiting again, now.
    Retry {
        /// Only this step; all when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        step: Option<StepName>,
    },
    /// Turns the saga around; refused from the pivot on. With braces, as serde lets a variant without them have any
    /// fields: a cancel of one `step` must not cancel the whole saga.
    Cancel {},
    /// Says what a step's outcome was. The reply must read as the step's reply type.
    Skip {
        /// The step.
        step: StepName,
        /// Its reply; for a compensation too.
        reply: Value,
    },
    /// Gives the saga up as it is.
    Abandon {},
}

impl Action {
    /// The word on the wire.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Retry { .. } => "retry",
            Self::Cancel {} => "cancel",
            Self::Skip { .. } => "skip",
            Self::Abandon {} => "abandon",
        }
    }
}

/// An operator's request. The reason is mandatory and is journaled with actor, role and time.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ActionRequest {
    /// What to do.
    #[serde(flatten)]
    pub action: Action,
    /// Why; 3 to [`REASON_BYTES_MAX`] bytes.
    pub reason: String,
}

/// The longest reason, in bytes.
pub const REASON_BYTES_MAX: usize = 500;

/// A message that nobody could handle.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DeadLetterView {
    /// Its key.
    pub id: i64,
    /// The saga, when the message still tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saga_id: Option<SagaId>,
    /// The command, when the message still tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command_id: Option<String>,
    /// Forward or back, when the message still tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub op: Option<Op>,
    /// The queue that it came from.
    pub queue: String,
    /// Why it was given up.
    pub reason: String,
    /// The message's body; text where it is UTF-8.
    pub body: String,
    /// When it arrived.
    pub received_at: DateTime<Utc>,
    /// When an operator sent it again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redriven_at: Option<DateTime<Utc>>,
}
