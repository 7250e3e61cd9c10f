//! Problem details for HTTP APIs (RFC 9457), the one shape of every HTTP error.

use serde::{Deserialize, Serialize};

/// The media type of a problem.
pub const CONTENT_TYPE: &str = "application/problem+json";

/// The address of the problem types' documentation, which is `docs/errors/<code>.md` in the repository.
pub const TYPE_BASE: &str = "https://sojourn.example/problems/";

/// One error of one request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Identifies the kind of problem: [`TYPE_BASE`] and the code.
    #[serde(rename = "type")]
    pub kind: String,
    /// A short text, the same for every occurrence.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// The explanation of this occurrence, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The stable word for programs: the last segment of `type`.
    pub code: String,
    /// The wrong places of the body, for 422.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
}

/// One wrong place of a body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldError {
    /// The explanation, for people.
    pub detail: String,
    /// A JSON pointer in a URI fragment, such as `#/travellers/0/born_on`.
    pub pointer: String,
}
