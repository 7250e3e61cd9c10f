//! One offer, read again from its id: the terms are in it, the room's names in the tables.

use chrono::{DateTime, Utc};
use contract::{StayOfferId, accommodation::StayOffer};
use worker_runtime::{DomainError, OfferError, OfferReadError, OfferReads};

use crate::offer::StayTerms;

/// Reads one offer that is still good.
///
/// # Errors
/// [`OfferReadError`] says why there is no offer to show.
pub async fn find_offer(reads: &OfferReads, offer_id: StayOfferId) -> Result<StayOffer, OfferReadError> {
    let opened = StayTerms::open(&reads.keys, &offer_id)?;
    let expires_at = opened.expires_at();
    let terms = opened.good_at(reads.clock.now())?;
    let room: Option<Room> = sqlx::query_as(
        "SELECT t.name AS room_type, p.name AS property, p.place, p.country
         FROM room_type t JOIN property p USING (property_id) WHERE t.room_type_id = $1",
    )
    .bind(terms.room_type_id)
    .fetch_optional(&reads.pool)
    .await
    .map_err(DomainError::doing("reading a room type"))?;
    let room = room.ok_or_else(|| OfferError::Unknown(offer_id.name().to_owned()))?;
    Ok(room.offered(offer_id, &terms, expires_at))
}

/// A room type as searches and offers show it.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(crate) struct Room {
    pub(crate) room_type: String,
    pub(crate) property: String,
    pub(crate) place: String,
    pub(crate) country: String,
}

impl Room {
    pub(crate) fn offered(self, offer_id: StayOfferId, terms: &StayTerms, expires_at: DateTime<Utc>) -> StayOffer {
        StayOffer {
            offer_id,
            property: self.property,
            place: self.place,
            country: self.country,
            room_type: self.room_type,
            check_in: terms.check_in,
            check_out: terms.check_out,
            guests: terms.guests,
            total: terms.total,
            expires_at,
        }
    }
}
