//! Messages that no part could handle.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{ids::SagaId, step::Op};

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
