//! The envelopes of commands and replies on the broker: one JSON document per message, so that every adapter, every
//! journal and a worker in any language read the same thing.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    command::{Outcome, Route},
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
pub struct ReplyEnvelope {
    /// The id of this message.
    pub message_id: MessageId,
    /// The command that is answered.
    pub command_id: CommandId,
    /// The attempt that is answered; a fault counts only for the attempt that is outstanding.
    pub attempt: u16,
    /// The domain that answers, when it unpacks parcels: commands to it may then travel several in one message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parcels: Option<Route>,
    /// The end of the command.
    #[serde(flatten)]
    pub outcome: Outcome<serde_json::Value>,
    /// The W3C trace context of the hop that sent the message.
    #[serde(default, deserialize_with = "if_valid", skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<Traceparent>,
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
