//! The order domain's messages, the start input of the `order` saga, and the view of an order.

mod payments;
mod plan;
pub mod v2;

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    birth_date::BirthDate,
    command::{Command, Route},
    email_address::EmailAddress,
    event::Event,
    ids::{OrderId, UserId},
    money::{Money, MoneyError},
    offer::OfferId,
    payment::PaymentToken,
    person_name::PersonName,
    saga::Cause,
};

pub use self::{
    payments::{BeginPayment, EndPayment, PayOrder, PaymentBegun, PaymentEnded, PaymentRecorded, RecordPayment},
    plan::{BALANCE_DAYS_BEFORE, DEPOSIT_PERCENT, DepositTooLate, Due, PaymentPlan},
};

/// Refusal: a departure is too near for a deposit.
pub const REFUSED_DEPOSIT_TOO_LATE: &str = "deposit_too_late";
/// Refusal: a payment is more than the balance of its order.
pub const REFUSED_BALANCE_EXCEEDED: &str = "balance_exceeded";
/// Refusal: another payment for the order has not ended.
pub const REFUSED_PAYMENT_UNDER_WAY: &str = "payment_under_way";
/// Refusal: the order is rejected, or there is none, or nothing of it is to be paid.
pub const REFUSED_NOT_PAYABLE: &str = "order_not_payable";
/// Refusal: the total of an order is not the sum of its items.
pub const REFUSED_TOTAL_MISMATCH: &str = "order_total_mismatch";
/// Refusal: the sum of an order's items is more than an amount can be.
pub const REFUSED_TOTAL_TOO_LARGE: &str = "total_too_large";
/// Refusal: the items of an order are priced in several currencies.
pub const REFUSED_CURRENCIES_MIXED: &str = "currencies_mixed";
/// Refusal: the number of items or travellers, or a date of birth, is not possible.
pub const REFUSED_INVALID: &str = "order_invalid";

/// A person who travels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Traveller {
    /// The given name, as in the passport.
    pub given_name: PersonName,
    /// The family name, as in the passport.
    pub family_name: PersonName,
    /// The date of birth.
    pub born_on: BirthDate,
    /// The address that tickets are sent to.
    pub email: EmailAddress,
}

/// One thing ordered, at the price that the client accepted (S25).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderItem {
    /// The offer that was accepted.
    pub offer_id: OfferId,
    /// The item in words: "LHR to MLE, 2026-12-01, business, 2 seats".
    pub description: String,
    /// The offer's total at the time of ordering.
    pub total: Money,
}

/// Why items have no total.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TotalError {
    /// There is no item, so there is no currency either.
    #[error("an order without items has no total")]
    NoItems,
    /// One item is priced in another currency than the first one.
    #[error("the item at {index} is priced in {currency}, the first one in {first}; one order is paid in one currency")]
    CurrenciesMixed {
        /// The place of that item.
        index: usize,
        /// The currency of that item.
        currency: &'static str,
        /// The currency of the first item.
        first: &'static str,
    },
    /// The sum is more than an amount can be.
    #[error(transparent)]
    TooLarge(#[from] MoneyError),
}

impl TotalError {
    /// The code under which an order is refused for it.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoItems => REFUSED_INVALID,
            Self::CurrenciesMixed { .. } => REFUSED_CURRENCIES_MIXED,
            Self::TooLarge(_) => REFUSED_TOTAL_TOO_LARGE,
        }
    }
}

/// The sum of the items, in their one currency: the only total that an order of them can have.
///
/// # Errors
/// When the items have no such sum.
pub fn total_of(items: &[OrderItem]) -> Result<Money, TotalError> {
    let (first, others) = items.split_first().ok_or(TotalError::NoItems)?;
    let mut sum = first.total;
    for (index, item) in (1..).zip(others) {
        if item.total.currency() != sum.currency() {
            let (currency, first) = (item.total.currency_code(), sum.currency_code());
            return Err(TotalError::CurrenciesMixed { index, currency, first });
        }
        sum = sum.checked_add(item.total)?;
    }
    Ok(sum)
}

/// The start input of the `order` saga.
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
    /// The provider's token in place of a card.
    pub payment_token: PaymentToken,
}

/// Makes the order visible as pending, with its price snapshot. An order that breaks a rule is refused, and stays
/// visible as rejected.
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
}

/// The reply: the order exists, pending.
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
    /// The order to be rejected.
    pub order_id: OrderId,
    /// A refusal's code, such as `card_declined`.
    pub reason_code: String,
    /// The reason in words, for the client.
    pub reason: String,
}

/// The reply: the order is rejected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderRejection {}

impl Command for RejectOrder {
    const NAME: &'static str = "order.reject";
    const VERSION: u16 = 1;
    const ROUTE: Route = Route::Order;
    type Reply = OrderRejection;
}

/// Ends an order whose saga an operator gave up, wherever it stood: a pending order stays visible as closed, with the
/// reason, and one that was never created is kept as closed. An order that has ended already is left as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CloseOrder {
    /// The order as it was to be created.
    pub order: v2::CreateOrder,
    /// The code of the reason.
    pub reason_code: String,
    /// The reason in words, for the client.
    pub reason: String,
}

/// The reply: the order has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderClosed {}

impl Command for CloseOrder {
    const NAME: &'static str = "order.close";
    const VERSION: u16 = 1;
    const ROUTE: Route = Route::Order;
    type Reply = OrderClosed;
}

/// The order is firm: everything is confirmed and paid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfirmOrder {
    /// The order to be confirmed.
    pub order_id: OrderId,
    /// The airline's record locator, when there are flights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flight_reference: Option<String>,
    /// The properties' confirmation, when there are stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stay_reference: Option<String>,
}

