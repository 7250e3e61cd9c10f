//! How many sagas ended over time, and how long they took.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// The longest time that is told, in minutes: a day.
pub const THROUGHPUT_MINUTES_MAX: u32 = 1_440;

/// The sagas that are counted, the newest ones: as many are read from the index within a second.
pub const THROUGHPUT_SAGAS_MAX: u32 = 1_000_000;

/// The sagas that ended, interval by interval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Throughput {
    /// The length of an interval.
    pub step_seconds: u32,
    /// The intervals without a gap, the present one last.
    pub points: Vec<ThroughputPoint>,
    /// The begin of the first interval that is counted whole, when more than [`THROUGHPUT_SAGAS_MAX`] sagas ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counted_from: Option<DateTime<Utc>>,
}

/// The sagas that ended in one interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThroughputPoint {
    /// The begin of the interval.
    pub at: DateTime<Utc>,
    /// Those that were completed.
    pub completed: u64,
    /// Those that were undone.
    pub compensated: u64,
    /// Those that were abandoned.
    pub abandoned: u64,
    /// How long they took; absent when none ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub durations: Option<Durations>,
}

/// The time from start to end of so many in a hundred sagas, at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Durations {
    /// The time of 50 in a hundred.
    pub p50_ms: u64,
    /// The time of 95 in a hundred.
    pub p95_ms: u64,
    /// The time of 99 in a hundred.
    pub p99_ms: u64,
}
