//! The figures of an installation: how many sagas stand where, and how its domains do.

use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::explained::{Circuit, Queue};

/// How many sagas there are.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Counts {
    pub(crate) sagas: u64,
    pub(crate) groups: Vec<CountGroup>,
    pub(crate) quarantined: u64,
    pub(crate) oldest_open: Option<Oldest>,
}

/// Sagas of one version of a definition that have one status.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct CountGroup {
    pub(crate) name: String,
    pub(crate) version: u32,
    pub(crate) status: String,
    pub(crate) sagas: u64,
}

/// The open saga that began first.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Oldest {
    pub(crate) id: String,
    pub(crate) created_at: DateTime<Utc>,
}

/// The processes of an installation, and the ways to its domains.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Processes {
    pub(crate) orchestrators: Vec<Orchestrator>,
    pub(crate) silent_shards: Vec<SilentShard>,
    pub(crate) domains: Vec<Way>,
    pub(crate) workers: Vec<Worker>,
}

/// An orchestrator that answered.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Orchestrator {
    pub(crate) instance: String,
    pub(crate) version: String,
    pub(crate) started_at: DateTime<Utc>,
    pub(crate) clock_ahead_ms: Option<i64>,
    pub(crate) clock_error_ms: u64,
    pub(crate) lanes: Vec<Lane>,
}

/// A lane that answered.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Lane {
    pub(crate) shard: u64,
    pub(crate) answered_ms: u64,
    pub(crate) orphans: u64,
}

/// A shard whose lane gave no answer.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct SilentShard {
    pub(crate) shard: u64,
    pub(crate) instance: Option<String>,
    pub(crate) since: Option<DateTime<Utc>>,
}

/// A worker process that answered.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Worker {
    pub(crate) instance: String,
    pub(crate) version: String,
    pub(crate) started_at: DateTime<Utc>,
    pub(crate) domains: Vec<String>,
    pub(crate) answered_ms: u64,
}

/// The way to the workers of one domain.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Way {
    pub(crate) route: String,
    pub(crate) queue: Option<Queue>,
    pub(crate) under_way: u64,
    pub(crate) held_sagas: u64,
    pub(crate) circuit: Option<Circuit>,
    /// Consumers that no worker spoke for.
    pub(crate) unknown_consumers: u64,
}

/// The sagas that ended, interval by interval.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Throughput {
    pub(crate) step_seconds: i64,
    pub(crate) points: Vec<Point>,
    pub(crate) counted_from: Option<DateTime<Utc>>,
}

/// The numbers of one interval.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Point {
    pub(crate) at: DateTime<Utc>,
    pub(crate) completed: u64,
    pub(crate) compensated: u64,
    pub(crate) abandoned: u64,
    pub(crate) durations: Option<Durations>,
}

/// Within which times so many in a hundred were through.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Durations {
    pub(crate) p50_ms: u64,
    pub(crate) p95_ms: u64,
    pub(crate) p99_ms: u64,
}
