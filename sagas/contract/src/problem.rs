//! Problem details for HTTP APIs (RFC 9457), the one shape of every HTTP error.

use serde::{Deserialize, Serialize};

/// The media type.
pub const CONTENT_TYPE: &str = "application/problem+json";

/// Where problem types are documented: `docs/errors/<code>.md` in the repository, served under this path.
pub const TYPE_BASE: &str = "https://sojourn.example/problems/";

/// One problem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Identifies the kind of problem: [`TYPE_BASE`] and the code.
    #[serde(rename = "type")]
    pub kind: String,
    /// Short, the same for every occurrence.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What is wrong this time, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The stable word for programs: the last segment of `type`.
    pub code: String,
    /// For 422: where the body is wrong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
}

/// One wrong place of a body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldError {
    /// What is wrong there.
    pub detail: String,
    /// A JSON pointer in a URI fragment, such as `#/travellers/0/born_on`.
    pub pointer: String,
}
