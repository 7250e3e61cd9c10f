//! Operators' actions, and the headers that say who acts.

use serde::{Deserialize, Serialize};

use crate::{RequestId, saga::Action};

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
    /// Names the request, so that it can be repeated when its answer was lost; a new one when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<RequestId>,
    /// The number of the last record that the operator has seen: the action is refused when there is a later one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub if_head: Option<u64>,
}

/// The longest reason, in bytes.
pub const REASON_BYTES_MAX: usize = 500;
