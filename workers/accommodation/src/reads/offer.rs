//! Offers: priced stays that the server remembers, so that no client's total has to be believed (S25).

use chrono::{DateTime, NaiveDate, Utc};
use contract::{Money, StayOfferId, accommodation::StayOffer};
use rust_decimal::Decimal;
use sqlx::PgPool;
use uuid::Uuid;
use worker_runtime::{DomainError, OfferError};

/// Reads one offer that is still good at `now`.
///
/// # Errors
/// [`OfferError`] says why there is no offer to show.
pub async fn find_offer(
    pool: &PgPool,
    offer_id: StayOfferId,
    now: DateTime<Utc>,
) -> Result<StayOffer, OfferError<StayOfferId>> {
    let row: Option<OfferRow> = sqlx::query_as(
        "SELECT o.offer_id, o.check_in, o.check_out, o.guests, o.total, o.currency, o.expires_at,
                t.room_type_id, t.name AS room_type, p.name AS property, p.place, p.country
         FROM stay_offer o JOIN room_type t USING (room_type_id) JOIN property p USING (property_id)
         WHERE o.offer_id = $1",
    )
    .bind(offer_id.uuid())
    .fetch_optional(pool)
    .await
    .map_err(DomainError::doing("reading an offer"))?;
    let row = row.ok_or(OfferError::Unknown(offer_id))?;
    if row.expires_at <= now {
        return Err(OfferError::Expired(offer_id, row.expires_at));
    }
    Ok(row.into_offer()?)
}

#[derive(sqlx::FromRow)]
struct OfferRow {
    offer_id: Uuid,
    check_in: NaiveDate,
    check_out: NaiveDate,
    guests: i16,
    total: Decimal,
    currency: String,
    expires_at: DateTime<Utc>,
    #[sqlx(flatten)]
    room: Room,
}

impl OfferRow {
    fn into_offer(self) -> Result<StayOffer, DomainError> {
        let offer_id = StayOfferId::from_uuid(self.offer_id);
        let total = Money::from_parts(self.total, &self.currency)
            .map_err(|error| DomainError::broken_row("stay_offer", "total", offer_id, error))?;
        Ok(self.room.offered(Quote {
            offer_id,
            check_in: self.check_in,
            check_out: self.check_out,
            guests: u32::from(self.guests.unsigned_abs()),
            total,
            expires_at: self.expires_at,
        }))
    }
}

/// A room type as searches and offers read it.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(crate) struct Room {
    pub(crate) room_type_id: i32,
    pub(crate) room_type: String,
    pub(crate) property: String,
    pub(crate) place: String,
    pub(crate) country: String,
}

/// The terms that an offer adds to a room type.
pub(crate) struct Quote {
    pub(crate) offer_id: StayOfferId,
    pub(crate) check_in: NaiveDate,
    pub(crate) check_out: NaiveDate,
    pub(crate) guests: u32,
    pub(crate) total: Money,
    pub(crate) expires_at: DateTime<Utc>,
}

impl Room {
    pub(crate) fn offered(self, quote: Quote) -> StayOffer {
        StayOffer {
            offer_id: quote.offer_id,
            property: self.property,
            place: self.place,
            country: self.country,
            room_type: self.room_type,
            check_in: quote.check_in,
            check_out: quote.check_out,
            guests: quote.guests,
            total: quote.total,
            expires_at: quote.expires_at,
        }
    }
}
