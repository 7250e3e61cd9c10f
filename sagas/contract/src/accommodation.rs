//! The accommodation domain's messages and what it offers.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    command::{Command, Route},
    ids::OrderId,
    money::Money,
    offer::StayOfferId,
    page::PageToken,
};

/// Refusal: a night of the stay has no room left.
pub const REFUSED_SOLD_OUT: &str = "room_sold_out";
/// Refusal: the offer is not one of this installation's.
pub const REFUSED_OFFER_UNKNOWN: &str = "stay_offer_unknown";
/// Refusal: the offer was changed after it was made.
pub const REFUSED_OFFER_ALTERED: &str = "stay_offer_altered";
/// Refusal: the offer's time is over.
pub const REFUSED_OFFER_EXPIRED: &str = "stay_offer_expired";
/// Refusal: the offer's total is not the one that was accepted (S25).
pub const REFUSED_PRICE_CHANGED: &str = "stay_price_changed";
/// Refusal: on a night of the order, its rooms are offered for fewer people than travel.
pub const REFUSED_TRAVELLERS_MISMATCH: &str = "stay_travellers_mismatch";
/// Refusal: the hold ran out before it was confirmed (S22).
pub const REFUSED_HOLD_EXPIRED: &str = "room_hold_expired";
/// Refusal: the order has a hold already. One order is one saga, so this is a mistake of the caller's.
pub const REFUSED_HOLD_EXISTS: &str = "room_hold_exists";
/// Refusal: there is no hold to confirm.
pub const REFUSED_HOLD_UNKNOWN: &str = "room_hold_unknown";

/// An offer and the total that the client accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcceptedStay {
    /// The offer's id, from a search.
    pub offer_id: StayOfferId,
    /// The total that the client saw with it.
    pub total: Money,
}

/// Sets rooms aside for an order, all nights of all stays or none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldRooms {
    /// The order; one hold each.
    pub order_id: OrderId,
    /// The stays, each at its accepted total; one room each.
    pub offers: Vec<AcceptedStay>,
    /// The number of people who travel: on every night the rooms must be offered for as many.
    pub travellers: u32,
}

/// Rooms are held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomsHeld {
    /// The time at which the hold runs out.
    pub expires_at: DateTime<Utc>,
}

impl Command for HoldRooms {
    const NAME: &'static str = "accommodation.hold_rooms";
    const VERSION: u16 = 1;
    const ROUTE: Route = Route::Accommodation;
    type Reply = RoomsHeld;
}

/// Undoes [`HoldRooms`]. Never refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseRooms {
    /// The order whose hold it is.
    pub order_id: OrderId,
}

/// The order holds no rooms any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomsReleased {}

impl Command for ReleaseRooms {
    const NAME: &'static str = "accommodation.release_rooms";
    const VERSION: u16 = 1;
    const ROUTE: Route = Route::Accommodation;
    type Reply = RoomsReleased;
}

/// Makes the rooms of an order last longer, after a look at whether they are held as they were accepted. Rooms of a hold
/// that ran out are taken again when they are free at the same price. Sent twice, it extends twice and harms nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExtendRooms {
    /// The order whose hold it is.
    pub order_id: OrderId,
    /// The stays, each at its accepted total, in the order in which they were held.
    pub offers: Vec<AcceptedStay>,
}

impl Command for ExtendRooms {
    const NAME: &'static str = "accommodation.extend_rooms";
    const VERSION: u16 = 1;
    const ROUTE: Route = Route::Accommodation;
    type Reply = RoomsHeld;
}

/// Sells the held rooms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfirmRooms {
    /// The order whose hold it is.
    pub order_id: OrderId,
    /// The name that the property expects.
    pub guest_name: String,
}

/// The rooms are sold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomsConfirmed {
    /// The code by which the property knows the booking.
    pub confirmation: String,
}

impl Command for ConfirmRooms {
    const NAME: &'static str = "accommodation.confirm_rooms";
    const VERSION: u16 = 1;
    const ROUTE: Route = Route::Accommodation;
    type Reply = RoomsConfirmed;
}

/// A search: `GET /internal/offers?place&check_in&check_out&guests[&page_size][&page_token]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StaySearch {
    /// A place, country or property by name, such as "Maldives".
    pub place: String,
    /// The day of arrival.
    pub check_in: NaiveDate,
    /// The day of departure; its night is not stayed.
    pub check_out: NaiveDate,
    /// 1 to [`crate::limits::TRAVELLERS_MAX`].
    pub guests: u32,
    /// The most items of a page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_size: Option<u32>,
    /// From the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_token: Option<PageToken>,
}

/// A priced stay: in the answer of a search and at `GET /internal/offer?offer_id`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StayOffer {
    /// The id by which the offer is ordered.
    pub offer_id: StayOfferId,
    /// The property's name.
    pub property: String,
    /// The place where the property stands.
    pub place: String,
    /// ISO 3166-1 alpha-2.
    pub country: String,
    /// The room type's name.
    pub room_type: String,
    /// The day of arrival.
    pub check_in: NaiveDate,
    /// The day of departure; its night is not stayed.
    pub check_out: NaiveDate,
    /// The number of people that the room was offered for.
    pub guests: u32,
    /// For the whole stay, taxes included.
    pub total: Money,
    /// After that the offer is void.
    pub expires_at: DateTime<Utc>,
}
