//! The port to the payment provider. An adapter turns its provider's answers into these closed enums; nothing of a
//! provider's own words goes further.
//!
//! A call may be made again at any time, with the same arguments: it takes effect once. An adapter finds out what became of
//! the first one by our own reference, which the provider keeps with the charge, and trusts no key that the provider
//! forgets after a day.

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use contract::{Money, OrderId, PaymentId, SagaId, payment::PaymentToken};
use serde::{Deserialize, Serialize};

/// The name of one refund: the same for every repetition of one request.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Key(pub String);

/// Our own name of one charge.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Reference(pub String);

/// The provider's own name of one charge.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ProviderReference(pub String);

/// A charge as it is asked for: all that is known of one whose answer never came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charge {
    /// Our name of it, by which it is found.
    pub reference: Reference,
    /// The payment that it is for.
    pub payment_id: PaymentId,
    /// The order that the payment is for.
    pub order_id: OrderId,
    /// The saga that waits for it.
    pub saga_id: SagaId,
    /// The amount to be reserved.
    pub amount: Money,
}

/// A definite answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer<T = ()> {
    /// The request took effect.
    Done(T),
    /// The provider will do it later: it is to be asked again.
    Accepted,
    /// The client has to act first.
    RequiresAction(Action),
    /// The authorization has ended: nothing is reserved, and nothing was taken.
    Lapsed,
    /// The provider refused.
    Refused(Refused),
}

/// Money that is reserved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorized {
    /// The name of the authorization.
    pub provider_reference: ProviderReference,
    /// The end of the authorization: then the provider lets the money go.
    pub capture_before: DateTime<Utc>,
}

/// An act of the client that the provider waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    /// The name of the authorization.
    pub provider_reference: ProviderReference,
    /// The provider's page.
    pub url: String,
    /// The end of the provider's patience.
    pub expires_at: DateTime<Utc>,
}

/// A no of the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// One of the `REFUSED_` codes of [`contract::payment`].
    pub code: &'static str,
    /// The refusal in words.
    pub message: String,
}

impl Refused {
    /// A no with this code.
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

/// A charge as the provider has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The provider's name of it.
    pub provider_reference: ProviderReference,
    /// How it stands.
    pub standing: Standing,
}

/// How a charge stands at the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// The client has to act.
    RequiresAction,
    /// The provider is still working on it.
    Accepted,
    /// The money is reserved until then.
    Authorized(DateTime<Utc>),
    /// So much was taken and not given back.
    Captured(Money),
    /// Nothing is reserved or taken any more.
    Ended,
    /// The provider, the issuer or the client said no.
    Refused(Refused),
}

/// A capture of a charge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taking {
    /// The amount that is taken by it.
    pub amount: Money,
    /// The amount that is taken in all, once it took effect.
    pub taken: Money,
    /// True when what is left stays reserved, for another capture; else it is let go.
    pub keep_rest: bool,
}

/// No answer in time, or the connection broke: it may have been done or not.
#[derive(Debug, thiserror::Error)]
#[error("the provider's answer did not come: {0}")]
pub struct Unclear(pub String);

/// The outcome of a call.
pub type Asked<T = ()> = Result<Answer<T>, Unclear>;

/// How long a client may take for the act that a provider asks for: as long as the sagas wait for news of it.
pub(crate) const ACTION_WITHIN: TimeDelta = TimeDelta::minutes(10);

/// A payment provider.
#[async_trait]
pub trait PaymentProvider: Send + Sync + std::fmt::Debug {
    /// Reserves money, without taking it. `resumed` says that an earlier call may have been made, perhaps days ago.
    async fn authorize(&self, charge: &Charge, token: &PaymentToken, resumed: bool) -> Asked<Authorized>;

    /// Reserves money on the payment method of an authorization that has lapsed.
    async fn authorize_again(&self, charge: &Charge, lapsed: &ProviderReference) -> Asked<Authorized>;

    /// The charge of that name of ours, if the provider has it; by the provider's own name where that is `known`.
    async fn find(&self, reference: &Reference, known: Option<&ProviderReference>) -> Result<Option<Found>, Unclear>;

    /// Takes reserved money, at most what is reserved. Refused when the rest is to be kept and the provider keeps nothing of
    /// this charge.
    async fn capture(&self, authorization: &ProviderReference, taking: &Taking) -> Asked;

    /// Lets go what is still reserved of a charge of which so much was taken.
    async fn release(&self, authorization: &ProviderReference, taken: Money) -> Asked;

    /// Lets reserved money go. Refused when it was taken, or a part of it.
    async fn void(&self, authorization: &ProviderReference) -> Asked;

    /// Gives so much of the taken money back, once a key.
    async fn refund(&self, key: &Key, authorization: &ProviderReference, amount: Money) -> Asked;

    /// Makes sure that a charge reserves nothing, whether it was made or not and also if it is still on its way. Refused when
    /// its money was taken.
    async fn abandon(&self, charge: &Charge) -> Asked;
}
