//! The lines of the smaller listings.

use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::{Told, sagas::Summary};

/// A saga that is left alone.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Quarantined {
    pub(crate) saga_id: String,
    pub(crate) code: String,
    pub(crate) detail: String,
    pub(crate) since: DateTime<Utc>,
}

/// The definitions that an orchestrator can carry out.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Definitions {
    pub(crate) items: Vec<Told<Definition>>,
}

/// One version of a definition.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Definition {
    pub(crate) name: String,
    pub(crate) version: u32,
    pub(crate) fingerprint: String,
    pub(crate) deadline_seconds: Option<u64>,
    pub(crate) attributes: Vec<String>,
    pub(crate) steps: Vec<serde::de::IgnoredAny>,
    pub(crate) findings: Vec<Finding>,
}

/// One finding of the linter.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Finding {
    pub(crate) rule: String,
    pub(crate) step: String,
    pub(crate) message: String,
}

/// A running saga that another version could take over, or not.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Migration {
    #[serde(flatten)]
    pub(crate) summary: Summary,
    pub(crate) obstacles: Vec<String>,
}

/// A pause of a domain, a definition or a step.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Pause {
    pub(crate) scope: String,
    pub(crate) actor: String,
    pub(crate) reason: String,
    pub(crate) since: DateTime<Utc>,
}

/// A pause that is in force, with what it holds back.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct PauseView {
    #[serde(flatten)]
    pub(crate) pause: Pause,
    pub(crate) clock: String,
    pub(crate) under_way: u64,
    pub(crate) held_sagas: u64,
    pub(crate) silent_shards: Vec<u32>,
    pub(crate) quiescent: bool,
}

/// The effect of a signal.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct SignalEffect {
    pub(crate) effect: String,
    pub(crate) step: String,
    pub(crate) why: String,
}

/// A week of history that left the journal.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Week {
    pub(crate) week: String,
    pub(crate) state: String,
    pub(crate) sagas: u64,
    pub(crate) saga_file: Option<String>,
    pub(crate) audit_file: Option<String>,
}
