//! The port to whoever moves the money. An adapter turns its provider's answers into these closed enums; nothing of a
//! provider's own words goes further.

mod sandbox;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use contract::{Money, payment::PaymentToken};
use serde::{Deserialize, Serialize};

pub use sandbox::SandboxProvider;

/// What a provider is asked under: the same for every repetition of one request.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Key(pub String);

/// What a provider knows one authorization by.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Reference(pub String);

/// A definite answer. The same key gets the same one for ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Answer {
    /// The money is reserved.
    Authorized {
        /// The authorization.
        reference: Reference,
        /// After that the provider lets the money go.
        capture_before: DateTime<Utc>,
    },
    /// It was done: captured, voided, refunded, or surely never to be.
    Done,
    /// A business no.
    Refused {
        /// One of the `REFUSED_` codes of [`contract::payment`].
        code: String,
        /// For people.
        message: String,
    },
}

/// No definite answer.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// No answer in time, or the connection broke: it may have been done or not. [`PaymentProvider::lookup`] tells.
    #[error("the provider's answer did not come: {0}")]
    Unclear(String),
}

/// Somebody who moves money.
#[async_trait]
pub trait PaymentProvider: Send + Sync + std::fmt::Debug {
    /// Reserves money.
    async fn authorize(&self, key: &Key, amount: Money, token: &PaymentToken) -> Result<Answer, ProviderError>;

    /// Takes reserved money, at most what was reserved; the rest is let go.
    async fn capture(&self, key: &Key, reference: &Reference, amount: Money) -> Result<Answer, ProviderError>;

    /// Lets reserved money go.
    async fn void(&self, key: &Key, reference: &Reference) -> Result<Answer, ProviderError>;

    /// Gives taken money back, all of it.
    async fn refund(&self, key: &Key, reference: &Reference) -> Result<Answer, ProviderError>;

    /// Makes sure that whatever was or will be authorized under `action_key` reserves nothing: voids it if it was,
    /// and refuses it if it comes later.
    async fn abandon(&self, key: &Key, action_key: &Key) -> Result<Answer, ProviderError>;

    /// What was answered under a key, or none if it never took effect.
    async fn lookup(&self, key: &Key) -> Result<Option<Answer>, ProviderError>;
}
