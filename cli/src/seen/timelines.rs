//! The timeline of a saga: what its steps spent their time with.

use chrono::{DateTime, Utc};
use serde::Deserialize;

/// The timeline of a saga.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Timeline {
    pub(crate) began_at: DateTime<Utc>,
    pub(crate) ended_at: Option<DateTime<Utc>>,
    pub(crate) spans: Vec<Span>,
}

/// A time that one step spent in one way.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Span {
    pub(crate) step: String,
    pub(crate) op: String,
    pub(crate) spent: String,
    pub(crate) attempt: Option<u64>,
    pub(crate) from: DateTime<Utc>,
    pub(crate) until: Option<DateTime<Utc>>,
    pub(crate) end: Option<String>,
}
