//! The audit log: what operators asked for and what came of it, as a chain of hashes.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// The hash before the first row, and the length of every other: SHA-256 in hexadecimal digits.
pub const AUDIT_HASH_NONE: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// The outcome in the row that is written before an act is carried out.
pub const AUDIT_ASKED: &str = "asked";

/// One row of the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRecord {
    /// The row's number, from 1 without gaps.
    pub number: u64,
    /// The fact that it tells.
    #[serde(flatten)]
    pub fact: AuditFact,
    /// The hash of the row before it.
    pub previous_hash: String,
    /// The row's own hash.
    pub hash: String,
}

/// One fact about an operator's act.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditFact {
    /// The time, to the microsecond.
    pub at: DateTime<Utc>,
    /// The operator's identity, such as a user's id.
    pub actor: String,
    /// The operator's role.
    pub role: String,
    /// The request: the operator's own name for it, or the one that it got at the door.
    pub request_id: String,
    /// The act, such as `cancel`, `release`, `redrive` or `start`.
    pub act: String,
    /// The object of the act: a saga's id, or the address of something else.
    pub target: String,
    /// The reason that the operator gave.
    pub reason: String,
    /// [`AUDIT_ASKED`] before the act; then `done`, or the error's code.
    pub outcome: String,
    /// The number of the row in which it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answers: Option<u64>,
}

/// The body of `POST /internal/audit`, by which the gateway writes down an act that another part carries out: 200
/// [`AuditRecord`]. The actor and the role are headers, as everywhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditRequest {
    /// The request, as the door knows it.
    pub request_id: String,
    /// The act, such as `disable`.
    pub act: String,
    /// The object of the act.
    pub target: String,
    /// The reason that was given.
    pub reason: String,
    /// [`AUDIT_ASKED`] before the act; then `done`, or the error's code.
    pub outcome: String,
    /// The number of the row in which it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answers: Option<u64>,
}

/// The last row, as the log's database holds it beside the rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditHead {
    /// The last row's number; 0 while there is none.
    pub number: u64,
    /// The last row's hash.
    pub hash: String,
}

/// The verification of a part of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditVerification {
    /// The hash of the row after which it begins, unless that is the first row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begins_with: Option<String>,
    /// The number of rows that were checked.
    pub checked: u64,
    /// The last row, as noted beside the log.
    pub head: AuditHead,
    /// The first row that breaks the chain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broken: Option<AuditBreak>,
    /// The row after which to go on, when there are more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_after: Option<u64>,
}

/// A place where the chain is broken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditBreak {
    /// The row that is altered, missing or put in.
    pub number: u64,
    /// The contradiction, in words for people.
    pub detail: String,
}
