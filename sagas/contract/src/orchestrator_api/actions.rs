//! Operators' actions, and the headers that say who acts.

use serde::{Deserialize, Serialize};

use crate::saga::Action;

/// The header that names the operator.
pub const HEADER_ACTOR: &str = "x-sojourn-actor";

/// The header that names the operator's role.
pub const HEADER_ROLE: &str = "x-sojourn-role";

/// An operator's request. The reason is mandatory and is journaled with actor, role and time.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ActionRequest {
    /// The action that is asked for.
    #[serde(flatten)]
    pub action: Action,
    /// The reason that the operator gives; 3 to [`REASON_BYTES_MAX`] bytes.
    pub reason: String,
}

/// The longest reason, in bytes.
pub const REASON_BYTES_MAX: usize = 500;
