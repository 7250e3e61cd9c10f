//! Offers: priced flights that the server remembers, so that no client's total has to be believed (S25).

use chrono::{DateTime, NaiveDateTime, Utc};
use contract::{
    FlightOfferId, Money,
    flights::{Cabin, FlightOffer},
};
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
    offer_id: FlightOfferId,
    now: DateTime<Utc>,
) -> Result<FlightOffer, OfferError<FlightOfferId>> {
    let row: Option<OfferRow> = sqlx::query_as(
        "SELECT o.offer_id, o.passengers, o.total, o.currency, o.expires_at, o.cabin,
                f.flight_id, f.carrier, c.name AS carrier_name, f.number, f.origin, f.destination,
                f.departs_at, f.departs_local, f.arrives_at, f.arrives_local
         FROM flight_offer o JOIN flight f USING (flight_id) JOIN carrier c ON c.code = f.carrier
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
    passengers: i16,
    total: Decimal,
    currency: String,
    expires_at: DateTime<Utc>,
    cabin: String,
    #[sqlx(flatten)]
    leg: Leg,
}

impl OfferRow {
    fn into_offer(self) -> Result<FlightOffer, DomainError> {
        let offer_id = FlightOfferId::from_uuid(self.offer_id);
        let total = Money::from_parts(self.total, &self.currency)
            .map_err(|error| DomainError::broken_row("flight_offer", "total", offer_id, error))?;
        let quote = Quote {
            offer_id,
            cabin: cabin_from_column(&self.cabin),
            passengers: u32::from(self.passengers.unsigned_abs()),
            total,
            expires_at: self.expires_at,
        };
        Ok(self.leg.offered(quote))
    }
}

/// A dated flight as searches and offers read it.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(crate) struct Leg {
    pub(crate) flight_id: i64,
    pub(crate) carrier: String,
    pub(crate) carrier_name: String,
    pub(crate) number: i16,
    pub(crate) origin: String,
    pub(crate) destination: String,
    pub(crate) departs_at: DateTime<Utc>,
    pub(crate) departs_local: NaiveDateTime,
    pub(crate) arrives_at: DateTime<Utc>,
    pub(crate) arrives_local: NaiveDateTime,
}

/// The terms that an offer adds to a flight.
pub(crate) struct Quote {
    pub(crate) offer_id: FlightOfferId,
    pub(crate) cabin: Cabin,
    pub(crate) passengers: u32,
    pub(crate) total: Money,
    pub(crate) expires_at: DateTime<Utc>,
}

impl Leg {
    pub(crate) fn offered(self, quote: Quote) -> FlightOffer {
        FlightOffer {
            offer_id: quote.offer_id,
            flight_number: format!("{} {}", self.carrier, self.number),
            carrier: self.carrier_name,
            from: self.origin,
            to: self.destination,
            departs_at: self.departs_at,
            departs_local: wall_time(self.departs_local),
            arrives_at: self.arrives_at,
            arrives_local: wall_time(self.arrives_local),
            cabin: quote.cabin,
            passengers: quote.passengers,
            total: quote.total,
            expires_at: quote.expires_at,
        }
    }
}

fn wall_time(local: NaiveDateTime) -> String {
    local.format("%Y-%m-%dT%H:%M").to_string()
}

/// The column's constraint allows only these words.
fn cabin_from_column(word: &str) -> Cabin {
    match word {
        "first" => Cabin::First,
        "business" => Cabin::Business,
        "premium_economy" => Cabin::PremiumEconomy,
        _ => Cabin::Economy,
    }
}
