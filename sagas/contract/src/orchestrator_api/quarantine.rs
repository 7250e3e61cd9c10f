//! Sagas that are left alone.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::ids::SagaId;

/// A saga that is left alone, because its journal cannot be read or written, or no program knows its definition.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct QuarantinedSaga {
    /// The id of the saga.
    pub saga_id: SagaId,
    /// The word for the reason.
    pub code: String,
    /// The reason, in words for people.
    pub detail: String,
    /// The time from which it is left alone.
    pub since: DateTime<Utc>,
}
