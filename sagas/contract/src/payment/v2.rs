//! The second version of the payment commands: a payment is known by an id that its saga chooses, so that an order may have
//! several (a deposit, then the balance), and an authorization may ask for an act of the client first.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{PaymentCaptured, PaymentToken, PaymentVoided};
use crate::{
    command::{Command, Route},
    ids::{OrderId, PaymentId, UserId},
    money::Money,
};

/// Reserves the money of a payment, without taking it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorizePayment {
    /// The payment, which is made by this command.
    pub payment_id: PaymentId,
    /// The order that is paid for.
    pub order_id: OrderId,
    /// The client who pays.
    pub user_id: UserId,
    /// The amount of this payment.
    pub amount: Money,
    /// The token in place of a card.
    pub token: PaymentToken,
}

/// The reply: how the authorization stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum PaymentAuthorization {
    /// The money is reserved.
    Authorized {
        /// The end of the authorization: then the provider lets the money go.
        capture_before: DateTime<Utc>,
    },
    /// The client has to act first, at the provider; [`CompleteAuthorization`] asks how that went.
    RequiresAction {
        /// The page of the provider where the client acts.
        redirect_url: String,
        /// The end of the provider's patience.
        expires_at: DateTime<Utc>,
    },
}

impl Command for AuthorizePayment {
    const NAME: &'static str = "payment.authorize";
    const VERSION: u16 = 2;
    const ROUTE: Route = Route::Payment;
    type Reply = PaymentAuthorization;
}

/// Asks the provider how an authorization stands that required an act of the client. While the client has not acted the
/// answer is a fault, so that it is asked again; a client who declined or could not be verified is a refusal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompleteAuthorization {
    /// The payment whose client has acted.
    pub payment_id: PaymentId,
}

/// The reply: the money is reserved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorizationCompleted {
    /// The end of the authorization: then the provider lets the money go.
    pub capture_before: DateTime<Utc>,
}

impl Command for CompleteAuthorization {
    const NAME: &'static str = "payment.complete_authorization";
    const VERSION: u16 = 1;
    const ROUTE: Route = Route::Payment;
    type Reply = AuthorizationCompleted;
}

/// Undoes [`AuthorizePayment`] in whatever state it is: lets the money go, or gives it back if it was taken. Never refused;
/// an authorization that arrives later is let go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VoidPayment {
    /// The payment that is undone.
    pub payment_id: PaymentId,
}

impl Command for VoidPayment {
    const NAME: &'static str = "payment.void";
    const VERSION: u16 = 2;
    const ROUTE: Route = Route::Payment;
    type Reply = PaymentVoided;
}

/// Takes the reserved money of a payment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapturePayment {
    /// The payment whose money is taken.
    pub payment_id: PaymentId,
    /// At most what is authorized and not taken yet.
    pub amount: Money,
    /// True when what is left stays reserved, for another capture; else it is let go. Refused where the provider keeps nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keep_rest: bool,
}

impl Command for CapturePayment {
    const NAME: &'static str = "payment.capture";
    const VERSION: u16 = 2;
    const ROUTE: Route = Route::Payment;
    type Reply = PaymentCaptured;
}

/// Gives taken money back, all of it or a part; a payment may have several refunds. Nothing undoes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundPayment {
    /// The payment whose money is given back.
    pub payment_id: PaymentId,
    /// At most what was taken and not given back.
    pub amount: Money,
}

/// The reply: the money is given back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentRefunded {
    /// The amount that is given back of the payment by now, by this refund and those before it.
    pub refunded: Money,
}

impl Command for RefundPayment {
    const NAME: &'static str = "payment.refund";
    const VERSION: u16 = 1;
    const ROUTE: Route = Route::Payment;
    type Reply = PaymentRefunded;
}
