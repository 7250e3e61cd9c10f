//! All that a page shows of a saga, drawn from one reading of its journal.

use serde::{Deserialize, Serialize};

use super::{Explanation, RecordView, SagaView, Timeline};
use crate::Page;

/// A saga at one moment, in the views that a person looks at together. Each can be asked for alone; together they cost one
/// reading of the journal, and none of them is of another moment than the others.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SagaSnapshot {
    /// The saga as it stands.
    pub saga: SagaView,
    /// The reason why it is not moving.
    pub explanation: Explanation,
    /// The time that it spent, step by step.
    pub timeline: Timeline,
    /// The records that were asked for, the last one first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub journal: Option<Page<RecordView>>,
}
