//! What travels on the broker: one JSON document per message, so that every adapter, every journal and a worker
//! in any language read the same thing.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    command::{Outcome, Route},
    ids::{MessageId, SagaId},
    limits::MESSAGE_BYTES_MAX,
    step::{CommandId, Op, StepName},
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
    /// This copy of the message; a retry has another one.
    pub message_id: MessageId,
    /// The work, stable over retries.
    pub command_id: CommandId,
    /// 1 for the first sending, and so on.
    pub attempt: u16,
    /// [`crate::Command::NAME`].
    pub name: String,
    /// [`crate::Command::VERSION`].
    pub version: u16,
    /// The domain.
    pub route: Route,
    /// The routing key that replies go to.
    pub reply_to: String,
    /// When a worker must no longer start it.
    pub deadline: DateTime<Utc>,
    /// W3C trace context of the hop that sent it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// The command itself.
    pub payload: Box<RawValue>,
}

impl CommandEnvelope {
    /// The saga that asks.
    #[must_use]
    pub const fn saga_id(&self) -> SagaId {
        self.command_id.saga
    }

    /// The step that asks.
    #[must_use]
    pub const fn step(&self) -> &StepName {
        &self.command_id.step
    }

    /// Forward or back.
    #[must_use]
    pub const fn op(&self) -> Op {
        self.command_id.op
    }
}

/// A participant's answer on its way back to the saga's shard.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReplyEnvelope {
    /// This message.
    pub message_id: MessageId,
    /// The work that it answers.
    pub command_id: CommandId,
    /// The attempt that it answers; a fault counts only for the attempt that is outstanding.
    pub attempt: u16,
    /// How it ended.
    #[serde(flatten)]
    pub outcome: Outcome<serde_json::Value>,
    /// W3C trace context of the hop that sent it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
}

/// Why bytes are not the message they should be.
#[derive(Debug, thiserror::Error)]
pub enum EnvelopeError {
    /// More than [`MESSAGE_BYTES_MAX`].
    #[error("the message has {0} bytes, more than {MESSAGE_BYTES_MAX}")]
    TooLarge(usize),
    /// Not JSON, or not of this shape; the text says where.
    #[error("the message is not a readable {what}: {source}")]
    Unreadable {
        /// What was expected.
        what: &'static str,
        /// Where and why.
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
