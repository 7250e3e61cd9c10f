//! The audit log as the port tells of it. Its chain of hashes is part of the contract: exports are checked without a journal.

/// The rows that are wanted of a listing.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    /// Of this operator only.
    pub actor: Option<String>,
    /// About this object only.
    pub target: Option<String>,
    /// Of this act only.
    pub act: Option<String>,
}
