//! Sagas, one by one and record by record.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use contract::saga::FieldChange;
use serde::Deserialize;
use serde_json::Value;

use super::{Told, letters::Letter};

/// One line of a listing.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Summary {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) version: u32,
    pub(crate) status: String,
    pub(crate) business_key: String,
    pub(crate) owner: Option<String>,
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) parent_step: Option<String>,
    pub(crate) error: Option<String>,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) updated_at: DateTime<Utc>,
    pub(crate) finished_at: Option<DateTime<Utc>>,
    pub(crate) holds_until: Option<DateTime<Utc>>,
}

/// A saga with the sagas that it started.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Tree {
    #[serde(flatten)]
    pub(crate) saga: Summary,
    pub(crate) children: Vec<Told<Tree>>,
}

/// One saga as it stands.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct View {
    #[serde(flatten)]
    pub(crate) summary: Summary,
    pub(crate) steps: Vec<Step>,
    pub(crate) cause: Option<Cause>,
    pub(crate) pause: Option<SagaPause>,
    pub(crate) deadline_at: Option<DateTime<Utc>>,
    pub(crate) next_wake_at: Option<DateTime<Utc>>,
    pub(crate) dead_letters: Vec<Letter>,
    pub(crate) signals: Vec<Heard>,
    pub(crate) head: u64,
}

/// A signal that a saga has heard.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Heard {
    pub(crate) id: String,
    pub(crate) name: String,
    /// The step that it woke; none while it is kept for one.
    pub(crate) step: Option<String>,
}

/// The reason of a refusal, a fault or a turn.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct Cause {
    pub(crate) step: Option<String>,
    pub(crate) code: String,
    pub(crate) message: String,
}

/// The pause of one saga.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct SagaPause {
    pub(crate) since: DateTime<Utc>,
    pub(crate) clock: String,
    pub(crate) holds: String,
    pub(crate) quiescent: bool,
}

/// One step of one saga.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct Step {
    pub(crate) name: String,
    pub(crate) kind: String,
    /// The word for its work on the way forward.
    pub(crate) work: Value,
    /// The signal that it waits for.
    pub(crate) signal: Option<String>,
    pub(crate) after: Vec<String>,
    pub(crate) status: String,
    pub(crate) attempts: u32,
    pub(crate) retry_at: Option<DateTime<Utc>>,
    pub(crate) wake_at: Option<DateTime<Utc>>,
    pub(crate) valid_until: Option<DateTime<Utc>>,
    pub(crate) error: Option<Cause>,
    pub(crate) skipped: bool,
    pub(crate) edited: Vec<FieldChange>,
    pub(crate) resolved: Option<String>,
}

/// The changes that some records made in a saga.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Difference {
    pub(crate) changes: Vec<FieldChange>,
}

/// One record of a journal.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Record {
    pub(crate) seq: u64,
    pub(crate) at: DateTime<Utc>,
    pub(crate) entries: Vec<Value>,
    pub(crate) status: String,
    pub(crate) steps: Vec<Step>,
}