/// The reply: the order is confirmed.
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
    /// The order that was confirmed.
    pub order_id: OrderId,
}

impl Event for OrderConfirmed {
    const NAME: &'static str = "order.confirmed";
    const VERSION: u16 = 1;
    const ROUTE: Route = Route::Order;
    const SUBSCRIBERS: &'static [Route] = &[];

    fn subject(&self) -> String {
        self.order_id.to_string()
    }
}

/// Announces that an order was refused or withdrawn and nothing of it is left. Nothing personal is in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderRejected {
    /// The order that was rejected.
    pub order_id: OrderId,
    /// The code of the refusal, such as `card_declined`.
    pub reason_code: String,
}

impl Event for OrderRejected {
    const NAME: &'static str = "order.rejected";
    const VERSION: u16 = 1;
    const ROUTE: Route = Route::Order;
    const SUBSCRIBERS: &'static [Route] = &[];

    fn subject(&self) -> String {
        self.order_id.to_string()
    }
}

/// The state of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderStatus {
    /// The order's saga is at work.
    Pending,
    /// The order is firm: everything is confirmed and paid.
    Confirmed,
    /// The order was refused or withdrawn; nothing is held or charged.
    Rejected,
    /// A person ended the order as it stood; parts of it may be booked or charged.
    Closed,
}

impl OrderStatus {
    /// Every state of an order.
    pub const ALL: [Self; 4] = [Self::Pending, Self::Confirmed, Self::Rejected, Self::Closed];

    /// True when the order will never be confirmed, so that nothing more is to be paid.
    #[must_use]
    pub const fn is_over(self) -> bool {
        match self {
            Self::Rejected | Self::Closed => true,
            Self::Pending | Self::Confirmed => false,
        }
    }

    /// The word in JSON and in columns.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Confirmed => "confirmed",
            Self::Rejected => "rejected",
            Self::Closed => "closed",
        }
    }
}

/// The words for a client whose order was undone for a technical reason or by a person: how our parts failed is not
/// theirs to know.
pub const NOT_COMPLETED: &str = "The order could not be completed. Nothing is booked or charged.";

/// The words for a client whose order a person gave up as it stood.
pub const GIVEN_UP: &str = "The order could not be completed. Our staff is looking after what was begun.";

impl Reason {
    /// The reason in a client's words. How our parts failed is not theirs to know.
    #[must_use]
    pub fn of(cause: &Cause) -> Self {
        let message = if cause.refused { &cause.message } else { NOT_COMPLETED };
        Self { code: cause.code.clone(), message: message.to_owned() }
    }
}

/// The reason why an order was rejected or closed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// The code of the refusal.
    pub code: String,
    /// The words for the client: the refusal's own, or [`NOT_COMPLETED`].
    pub message: String,
}

/// An order as the order domain's internal HTTP answers it: `GET /internal/orders/{order_id}` and
/// `GET /internal/orders?user_id=...`; the gateway passes it on without `user_id`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderView {
    /// The order's id.
    pub order_id: OrderId,
    /// The person who ordered.
    pub user_id: UserId,
    /// The state of the order.
    pub status: OrderStatus,
    /// The reason, of a rejected or closed order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// The items at the prices that the client accepted.
    pub items: Vec<OrderItem>,
    /// The people who travel.
    pub travellers: Vec<Traveller>,
    /// The total that the client accepted.
    pub total: Money,
    /// The part of it that is paid.
    pub paid: Money,
    /// The part that is still to be paid: nothing of a rejected order.
    pub balance_due: Money,
    /// The day by which the balance is due, when the order is paid in two parts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub balance_due_on: Option<NaiveDate>,
    /// The airline's record locator, once confirmed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flight_reference: Option<String>,
    /// The properties' confirmation, once confirmed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stay_reference: Option<String>,
    /// The time at which the order was placed.
    pub created_at: DateTime<Utc>,
    /// The time of the last change of its state.
    pub updated_at: DateTime<Utc>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(totals: &[(&str, &str)]) -> Vec<OrderItem> {
        let offer_id: OfferId = "fof_01900000000070008000000000000004.abcd".parse().unwrap();
        let item = |(amount, currency): &(&str, &str)| OrderItem {
            offer_id: offer_id.clone(),
            description: String::new(),
            total: Money::from_parts(amount.parse().unwrap(), currency).unwrap(),
        };
        totals.iter().map(item).collect()
    }

    #[test]
    fn a_total_is_the_sum_of_all_items_to_the_last_cent() {
        let total = |totals: &[(&str, &str)]| total_of(&items(totals)).map(|total| total.to_string());
        assert_eq!(total(&[("4801.00", "EUR")]).unwrap(), "4801.00 EUR");
        assert_eq!(total(&[("0.10", "EUR"), ("0.20", "EUR"), ("0.01", "EUR")]).unwrap(), "0.31 EUR");
        assert_eq!(total(&[("1.001", "KWD"), ("2.009", "KWD")]).unwrap(), "3.010 KWD");
    }

    #[test]
    fn items_without_a_sum_are_told_by_code_and_place() {
        assert_eq!(total_of(&[]), Err(TotalError::NoItems));
        let mixed = total_of(&items(&[("1", "EUR"), ("1", "EUR"), ("100", "JPY")])).unwrap_err();
        assert_eq!(mixed, TotalError::CurrenciesMixed { index: 2, currency: "JPY", first: "EUR" });
        assert_eq!(mixed.code(), "currencies_mixed");
        let large = total_of(&items(&[("999999999999999", "EUR"), ("1", "EUR")])).unwrap_err();
        assert_eq!(large.code(), "total_too_large");
    }
}
