//! A payment as other parts read it, at `/internal/payment/payments`.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    ids::{OrderId, PaymentId, UserId},
    money::Money,
};

/// How a payment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaymentStatus {
    /// The provider is being asked.
    Pending,
    /// The client has to act at the provider.
    RequiresAction,
    /// The money is reserved.
    Authorized,
    /// The money is taken.
    Captured,
    /// The reserved money was let go, or none was ever reserved.
    Voided,
    /// The money was taken and given back.
    Refunded,
    /// The provider refused.
    Failed,
}

impl PaymentStatus {
    /// Every status, in the order in which a payment may reach them.
    pub const ALL: [Self; 7] = [
        Self::Pending,
        Self::RequiresAction,
        Self::Authorized,
        Self::Captured,
        Self::Voided,
        Self::Refunded,
        Self::Failed,
    ];

    /// The word on the wire and in columns.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::RequiresAction => "requires_action",
            Self::Authorized => "authorized",
            Self::Captured => "captured",
            Self::Voided => "voided",
            Self::Refunded => "refunded",
            Self::Failed => "failed",
        }
    }
}

/// The act of a client that a payment waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum NextAction {
    /// The client is to be sent to a page of the provider.
    Redirect {
        /// The address of the page.
        url: String,
        /// The end of the provider's patience.
        expires_at: DateTime<Utc>,
    },
}

/// A payment of an order, as its domain shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentView {
    /// The payment's id.
    pub payment_id: PaymentId,
    /// The order that is paid for.
    pub order_id: OrderId,
    /// The client who pays; none for a payment by the first version of the commands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<UserId>,
    /// How it stands.
    pub status: PaymentStatus,
    /// The amount that was asked for.
    pub amount: Money,
    /// The amount that was taken and given back; none before the first refund.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refunded: Option<Money>,
    /// The client's next act, while one is required.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_action: Option<NextAction>,
    /// Why it failed: one of the `REFUSED_` codes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_code: Option<String>,
}
