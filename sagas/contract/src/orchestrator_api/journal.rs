//! A saga's journal, record by record.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::StepView;
use crate::saga::{Cause, SagaStatus};

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
