//! The dry run of a migration: which running sagas another version of their definition could take over.

use serde::{Deserialize, Serialize};

use super::SagaSummary;

/// One running saga, and what keeps the version from taking it over.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MigrationView {
    /// The line of the listing.
    #[serde(flatten)]
    pub summary: SagaSummary,
    /// The obstacles, in words for people; none when the saga could be taken over as it stands.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub obstacles: Vec<String>,
}
