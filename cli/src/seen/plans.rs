//! Plans of actions.

use chrono::{DateTime, Utc};
use contract::saga::FieldChange;
use serde::{Deserialize, Serialize};

use super::{Told, sagas::Summary};

/// The answer to a request for plans.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Plans {
    pub(crate) plans: Vec<Told<Plan>>,
    pub(crate) unplanned: Vec<Unplanned>,
    pub(crate) summary: Vec<Total>,
}

/// The plan for one saga.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Plan {
    #[serde(flatten)]
    pub(crate) summary: Summary,
    pub(crate) head: u64,
    pub(crate) refused: Option<Refused>,
    pub(crate) changes: Vec<FieldChange>,
    pub(crate) commands: Vec<Command>,
    pub(crate) end: String,
    pub(crate) left: Vec<Left>,
}

/// The reason why an action would be refused.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Refused {
    pub(crate) code: String,
    pub(crate) message: String,
}

/// A saga without a plan.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Unplanned {
    pub(crate) saga_id: String,
    #[serde(flatten)]
    pub(crate) refused: Refused,
}

/// One command of a plan.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Command {
    pub(crate) round: u32,
    pub(crate) when: String,
    pub(crate) retry_at: Option<DateTime<Utc>>,
    pub(crate) step: String,
    pub(crate) op: String,
    pub(crate) command: String,
    pub(crate) undone_by: Option<String>,
}

/// An effect that would stay.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Left {
    pub(crate) step: String,
    pub(crate) in_doubt: bool,
    pub(crate) child: Option<String>,
}

/// How many sagas would send a command. It is added up here, so it is written here too.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct Total {
    pub(crate) name: String,
    pub(crate) version: u32,
    pub(crate) step: String,
    pub(crate) op: String,
    pub(crate) command: String,
    pub(crate) now: u32,
    pub(crate) later: u32,
}
