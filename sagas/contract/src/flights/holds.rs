//! The hold of a client, which is confirmed or lapses: the start input of the `flight_hold` saga, the signal that confirms
//! it, and the names of those of its steps by which the door tells how it stands.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use crate::{
    ids::{FlightHoldId, OrderId, PaymentId, UserId},
    order::{OrderItem, Traveller},
    payment::PaymentToken,
};

/// The name of the saga.
pub const FLIGHT_HOLD: &str = "flight_hold";

/// The step that sets the seats aside.
pub const STEP_HOLD_SEATS: &str = "hold-seats";
/// The step that waits for the client.
pub const STEP_AWAIT_CONFIRMATION: &str = "await-confirmation";
/// The step that makes the seats last through the payment.
pub const STEP_EXTEND_SEATS: &str = "extend-seats";
/// The step with which the order has its tickets.
pub const STEP_CONFIRM_ORDER: &str = "confirm-order";

/// The signal by which the client confirms.
pub const SIGNAL_HOLD_CONFIRMATION: &str = "hold-confirmation";

/// The start input of the `flight_hold` saga: one flight at its accepted price, and the order that it becomes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldFlight {
    /// The hold's id, minted at the door.
    pub hold_id: FlightHoldId,
    /// The order that is placed when the hold is confirmed; the seats are held in its name.
    pub order_id: OrderId,
    /// The payment of that order.
    pub payment_id: PaymentId,
    /// The person who holds.
    pub user_id: UserId,
    /// The offer at the price that the client accepted.
    pub item: OrderItem,
    /// The people who travel; 1 to [`crate::limits::TRAVELLERS_MAX`].
    pub travellers: Vec<Traveller>,
    /// The day of departure.
    pub departs_on: NaiveDate,
}

/// The payload of [`SIGNAL_HOLD_CONFIRMATION`]. Its id is made of the client's idempotency key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldConfirmation {
    /// The provider's token in place of a card.
    pub payment_token: PaymentToken,
}
