//! A saga's journal, record by record.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::StepView;
use crate::saga::{Cause, FieldChange, SagaStatus};

/// One committed decision.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RecordView {
    /// The record's number, from 1 without gaps.
    pub seq: u64,
    /// The time of the decision.
    pub at: DateTime<Utc>,
    /// The journal entries, as stored.
    pub entries: Vec<Value>,
    /// The saga's status after it.
    pub status: SagaStatus,
    /// Every step as it stood after it.
    pub steps: Vec<StepView>,
    /// The reason why the saga had turned around by then, or why it is left alone.
    #[serde(default)]
    pub cause: Option<Cause>,
}

/// The changes that some records of a saga made in its document: in where it stands, and in what it knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalDifference {
    /// The record after which the first document stood; 0 for before the first record.
    pub from: u64,
    /// The record after which the second document stood.
    pub to: u64,
    /// The places at which the documents differ, in the order of the document: status, cause, input, steps, signals.
    pub changes: Vec<FieldChange>,
}
