//! Dead letters as a list and a redrive show them.

use chrono::{DateTime, Utc};
use serde::Deserialize;

/// A message that no part could handle.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Letter {
    pub(crate) id: i64,
    pub(crate) saga_id: Option<String>,
    pub(crate) queue: String,
    pub(crate) reason: String,
    pub(crate) received_at: DateTime<Utc>,
    pub(crate) redriven_at: Option<DateTime<Utc>>,
}
