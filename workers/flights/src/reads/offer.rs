//! One offer, read again from its id: the terms are in it, the flight's times and names in the tables.

use chrono::{DateTime, NaiveDateTime, Utc};
use contract::{FlightOfferId, flights::FlightOffer};
use worker_runtime::{DomainError, OfferError, OfferReadError, OfferReads};

use crate::offer::FlightTerms;

/// Reads one offer that is still good.
///
/// # Errors
/// [`OfferReadError`] says why there is no offer to show.
pub async fn find_offer(reads: &OfferReads, offer_id: FlightOfferId) -> Result<FlightOffer, OfferReadError> {
    let opened = FlightTerms::open(&reads.keys, &offer_id)?;
    let expires_at = opened.expires_at();
    let terms = opened.good_at(reads.clock.now())?;
    let leg: Option<Leg> = sqlx::query_as(
        "SELECT f.carrier, c.name AS carrier_name, f.number, f.origin, f.destination,
                f.departs_at, f.departs_local, f.arrives_at, f.arrives_local
         FROM flight f JOIN carrier c ON c.code = f.carrier WHERE f.flight_id = $1",
    )
    .bind(terms.flight_id)
    .fetch_optional(&reads.pool)
    .await
    .map_err(DomainError::doing("reading a flight"))?;
    // Flights that are long past are removed.
    let leg = leg.ok_or_else(|| OfferError::Unknown(offer_id.name().to_owned()))?;
    Ok(leg.offered(offer_id, &terms, expires_at))
}

/// A dated flight as searches and offers show it.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(crate) struct Leg {
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

impl Leg {
    pub(crate) fn offered(
        self,
        offer_id: FlightOfferId,
        terms: &FlightTerms,
        expires_at: DateTime<Utc>,
    ) -> FlightOffer {
        FlightOffer {
            offer_id,
            flight_number: format!("{} {}", self.carrier, self.number),
            carrier: self.carrier_name,
            from: self.origin,
            to: self.destination,
            departs_at: self.departs_at,
            departs_local: wall_time(self.departs_local),
            arrives_at: self.arrives_at,
            arrives_local: wall_time(self.arrives_local),
            cabin: terms.cabin,
            passengers: terms.passengers,
            total: terms.total,
            expires_at,
        }
    }
}

fn wall_time(local: NaiveDateTime) -> String {
    local.format("%Y-%m-%dT%H:%M").to_string()
}
