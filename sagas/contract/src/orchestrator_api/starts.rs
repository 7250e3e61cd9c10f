//! Starts of sagas.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    ids::SagaId,
    traceparent::{Traceparent, if_valid},
};

/// A request to start a saga.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StartSaga {
    /// The definition's name.
    pub name: String,
    /// The definition's version; the newest when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
    /// The key that, together with the name, makes the start idempotent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency: Option<StartKey>,
    /// The business's own name for it, such as an order's id.
    pub business_key: String,
    /// The owner, such as a user's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// W3C trace context of the request.
    #[serde(default, deserialize_with = "if_valid", skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<Traceparent>,
    /// The definition's input.
    pub input: Value,
}

/// One logical start.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StartKey {
    /// The same for each repetition of the request; scoped by the caller.
    pub key: String,
    /// A digest of what was asked; another one under the same key is refused with 422.
    pub fingerprint: String,
}

/// The answer to [`StartSaga`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SagaStarted {
    /// The id of the saga that exists now.
    pub saga_id: SagaId,
    /// The business key of that saga: for a repeated start, the first one's.
    pub business_key: String,
    /// False when the same start had come before.
    pub created: bool,
}
