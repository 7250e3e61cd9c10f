//! The weeks of history that left the journal.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// A week of sagas that is retired, or is being retired.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetiredWeek {
    /// Its Monday, as `20261123`.
    pub week: String,
    /// How far it is.
    pub state: RetiredState,
    /// The number of sagas in its export.
    pub sagas: u64,
    /// The file with its sagas, in the export folder of the orchestrator that wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saga_file: Option<String>,
    /// The file with the audit log up to the end of the week; absent when there was nothing new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audit_file: Option<String>,
    /// The time of its last change of state.
    pub changed_at: DateTime<Utc>,
}

/// How far the retirement of a week is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetiredState {
    /// Its ended sagas are out of the tables; those that are open stayed.
    Detached,
    /// Its files are complete.
    Exported,
    /// It is gone from the database.
    Dropped,
}

impl RetiredState {
    /// Every state of a week.
    pub const ALL: [Self; 3] = [Self::Detached, Self::Exported, Self::Dropped];

    /// The word in columns and on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Detached => "detached",
            Self::Exported => "exported",
            Self::Dropped => "dropped",
        }
    }
}
