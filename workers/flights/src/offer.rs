//! The terms that the domain seals into its offers: all that a hold needs to know of what was priced.

use chrono::{DateTime, Utc};
use contract::{FlightOfferId, Money, flights::Cabin};
use uuid::Uuid;
use worker_runtime::{OfferError, OfferKeys, Opened};

/// Seats of one cabin of a dated flight at a price.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlightTerms {
    /// The dated flight.
    pub flight_id: i64,
    pub cabin: Cabin,
    /// The number of seats.
    pub passengers: u32,
    /// For all passengers.
    pub total: Money,
}

impl FlightTerms {
    /// The offer of these terms until then.
    #[must_use]
    pub fn seal(&self, keys: &OfferKeys, uuid: Uuid, expires_at: DateTime<Utc>) -> FlightOfferId {
        keys.seal(uuid, expires_at, &(self.flight_id, self.cabin, self.passengers, self.total))
    }

    /// The terms of an offer that this domain has made.
    ///
    /// # Errors
    /// [`OfferError::Unknown`] and [`OfferError::Altered`].
    pub fn open(keys: &OfferKeys, offer: &FlightOfferId) -> Result<Opened<Self>, OfferError> {
        let opened = keys.open::<_, (i64, Cabin, u32, Money)>(offer)?;
        Ok(opened.map(|(flight_id, cabin, passengers, total)| Self { flight_id, cabin, passengers, total }))
    }
}

#[cfg(test)]
mod tests {
    use contract::offer::OFFER_ID_BYTES_MAX;
    use worker_runtime::testkit::lab::offer_keys;

    use super::*;

    #[test]
    fn the_longest_offer_reads_back_and_is_well_below_the_limit() {
        let total = Money::from_parts("999999999999999".parse().unwrap(), "EUR").unwrap();
        let terms = FlightTerms { flight_id: i64::MAX, cabin: Cabin::PremiumEconomy, passengers: u32::MAX, total };
        let end = DateTime::from_timestamp_secs(99_999_999_999).unwrap();
        let offer = terms.seal(&offer_keys(), Uuid::max(), end);
        assert!(offer.as_str().len() <= OFFER_ID_BYTES_MAX * 4 / 5, "{}", offer.as_str().len());
        let read: FlightOfferId = offer.as_str().parse().unwrap();
        assert_eq!(FlightTerms::open(&offer_keys(), &read).unwrap().good_at(DateTime::UNIX_EPOCH), Ok(terms));
    }
}
