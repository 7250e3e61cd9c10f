//! The payments of an order: one at a time is begun, and what it has taken is added up.

use serde::{Deserialize, Serialize};

use crate::{
    command::{Command, Route},
    ids::{OrderId, PaymentId, UserId},
    money::Money,
    payment::PaymentToken,
};

/// The start input of the `payment` saga: one payment for an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PayOrder {
    /// The payment's id, minted by the one who starts the saga.
    pub payment_id: PaymentId,
    /// The order that is paid for.
    pub order_id: OrderId,
    /// The client who pays.
    pub user_id: UserId,
    /// The amount of this payment, at most the order's balance.
    pub amount: Money,
    /// The provider's token in place of a card.
    pub token: PaymentToken,
}

/// Keeps an order for one payment: no other is begun until it has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BeginPayment {
    /// The order that is paid for.
    pub order_id: OrderId,
    /// The payment that is begun.
    pub payment_id: PaymentId,
    /// The amount of the payment, at most the order's balance.
    pub amount: Money,
}

/// The reply: the payment may go on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentBegun {}

impl Command for BeginPayment {
    const NAME: &'static str = "order.begin_payment";
    const VERSION: u16 = 1;
    const ROUTE: Route = Route::Order;
    type Reply = PaymentBegun;
}

/// Undoes [`BeginPayment`]: the payment took nothing, and another may begin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndPayment {
    /// The order that was to be paid for.
    pub order_id: OrderId,
    /// The payment that took nothing.
    pub payment_id: PaymentId,
}

/// The reply: the payment is not under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentEnded {}

impl Command for EndPayment {
    const NAME: &'static str = "order.end_payment";
    const VERSION: u16 = 1;
    const ROUTE: Route = Route::Order;
    type Reply = PaymentEnded;
}

/// Adds what a payment has taken to what is paid of its order, and ends the payment. The payment was begun by
/// [`BeginPayment`] or by [`super::v2::CreateOrder`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordPayment {
    /// The order that is paid for.
    pub order_id: OrderId,
    /// The payment that has taken money.
    pub payment_id: PaymentId,
    /// The amount that was taken.
    pub amount: Money,
}

/// The reply: how the order stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentRecorded {
    /// All that is paid of the order.
    pub paid: Money,
    /// The rest of its total.
    pub balance_due: Money,
}

impl Command for RecordPayment {
    const NAME: &'static str = "order.record_payment";
    const VERSION: u16 = 1;
    const ROUTE: Route = Route::Order;
    type Reply = PaymentRecorded;
}
