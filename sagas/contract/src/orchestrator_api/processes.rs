//! The processes of an installation: the orchestrators with their lanes, the workers, and the ways to the domains.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{OpenCircuit, QueueState};
use crate::{command::Route, ids::InstanceId};

/// The processes, as the lanes and the broker tell of them at the moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Processes {
    /// The orchestrators whose lanes answered.
    pub orchestrators: Vec<OrchestratorView>,
    /// The shards whose lanes gave no answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub silent_shards: Vec<SilentShard>,
    /// The ways to the domains.
    pub domains: Vec<DomainWay>,
    /// The worker processes that answered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub workers: Vec<WorkerView>,
}

/// An orchestrator whose lanes answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrchestratorView {
    /// The name that it gave itself at its start.
    pub instance: String,
    /// The version of the program.
    pub version: String,
    /// The time of its start.
    pub started_at: DateTime<Utc>,
    /// The time by which its clock is ahead of the database's; negative when it is behind. Absent when the storage has no
    /// clock of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_ahead_ms: Option<i64>,
    /// The error of that, at most: the time that the question took.
    pub clock_error_ms: u64,
    /// The lanes that answered for it.
    pub lanes: Vec<LaneView>,
}

/// A lane that answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaneView {
    /// The number of the shard.
    pub shard: u16,
    /// The time since which the shard is owned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<DateTime<Utc>>,
    /// How long the answer took.
    pub answered_ms: u64,
    /// True while it loads the sagas of the shard.
    pub taking_over: bool,
    /// The open sagas without a reason to move that it has found, and taken up again.
    pub orphans: u64,
}

/// A shard whose lane gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SilentShard {
    /// The number of the shard.
    pub shard: u16,
    /// The orchestrator that had it last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// The time since which that one has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<DateTime<Utc>>,
}

/// The way to a domain, from all lanes that answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DomainWay {
    /// The domain that is meant.
    pub route: Route,
    /// Its queue; absent when the broker did not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<QueueState>,
    /// The commands that are under way.
    pub under_way: u64,
    /// The sagas whose commands are held back.
    pub held_sagas: u64,
    /// The circuit of a lane that has been open for the longest time; absent while all are closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub circuit: Option<OpenCircuit>,
    /// The consumers of its queue beyond those of the workers that answered: an earlier program, which does not hear the question, or
    /// one that gave no answer in time.
    #[serde(default)]
    pub unknown_consumers: u32,
}

/// A worker process that answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerView {
    /// The name that it gave itself at its start.
    pub instance: InstanceId,
    /// The version of its program.
    pub version: String,
    /// The time of its start.
    pub started_at: DateTime<Utc>,
    /// The domains whose commands it takes.
    pub domains: Vec<Route>,
    /// How long the answer took.
    pub answered_ms: u64,
}
