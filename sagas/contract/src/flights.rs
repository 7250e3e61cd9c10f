//! The flights domain's messages and what it offers.

mod holds;
pub mod v2;

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    command::{Command, Route},
    ids::OrderId,
    money::Money,
    offer::FlightOfferId,
    order::Traveller,
    page::PageToken,
};

pub use self::holds::{
    FLIGHT_HOLD, HoldConfirmation, HoldFlight, SIGNAL_HOLD_CONFIRMATION, STEP_AWAIT_CONFIRMATION, STEP_CONFIRM_ORDER,
    STEP_EXTEND_SEATS, STEP_HOLD_SEATS,
};

/// Refusal: fewer seats are left than asked for.
pub const REFUSED_SOLD_OUT: &str = "flight_sold_out";
/// Refusal: the offer is not one of this installation's.
pub const REFUSED_OFFER_UNKNOWN: &str = "flight_offer_unknown";
/// Refusal: the offer was changed after it was made.
pub const REFUSED_OFFER_ALTERED: &str = "flight_offer_altered";
/// Refusal: the offer's time is over.
pub const REFUSED_OFFER_EXPIRED: &str = "flight_offer_expired";
/// Refusal: the offer's total is not the one that was accepted (S25).
pub const REFUSED_PRICE_CHANGED: &str = "flight_price_changed";
/// Refusal: the hold ran out before it was confirmed (S22).
pub const REFUSED_HOLD_EXPIRED: &str = "seat_hold_expired";
/// Refusal: a flight of the order is offered for another number of people than travel.
pub const REFUSED_TRAVELLERS_MISMATCH: &str = "flight_travellers_mismatch";
/// Refusal: the order has a hold already. One order is one saga, so this is a mistake of the caller's.
pub const REFUSED_HOLD_EXISTS: &str = "seat_hold_exists";
/// Refusal: there is no hold to confirm.
pub const REFUSED_HOLD_UNKNOWN: &str = "seat_hold_unknown";

/// An offer and the total that the client accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcceptedFlight {
    /// The offer's id, from a search.
    pub offer_id: FlightOfferId,
    /// The total that the client saw with it.
    pub total: Money,
}

/// Sets seats aside for an order, all or none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldSeats {
    /// The order; one hold each.
    pub order_id: OrderId,
    /// The flights, each at its accepted total.
    pub offers: Vec<AcceptedFlight>,
    /// The number of people who travel: each flight must be offered for as many.
    pub travellers: u32,
}

/// Seats are held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeatsHeld {
    /// The time at which the hold runs out.
    pub expires_at: DateTime<Utc>,
}

impl Command for HoldSeats {
    const NAME: &'static str = "flights.hold_seats";
    const VERSION: u16 = 1;
    const ROUTE: Route = Route::Flights;
    type Reply = SeatsHeld;
}

/// Undoes [`HoldSeats`]. Never refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseSeats {
    /// The order whose hold it is.
    pub order_id: OrderId,
}

/// The order holds no seats any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeatsReleased {}

impl Command for ReleaseSeats {
    const NAME: &'static str = "flights.release_seats";
    const VERSION: u16 = 1;
    const ROUTE: Route = Route::Flights;
    type Reply = SeatsReleased;
}

/// Makes the seats of an order last longer, after a look at whether they are held as they were accepted. Seats of a hold
/// that ran out are taken again when they are free at the same price. Sent twice, it extends twice and harms nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExtendSeats {
    /// The order whose hold it is.
    pub order_id: OrderId,
    /// The flights, each at its accepted total, in the order in which they were held.
    pub offers: Vec<AcceptedFlight>,
}

impl Command for ExtendSeats {
    const NAME: &'static str = "flights.extend_seats";
    const VERSION: u16 = 1;
    const ROUTE: Route = Route::Flights;
    type Reply = SeatsHeld;
}

/// Sells the held seats and issues tickets: the point of no return of a trip.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfirmSeats {
    /// The order whose hold it is.
    pub order_id: OrderId,
    /// The people who fly: each gets a ticket for every flight.
    pub travellers: Vec<Traveller>,
}

/// The seats are sold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeatsConfirmed {
    /// The airline's record locator.
    pub booking_reference: String,
    /// One number a traveller and flight.
    pub tickets: Vec<String>,
}

impl Command for ConfirmSeats {
    const NAME: &'static str = "flights.confirm_seats";
    const VERSION: u16 = 1;
    const ROUTE: Route = Route::Flights;
    type Reply = SeatsConfirmed;
}

/// A class of seats on board, from the cheapest to the dearest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cabin {
    /// The cheapest seats.
    Economy,
    /// Economy seats with more room.
    PremiumEconomy,
    /// Seats that lie flat on long flights.
    Business,
    /// The dearest seats.
    First,
}

impl Cabin {
    /// The word in columns and addresses.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Economy => "economy",
            Self::PremiumEconomy => "premium_economy",
            Self::Business => "business",
            Self::First => "first",
        }
    }
}

/// A search: `GET /internal/offers?from&to&date&cabin&passengers[&page_size][&page_token]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FlightSearch {
    /// Airport or metropolitan code, IATA.
    pub from: String,
    /// Airport or metropolitan code, IATA.
    pub to: String,
    /// Local date of departure.
    pub date: NaiveDate,
    /// The class of all seats.
    pub cabin: Cabin,
    /// 1 to [`crate::limits::TRAVELLERS_MAX`].
    pub passengers: u32,
    /// The most items of a page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_size: Option<u32>,
    /// From the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_token: Option<PageToken>,
}

/// A priced flight: in the answer of a search and at `GET /internal/offer?offer_id`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlightOffer {
    /// The id by which the offer is ordered.
    pub offer_id: FlightOfferId,
    /// Two-letter carrier and number, such as "AZ 101".
    pub flight_number: String,
    /// The carrier's name.
    pub carrier: String,
    /// Airport of departure, IATA.
    pub from: String,
    /// Airport of arrival, IATA.
    pub to: String,
    /// The instant of departure; the local time is in `departs_local`.
    pub departs_at: DateTime<Utc>,
    /// Local wall time at the airport of departure, `2026-12-01T21:05`.
    pub departs_local: String,
    /// The instant of arrival.
    pub arrives_at: DateTime<Utc>,
    /// Local wall time at the airport of arrival.
    pub arrives_local: String,
    /// The class of all seats.
    pub cabin: Cabin,
    /// The number of seats that the total is for.
    pub passengers: u32,
    /// For all passengers, taxes included.
    pub total: Money,
    /// After that the offer is void.
    pub expires_at: DateTime<Utc>,
}
