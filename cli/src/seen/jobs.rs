//! Jobs and their items.

use chrono::{DateTime, Utc};
use serde::Deserialize;

/// A job as it stands.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Job {
    pub(crate) id: String,
    pub(crate) state: String,
    pub(crate) action: String,
    pub(crate) actor: String,
    pub(crate) reason: String,
    pub(crate) sagas: u32,
    pub(crate) done: u32,
    pub(crate) refused: u32,
    pub(crate) vanished: u32,
    pub(crate) trouble: Option<String>,
    pub(crate) created_at: DateTime<Utc>,
}

/// A job with the codes of its refusals.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct JobView {
    #[serde(flatten)]
    pub(crate) job: Job,
    pub(crate) refusals: Vec<Refusals>,
}

/// How many sagas refused with one code.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Refusals {
    pub(crate) code: String,
    pub(crate) sagas: u32,
}

/// One saga of a job.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Item {
    pub(crate) place: u32,
    pub(crate) saga_id: String,
    pub(crate) outcome: String,
    pub(crate) code: Option<String>,
    pub(crate) message: Option<String>,
}

/// How many open sagas match a filter now.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Preview {
    pub(crate) sagas: u32,
    pub(crate) groups: Vec<Group>,
}

/// Sagas that stand alike.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Group {
    pub(crate) name: String,
    pub(crate) version: u32,
    pub(crate) status: String,
    pub(crate) step: Option<String>,
    pub(crate) code: Option<String>,
    pub(crate) sagas: u32,
}
