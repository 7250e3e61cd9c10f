//! Exact counts of sagas.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{ids::SagaId, saga::SagaStatus};

/// The ages by which open sagas are counted apart, in seconds: a minute, ten, an hour, six, a day, a week.
pub const AGES_SECONDS: [u32; 7] = [0, 60, 600, 3_600, 21_600, 86_400, 604_800];

/// The number of sagas that a listing would show, and their make-up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SagaCounts {
    /// All of them.
    pub sagas: u64,
    /// The same ones by definition, version and status, in that order.
    pub groups: Vec<SagaGroup>,
    /// Those that have not ended, by age; one entry for each of [`AGES_SECONDS`].
    pub ages: Vec<AgeGroup>,
    /// Those that are left alone.
    pub quarantined: u64,
    /// The oldest one that has not ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest_open: Option<SagaSince>,
    /// The one whose hold lapses first, before its point of no return.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub earliest_hold: Option<SagaHold>,
}

/// The sagas of one definition and version in one status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SagaGroup {
    /// The definition's name.
    pub name: String,
    /// The definition's version.
    pub version: u32,
    /// The status that they have.
    pub status: SagaStatus,
    /// The number of them.
    pub sagas: u64,
}

/// The open sagas of one age.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgeGroup {
    /// They are older than this, and no older than the next entry says; those that have just begun are in the first one.
    pub from_seconds: u32,
    /// The number of them.
    pub sagas: u64,
}

/// A saga and the time of its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SagaSince {
    /// The id of the saga.
    pub id: SagaId,
    /// The time of the start.
    pub created_at: DateTime<Utc>,
}

/// A saga and the time at which something lapses that it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SagaHold {
    /// The id of the saga.
    pub id: SagaId,
    /// The time at which it lapses.
    pub holds_until: DateTime<Utc>,
}
