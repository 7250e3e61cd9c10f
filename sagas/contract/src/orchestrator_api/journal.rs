//! A saga's journal, record by record.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::StepView;
use crate::saga::SagaStatus;

/// One committed decision.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RecordView {
    /// Its number, from 1 without gaps.
    pub seq: u64,
    /// When it was decided.
    pub at: DateTime<Utc>,
    /// The journal entries, as stored.
    pub entries: Vec<Value>,
    /// Where the saga stood after it.
    pub status: SagaStatus,
    /// Every step after it.
    pub steps: Vec<StepView>,
}
