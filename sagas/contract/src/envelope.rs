//! The envelopes of commands and replies on the broker: one JSON document per message, so that every adapter, every
//! journal and a worker in any language read the same thing.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::{
    command::{Fault, Outcome, Refusal, Route},
    document::Document,
    ids::{MessageId, SagaId},
    limits::MESSAGE_BYTES_MAX,
    step::{CommandId, Op, StepName},
    traceparent::{Traceparent, if_valid},
};

/// The word in the broker's `type` property of a command.
pub const KIND_COMMAND: &str = "sojourn.command";
/// The word in the broker's `type` property of a reply.
pub const KIND_REPLY: &str = "sojourn.reply";
/// The word in the broker's `type` property of an event.
pub const KIND_EVENT: &str = "sojourn.event";

/// A command on its way to a domain.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CommandEnvelope {
    /// The id of this copy of the message; a retry has another one.
    pub message_id: MessageId,
    /// The command's identity, stable over retries.
    pub command_id: CommandId,
    /// The number of this sending, counted from 1.
    pub attempt: u16,
    /// The command's name, [`crate::Command::NAME`].
    pub name: String,
    /// The command's version, [`crate::Command::VERSION`].
    pub version: u16,
    /// The domain that carries the command out.
    pub route: Route,
    /// The routing key that replies go to.
    pub reply_to: String,
    /// The time after which a worker must no longer start the command; none when it must succeed in the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<DateTime<Utc>>,
    /// The W3C trace context of the hop that sent the message.
    #[serde(default, deserialize_with = "if_valid", skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<Traceparent>,
    /// Whether the sender unpacks parcels: replies to it may then travel several in one message.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub parcels: bool,
    /// The command itself.
    pub payload: Box<RawValue>,
}

impl CommandEnvelope {
    /// The saga that sends the command.
    #[must_use]
    pub const fn saga_id(&self) -> SagaId {
        self.command_id.saga
    }

    /// The step that the command belongs to.
    #[must_use]
    pub const fn step(&self) -> &StepName {
        &self.command_id.step
    }

    /// The direction, forward or back.
    #[must_use]
    pub const fn op(&self) -> Op {
        self.command_id.op
    }
}

/// A participant's answer on its way back to the saga's shard.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "ReplyFields")]
pub struct ReplyEnvelope {
    /// The id of this message.
    pub message_id: MessageId,
    /// The command that is answered.
    pub command_id: CommandId,
    /// The attempt that is answered; a fault counts only for the attempt that is outstanding.
    pub attempt: u16,
    /// The domain that answers, when it unpacks parcels: commands to it may then travel several in one message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parcels: Option<Route>,
    /// The end of the command.
    #[serde(flatten)]
    pub outcome: Outcome<Document>,
    /// The W3C trace context of the hop that sent the message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<Traceparent>,
}

/// A reply's envelope as it is read: field by field, because a flattened outcome could not hold its reply as it came.
#[derive(Deserialize)]
struct ReplyFields {
    message_id: MessageId,
    command_id: CommandId,
    attempt: u16,
    #[serde(default)]
    parcels: Option<Route>,
    outcome: Ending,
    #[serde(default, deserialize_with = "whatever_it_is")]
    reply: Option<Document>,
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    message: Option<String>,
    #[serde(default, deserialize_with = "if_valid")]
    traceparent: Option<Traceparent>,
}

/// The tag of an [`Outcome`].
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Ending {
    Done,
    Refused,
    Faulted,
}

/// A reply may be `null`, which is not the same as none.
fn whatever_it_is<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Document>, D::Error> {
    Document::deserialize(deserializer).map(Some)
}

impl TryFrom<ReplyFields> for ReplyEnvelope {
    type Error = String;

    fn try_from(fields: ReplyFields) -> Result<Self, String> {
        let ReplyFields { message_id, command_id, attempt, parcels, outcome, reply, code, message, traceparent } =
            fields;
        let missing = |field: &str| format!("missing field `{field}`");
        let code = || code.ok_or_else(|| missing("code"));
        let message = || message.ok_or_else(|| missing("message"));
        let outcome = match outcome {
            Ending::Done => Outcome::Done { reply: reply.ok_or_else(|| missing("reply"))? },
            Ending::Refused => Outcome::Refused(Refusal { code: code()?, message: message()? }),
            Ending::Faulted => Outcome::Faulted(Fault { code: code()?, message: message()? }),
        };
        Ok(Self { message_id, command_id, attempt, parcels, outcome, traceparent })
    }
}

/// The reason why bytes are not the message that they should be.
#[derive(Debug, thiserror::Error)]
pub enum EnvelopeError {
    /// The message has more than [`MESSAGE_BYTES_MAX`].
    #[error("the message has {0} bytes, more than {MESSAGE_BYTES_MAX}")]
    TooLarge(usize),
    /// The message is not JSON, or not of this shape; the text says where.
    #[error("the message is not a readable {what}: {source}")]
    Unreadable {
        /// The message that was expected, in words.
        what: &'static str,
        /// The place in the message, and what is wrong there.
        #[source]
        source: serde_json::Error,
    },
}

/// Reads a message's body, within the size limit.
///
/// # Errors
/// [`EnvelopeError`]; `what` names the expected message in its text.
pub fn read<'a, T: Deserialize<'a>>(body: &'a [u8], what: &'static str) -> Result<T, EnvelopeError> {
    if body.len() > MESSAGE_BYTES_MAX {
        return Err(EnvelopeError::TooLarge(body.len()));
    }
    serde_json::from_slice(body).map_err(|source| EnvelopeError::Unreadable { what, source })
}
