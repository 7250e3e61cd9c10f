//! Explanations of a saga that does not move.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::sagas::Cause;

/// The explanation why a saga stands where it stands.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Explanation {
    pub(crate) saga_id: String,
    pub(crate) status: Option<String>,
    pub(crate) sentence: String,
    pub(crate) steps: Vec<OpenStep>,
    pub(crate) domains: Vec<Domain>,
    pub(crate) lane: Option<Lane>,
    pub(crate) deadline_at: Option<DateTime<Utc>>,
    pub(crate) clock_stands_since: Option<DateTime<Utc>>,
    pub(crate) next_wake_at: Option<DateTime<Utc>>,
    pub(crate) possible: Vec<Act>,
}

/// One step that waits.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct OpenStep {
    pub(crate) name: String,
    pub(crate) op: String,
    pub(crate) route: String,
    pub(crate) attempts: u32,
    pub(crate) attempts_max: Option<u32>,
    pub(crate) command_is: Option<String>,
    pub(crate) sent_at: Option<DateTime<Utc>>,
    pub(crate) reply_by: Option<DateTime<Utc>>,
    pub(crate) retry_at: Option<DateTime<Utc>>,
    pub(crate) error: Option<Cause>,
}

/// A domain that the saga depends on.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Domain {
    pub(crate) route: String,
    pub(crate) flow: Option<Flow>,
    pub(crate) queue: Option<Queue>,
}

/// The commands of one lane for one domain.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Flow {
    pub(crate) window: u64,
    pub(crate) under_way: u64,
    pub(crate) held_sagas: u64,
    pub(crate) circuit: Option<Circuit>,
}

/// An open circuit.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Circuit {
    pub(crate) cause: String,
    pub(crate) since: DateTime<Utc>,
    pub(crate) next_probe_at: DateTime<Utc>,
}

/// A domain's queue, as the broker tells of it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Queue {
    pub(crate) messages: u64,
    pub(crate) consumers: u64,
}

/// The lane that the saga belongs to.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Lane {
    pub(crate) starts_refused_for: Option<String>,
}

/// An act that is possible now.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Act {
    pub(crate) act: String,
    pub(crate) step: String,
    pub(crate) steps: Vec<String>,
    pub(crate) versions: Vec<u32>,
    pub(crate) force: bool,
    /// The fields that are not known here.
    #[serde(flatten)]
    pub(crate) more: Map<String, Value>,
}
