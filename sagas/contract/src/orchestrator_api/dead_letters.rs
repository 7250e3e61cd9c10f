//! Messages that no part could handle.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{ids::SagaId, step::Op};

/// A message that no part could handle.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DeadLetterView {
    /// The letter's key.
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
    /// The reason why it was given up.
    pub reason: String,
    /// The message's body; text where it is UTF-8.
    pub body: String,
    /// The time of its arrival.
    pub received_at: DateTime<Utc>,
    /// The time when an operator sent it again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redriven_at: Option<DateTime<Utc>>,
}
