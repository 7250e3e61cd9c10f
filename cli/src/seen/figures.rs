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
    pub(crate) orchestrators: Vec<serde::de::IgnoredAny>,
    pub(crate) silent_shards: Vec<serde::de::IgnoredAny>,
    pub(crate) domains: Vec<Way>,
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
}
