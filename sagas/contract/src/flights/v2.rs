//! The second version of holding seats: for as long as the caller asks, and not for the installation's time alone.

use serde::{Deserialize, Serialize};

use super::{AcceptedFlight, SeatsHeld};
use crate::{
    command::{Command, Route},
    ids::OrderId,
};

/// Sets seats aside for an order, all or none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldSeats {
    /// The order; one hold each.
    pub order_id: OrderId,
    /// The flights, each at its accepted total.
    pub offers: Vec<AcceptedFlight>,
    /// The number of people who travel: each flight must be offered for as many.
    pub travellers: u32,
    /// The time for which they are held at least, in minutes; never more than a day.
    pub for_minutes: u16,
}

impl Command for HoldSeats {
    const NAME: &'static str = "flights.hold_seats";
    const VERSION: u16 = 2;
    const ROUTE: Route = Route::Flights;
    type Reply = SeatsHeld;
}

/// Makes the seats of an order last longer, as the first version does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExtendSeats {
    /// The order whose hold it is.
    pub order_id: OrderId,
    /// The flights, each at its accepted total, in the order in which they were held.
    pub offers: Vec<AcceptedFlight>,
    /// The time for which they are held at least from now on, in minutes; never more than a day.
    pub for_minutes: u16,
}

impl Command for ExtendSeats {
    const NAME: &'static str = "flights.extend_seats";
    const VERSION: u16 = 2;
    const ROUTE: Route = Route::Flights;
    type Reply = SeatsHeld;
}
