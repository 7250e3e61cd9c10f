//! The port to the payment provider. An adapter turns its provider's answers into these closed enums; nothing of a
//! provider's own words goes further.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use contract::{Money, payment::PaymentToken};
use serde::{Deserialize, Serialize};

/// The idempotency key of a request to the provider: the same for every repetition of one request.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Key(pub String);

/// The provider's own name of one authorization.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Reference(pub String);

/// A definite answer. The same key gets the same one for ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Answer {
    /// The money is reserved.
    Authorized {
        /// The name of the authorization.
        reference: Reference,
        /// The end of the authorization: then the provider lets the money go.
        capture_before: DateTime<Utc>,
    },
    /// The request took effect: captured, voided, refunded, or surely never to be.
    Done,
    /// The authorization had ended before the request: nothing is reserved, and nothing was taken.
    Lapsed,
    /// The provider refused.
    Refused {
        /// One of the `REFUSED_` codes of [`contract::payment`].
        code: String,
        /// The refusal in words.
        message: String,
    },
}

/// The failure to get a definite answer.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// No answer in time, or the connection broke: it may have been done or not. [`PaymentProvider::lookup`] tells.
    #[error("the provider's answer did not come: {0}")]
    Unclear(String),
}

/// A payment provider.
#[async_trait]
pub trait PaymentProvider: Send + Sync + std::fmt::Debug {
    /// Reserves money, without taking it.
    async fn authorize(&self, key: &Key, amount: Money, token: &PaymentToken) -> Result<Answer, ProviderError>;

    /// Reserves the same money again, on the payment method of an authorization that has lapsed.
    async fn authorize_again(&self, key: &Key, lapsed: &Reference, amount: Money) -> Result<Answer, ProviderError>;

    /// Takes reserved money, at most what was reserved; the rest is let go.
    async fn capture(&self, key: &Key, reference: &Reference, amount: Money) -> Result<Answer, ProviderError>;

    /// Lets reserved money go.
    async fn void(&self, key: &Key, reference: &Reference) -> Result<Answer, ProviderError>;

    /// Gives taken money back, all of it.
    async fn refund(&self, key: &Key, reference: &Reference) -> Result<Answer, ProviderError>;

    /// Makes sure that an authorization under `action_key` reserves nothing: voids it if it was made, and refuses it
    /// if it comes later.
    async fn abandon(&self, key: &Key, action_key: &Key) -> Result<Answer, ProviderError>;

    /// The answer that was given under a key, or none if the request never took effect.
    async fn lookup(&self, key: &Key) -> Result<Option<Answer>, ProviderError>;
}
