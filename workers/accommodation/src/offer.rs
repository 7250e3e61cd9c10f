//! The terms that the domain seals into its offers: all that a hold needs to know of what was priced.

use chrono::{DateTime, NaiveDate, Utc};
use contract::{Money, StayOfferId};
use uuid::Uuid;
use worker_runtime::{OfferError, OfferKeys, Opened};

/// A room for some nights at a price.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StayTerms {
    pub room_type_id: i32,
    pub check_in: NaiveDate,
    /// The day of departure; its night is not stayed.
    pub check_out: NaiveDate,
    pub guests: u32,
    /// For the whole stay.
    pub total: Money,
}

impl StayTerms {
    /// The offer of these terms until then.
    #[must_use]
    pub fn seal(&self, keys: &OfferKeys, uuid: Uuid, expires_at: DateTime<Utc>) -> StayOfferId {
        let Self { room_type_id, check_in, check_out, guests, total } = self;
        keys.seal(uuid, expires_at, &(room_type_id, check_in, check_out, guests, total))
    }

    /// The terms of an offer that this domain has made.
    ///
    /// # Errors
    /// [`OfferError::Unknown`] and [`OfferError::Altered`].
    pub fn open(keys: &OfferKeys, offer: &StayOfferId) -> Result<Opened<Self>, OfferError> {
        let opened = keys.open::<_, (i32, NaiveDate, NaiveDate, u32, Money)>(offer)?;
        Ok(opened.map(|(room_type_id, check_in, check_out, guests, total)| Self {
            room_type_id,
            check_in,
            check_out,
            guests,
            total,
        }))
    }

    /// The nights that are stayed.
    pub(crate) fn nights(&self) -> impl Iterator<Item = NaiveDate> + use<> {
        let check_out = self.check_out;
        self.check_in.iter_days().take_while(move |night| *night < check_out)
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
        let (check_in, check_out) =
            (NaiveDate::from_ymd_opt(9999, 12, 1).unwrap(), NaiveDate::from_ymd_opt(9999, 12, 31).unwrap());
        let terms = StayTerms { room_type_id: i32::MAX, check_in, check_out, guests: u32::MAX, total };
        let end = DateTime::from_timestamp_secs(99_999_999_999).unwrap();
        let offer = terms.seal(&offer_keys(), Uuid::max(), end);
        assert!(offer.as_str().len() <= OFFER_ID_BYTES_MAX * 4 / 5, "{}", offer.as_str().len());
        let read: StayOfferId = offer.as_str().parse().unwrap();
        assert_eq!(StayTerms::open(&offer_keys(), &read).unwrap().good_at(DateTime::UNIX_EPOCH), Ok(terms));
        assert_eq!(terms.nights().count(), 30);
    }
}
