//! The second version of placing an order: with a payment plan, and payments that are recorded one by one.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use super::{OrderItem, PaymentPlan, Traveller};
use crate::{
    command::{Command, Route},
    ids::{OrderId, PaymentId, UserId},
    money::Money,
    payment::PaymentToken,
};

/// The start input of the sagas `order` (from version 2 on) and `booking`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlaceOrder {
    /// The order's id, minted at the door.
    pub order_id: OrderId,
    /// The person who orders.
    pub user_id: UserId,
    /// The items; 1 to [`crate::limits::ORDER_ITEMS_MAX`].
    pub items: Vec<OrderItem>,
    /// The people who travel; 1 to [`crate::limits::TRAVELLERS_MAX`].
    pub travellers: Vec<Traveller>,
    /// The sum of the items.
    pub total: Money,
    /// The day of the earliest departure or arrival among the items.
    pub departs_on: NaiveDate,
    /// The way in which the order is paid.
    pub payment_plan: PaymentPlan,
    /// The id of the first payment, minted at the door.
    pub payment_id: PaymentId,
    /// The provider's token in place of a card.
    pub payment_token: PaymentToken,
}

/// Makes the order visible as pending, with its price snapshot and its plan, and begins its first payment. An order that
/// breaks a rule is refused, and stays visible as rejected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateOrder {
    /// The order to be made.
    pub order_id: OrderId,
    /// The person who orders.
    pub user_id: UserId,
    /// The items at the prices that the client accepted.
    pub items: Vec<OrderItem>,
    /// The people who travel.
    pub travellers: Vec<Traveller>,
    /// The total that the client accepted; must be the sum of the items.
    pub total: Money,
    /// The day of the earliest departure or arrival among the items.
    pub departs_on: NaiveDate,
    /// The way in which the order is paid.
    pub payment_plan: PaymentPlan,
    /// The first payment, which takes what is due at once; absent when a saga of its own will begin it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_payment: Option<PaymentId>,
}

/// The reply: the order exists, pending.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderCreated {
    /// The amount that is due at once.
    pub due_now: Money,
}

impl Command for CreateOrder {
    const NAME: &'static str = "order.create";
    const VERSION: u16 = 2;
    const ROUTE: Route = Route::Order;
    type Reply = OrderCreated;
}
