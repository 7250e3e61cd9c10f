//! The payment domain's messages. No card number ever appears: a client's page trades the card for a token at the
//! provider.

pub mod v2;
mod view;
mod webhook;

use std::{fmt, str::FromStr};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    command::{Command, Route},
    ids::{OrderId, PaymentId},
    money::Money,
};
pub use view::{NextAction, PaymentStatus, PaymentView};
pub use webhook::{
    PaymentAction, PaymentWebhook, SIGNAL_PAYMENT_ACTION, WEBHOOK_SIGNATURE_HEADER, WebhookData, WebhookMetadata,
    WebhookObject,
};

/// Refusal: the issuer said no.
pub const REFUSED_DECLINED: &str = "card_declined";
/// Refusal: the account does not cover it.
pub const REFUSED_INSUFFICIENT: &str = "insufficient_funds";
/// Refusal: the provider does not know the token.
pub const REFUSED_TOKEN_UNKNOWN: &str = "payment_token_unknown";
/// Refusal: the client was not verified, or turned the payment down at the provider.
pub const REFUSED_AUTHENTICATION: &str = "authentication_failed";
/// Refusal: the card asks for an act of the client, which the first version of the commands cannot wait for.
pub const REFUSED_AUTHENTICATION_REQUIRED: &str = "authentication_required";
/// Refusal: the payment was begun already, for something else.
pub const REFUSED_PAYMENT_EXISTS: &str = "payment_exists";
/// Refusal: there is no authorization to capture.
pub const REFUSED_NOT_AUTHORIZED: &str = "payment_not_authorized";
/// Refusal: the authorization can no longer be captured.
pub const REFUSED_CAPTURE: &str = "capture_refused";
/// Refusal: so much cannot be given back, because it was not taken or is given back already, or the provider refuses.
pub const REFUSED_REFUND: &str = "refund_refused";

/// The longest token, in bytes: providers' tokens have some thirty.
pub const TOKEN_BYTES_MAX: usize = 128;

/// The provider's token, which a client's page gets in place of a card: `tok_` and letters, digits or underscores.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PaymentToken(String);

/// Why a text is not a token. The text is not repeated: a confused client may have sent a card number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a payment token starts with `tok_`, followed by letters, digits or `_`, {TOKEN_BYTES_MAX} bytes at most; never send a card number"
)]
pub struct PaymentTokenError;

impl PaymentToken {
    /// Checks the text.
    ///
    /// # Errors
    /// When it cannot be a provider's token.
    pub fn new(text: &str) -> Result<Self, PaymentTokenError> {
        let rest = text.strip_prefix("tok_").ok_or(PaymentTokenError)?;
        let shaped = !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if shaped && text.len() <= TOKEN_BYTES_MAX { Ok(Self(text.to_owned())) } else { Err(PaymentTokenError) }
    }

    /// The text, for the provider only.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PaymentToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PaymentToken(...)")
    }
}

impl FromStr for PaymentToken {
    type Err = PaymentTokenError;

    fn from_str(text: &str) -> Result<Self, PaymentTokenError> {
        Self::new(text)
    }
}

impl TryFrom<String> for PaymentToken {
    type Error = PaymentTokenError;

    fn try_from(text: String) -> Result<Self, PaymentTokenError> {
        Self::new(&text)
    }
}

impl From<PaymentToken> for String {
    fn from(token: PaymentToken) -> Self {
        token.0
    }
}

/// Reserves the money, without taking it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorizePayment {
    /// The order that is paid for; it has one live authorization (S23).
    pub order_id: OrderId,
    /// The total of the order.
    pub amount: Money,
    /// The token in place of a card.
    pub token: PaymentToken,
}

/// The reply: the money is reserved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentAuthorized {
    /// The payment that was made for the order.
    pub payment_id: PaymentId,
    /// The provider's own name of the authorization.
    pub provider_reference: String,
    /// The end of the authorization: then the provider lets the money go.
    pub capture_before: DateTime<Utc>,
}

impl Command for AuthorizePayment {
    const NAME: &'static str = "payment.authorize";
    const VERSION: u16 = 1;
    const ROUTE: Route = Route::Payment;
    type Reply = PaymentAuthorized;
}

/// Undoes [`AuthorizePayment`]: lets the money go, or gives it back if it was taken. Never refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VoidPayment {
    /// The order whose payment is undone.
    pub order_id: OrderId,
}

/// The reply: nothing is reserved or taken for the order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentVoided {}

impl Command for VoidPayment {
    const NAME: &'static str = "payment.void";
    const VERSION: u16 = 1;
    const ROUTE: Route = Route::Payment;
    type Reply = PaymentVoided;
}

/// Takes the reserved money.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapturePayment {
    /// The order whose money is taken.
    pub order_id: OrderId,
    /// The total of the order; at most what was authorized.
    pub amount: Money,
}

/// The reply: the money is taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentCaptured {
    /// The payment of the order.
    pub payment_id: PaymentId,
}

impl Command for CapturePayment {
    const NAME: &'static str = "payment.capture";
    const VERSION: u16 = 1;
    const ROUTE: Route = Route::Payment;
    type Reply = PaymentCaptured;
}
