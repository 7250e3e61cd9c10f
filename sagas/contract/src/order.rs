//! The order domain's messages, the start input of the `order` saga, and what the door shows of an order.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    command::{Command, Route},
    event::Event,
    ids::{OfferId, OrderId, UserId},
    money::Money,
    payment::PaymentToken,
};

/// A person who travels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Traveller {
    /// As in the passport.
    pub given_name: String,
    /// As in the passport.
    pub family_name: String,
    /// Date of birth.
    pub born_on: NaiveDate,
    /// Where tickets go.
    pub email: String,
}

/// One thing ordered, at the price that the client accepted (S25).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderItem {
    /// What was offered.
    pub offer_id: OfferId,
    /// For people: "LHR to MLE, 2026-12-01, business, 2 seats".
    pub description: String,
    /// The offer's total at the time of ordering.
    pub total: Money,
}

/// The start input of the `order` saga.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlaceOrder {
    /// Minted at the door.
    pub order_id: OrderId,
    /// Who orders.
    pub user_id: UserId,
    /// What; 1 to [`crate::limits::ORDER_ITEMS_MAX`].
    pub items: Vec<OrderItem>,
    /// Who travels; 1 to [`crate::limits::TRAVELLERS_MAX`].
    pub travellers: Vec<Traveller>,
    /// The sum of the items.
    pub total: Money,
    /// What the provider gave the client's page in place of a card.
    pub payment_token: PaymentToken,
}

/// Makes the order visible as pending, with its price snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateOrder {
    /// The order.
    pub order_id: OrderId,
    /// Whose it is.
    pub user_id: UserId,
    /// The price snapshot.
    pub items: Vec<OrderItem>,
    /// Who travels.
    pub travellers: Vec<Traveller>,
    /// The sum.
    pub total: Money,
}

/// The order exists, pending.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderCreated {}

impl Command for CreateOrder {
    const NAME: &'static str = "order.create";
    const VERSION: u16 = 1;
    const ROUTE: Route = Route::Order;
    type Reply = OrderCreated;
}

/// Undoes [`CreateOrder`]: the order stays visible as rejected, with the reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RejectOrder {
    /// The order.
    pub order_id: OrderId,
    /// A refusal's code, such as `card_declined`.
    pub reason_code: String,
    /// For people.
    pub reason: String,
}

/// Answers [`RejectOrder`]: the order is rejected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderRejection {}

impl Command for RejectOrder {
    const NAME: &'static str = "order.reject";
    const VERSION: u16 = 1;
    const ROUTE: Route = Route::Order;
    type Reply = OrderRejection;
}

/// The order is firm: everything is confirmed and paid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfirmOrder {
    /// The order.
    pub order_id: OrderId,
    /// The airline's record locator, when there are flights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flight_reference: Option<String>,
    /// The properties' confirmation, when there are stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stay_reference: Option<String>,
}

/// Answers [`ConfirmOrder`]: the order is confirmed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderConfirmation {}

impl Command for ConfirmOrder {
    const NAME: &'static str = "order.confirm";
    const VERSION: u16 = 1;
    const ROUTE: Route = Route::Order;
    type Reply = OrderConfirmation;
}

/// Announces that everything of an order is firm and paid. Nothing personal is in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderConfirmed {
    /// The order.
    pub order_id: OrderId,
}

impl Event for OrderConfirmed {
    const NAME: &'static str = "order.confirmed";
    const VERSION: u16 = 1;
    const ROUTE: Route = Route::Order;

    fn subject(&self) -> String {
        self.order_id.to_string()
    }
}

/// Announces that an order was refused or withdrawn and nothing of it is left. Nothing personal is in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderRejected {
    /// The order.
    pub order_id: OrderId,
    /// A refusal's code, such as `card_declined`.
    pub reason_code: String,
}

impl Event for OrderRejected {
    const NAME: &'static str = "order.rejected";
    const VERSION: u16 = 1;
    const ROUTE: Route = Route::Order;

    fn subject(&self) -> String {
        self.order_id.to_string()
    }
}

/// Where an order stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderStatus {
    /// Its saga is at work.
    Pending,
    /// Firm.
    Confirmed,
    /// Refused or withdrawn; nothing is held or charged.
    Rejected,
}

impl OrderStatus {
    /// The word in columns.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Confirmed => "confirmed",
            Self::Rejected => "rejected",
        }
    }
}

/// What a client is told when an order was undone for a technical reason or by a person: how our parts failed is not
/// theirs to know.
pub const NOT_COMPLETED: &str = "The order could not be completed. Nothing is booked or charged.";

/// Why an order was rejected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// A refusal's code.
    pub code: String,
    /// For the client: the refusal's words, or [`NOT_COMPLETED`].
    pub message: String,
}

/// An order as the order domain's internal HTTP answers it: `GET /internal/orders/{order_id}` and
/// `GET /internal/orders?user_id=...`; the gateway passes it on without `user_id`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderView {
    /// The order.
    pub order_id: OrderId,
    /// Whose it is.
    pub user_id: UserId,
    /// Where it stands.
    pub status: OrderStatus,
    /// When rejected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// The price snapshot.
    pub items: Vec<OrderItem>,
    /// Who travels.
    pub travellers: Vec<Traveller>,
    /// The sum.
    pub total: Money,
    /// The airline's record locator, once confirmed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flight_reference: Option<String>,
    /// The properties' confirmation, once confirmed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stay_reference: Option<String>,
    /// When the order was placed.
    pub created_at: DateTime<Utc>,
    /// When its status last changed.
    pub updated_at: DateTime<Utc>,
}
