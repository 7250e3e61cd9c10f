//! The ids of offers. An id is the offer itself: the domain that made it has sealed into it what was priced and until
//! when, so no part has to remember offers. Only that domain opens a seal; all others hand the id on as it is.
//!
//! ```text
//!  fof_0192f0c1a2b37c4d8e5f000000000001.abcdhgfe...
//!  '------------- name ---------------' '-- seal -'
//! ```
//!
//! A seal is written in letters, two a byte: digits among them would now and then look like a card number. Logs and
//! messages for people show the name alone.

use std::{fmt, marker::PhantomData, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use uuid::Uuid;

/// The longest id of an offer, in bytes: a fourth more than the longest one that a domain writes.
pub const OFFER_ID_BYTES_MAX: usize = 384;

/// The digits of a name, in characters.
const NAME_DIGITS: usize = 32;

/// The first of the sixteen letters in which a seal is written.
const FIRST_LETTER: u8 = b'a';

/// A kind of offer: the domain that sells it, by the prefix of its ids.
pub trait OfferKind {
    /// The letters before the underscore.
    const PREFIX: &'static str;
}

/// Flights, sold by the flights domain.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FlightOffers {}

impl OfferKind for FlightOffers {
    const PREFIX: &'static str = "fof";
}

/// Stays, sold by the accommodation domain.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StayOffers {}

impl OfferKind for StayOffers {
    const PREFIX: &'static str = "sof";
}

/// A priced flight with an expiry.
pub type FlightOfferId = OfferToken<FlightOffers>;

/// A priced stay with an expiry.
pub type StayOfferId = OfferToken<StayOffers>;

/// An offer as it travels: its name and its seal.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OfferToken<K> {
    text: Box<str>,
    uuid: Uuid,
    kind: PhantomData<K>,
}

/// The error of a text that is not an offer's id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "this is not an offer: an offer's id starts with `fof_` (flight) or `sof_` (stay), and is taken whole from a search"
)]
pub struct OfferIdError;

impl<K: OfferKind> OfferToken<K> {
    /// The offer of this name under this seal.
    #[must_use]
    pub fn new(uuid: Uuid, seal: &[u8]) -> Self {
        let mut text = format!("{}_{}.", K::PREFIX, uuid.simple());
        for byte in seal {
            text.extend([byte >> 4, byte & 0xf].map(|half| char::from(FIRST_LETTER + half)));
        }
        Self { text: text.into(), uuid, kind: PhantomData }
    }

    /// The 128 bits of the name, as databases store them.
    #[must_use]
    pub const fn uuid(&self) -> Uuid {
        self.uuid
    }

    /// The name, for logs and people.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.text[..K::PREFIX.len() + 1 + NAME_DIGITS]
    }

    /// The whole id, for the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The bytes of the seal.
    #[must_use]
    pub fn seal(&self) -> Vec<u8> {
        let letters = self.text[self.name().len() + 1..].as_bytes();
        letters
            .chunks(2)
            .map(|pair| pair.iter().fold(0, |byte, letter| (byte << 4) | (letter - FIRST_LETTER)))
            .collect()
    }
}

impl<K: OfferKind> FromStr for OfferToken<K> {
    type Err = OfferIdError;

    fn from_str(text: &str) -> Result<Self, OfferIdError> {
        let rest = text.strip_prefix(K::PREFIX).and_then(|rest| rest.strip_prefix('_')).ok_or(OfferIdError)?;
        let (digits, letters) = rest.split_once('.').ok_or(OfferIdError)?;
        // One form only: an id that could be written in two ways would be two offers to everybody who compares.
        let named =
            digits.len() == NAME_DIGITS && digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
        let sealed = !letters.is_empty()
            && letters.len() % 2 == 0
            && letters.bytes().all(|letter| matches!(letter, b'a'..=b'p'));
        if !named || !sealed || text.len() > OFFER_ID_BYTES_MAX {
            return Err(OfferIdError);
        }
        let uuid = Uuid::try_parse(digits).map_err(|_| OfferIdError)?;
        Ok(Self { text: text.into(), uuid, kind: PhantomData })
    }
}

impl<K: OfferKind> fmt::Debug for OfferToken<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl<K: OfferKind> Serialize for OfferToken<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de, K: OfferKind> Deserialize<'de> for OfferToken<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read(deserializer)
    }
}

/// An offer of either kind, told apart by its prefix.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OfferId {
    /// `fof_...`, sold by the flights domain.
    Flight(FlightOfferId),
    /// `sof_...`, sold by the accommodation domain.
    Stay(StayOfferId),
}

impl OfferId {
    /// The name, for logs and people.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Flight(offer) => offer.name(),
            Self::Stay(offer) => offer.name(),
        }
    }

    /// The whole id, for the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Flight(offer) => offer.as_str(),
            Self::Stay(offer) => offer.as_str(),
        }
    }
}

impl FromStr for OfferId {
    type Err = OfferIdError;

    fn from_str(text: &str) -> Result<Self, OfferIdError> {
        text.parse().map(Self::Flight).or_else(|_| text.parse().map(Self::Stay))
    }
}

impl Serialize for OfferId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for OfferId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read(deserializer)
    }
}

fn read<'de, T: FromStr<Err = OfferIdError>, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
    text.parse().map_err(de::Error::custom)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::card_number;

    const NAME: &str = "fof_0192f0c1a2b37c4d8e5f000000000001";

    #[test]
    fn an_offer_reads_back_from_its_text_and_shows_only_its_name() {
        let uuid = Uuid::from_u128(0x0192_f0c1_a2b3_7c4d_8e5f_0000_0000_0001);
        let offer = FlightOfferId::new(uuid, &[0x00, 0x9f, 0xff]);
        assert_eq!(offer.as_str(), format!("{NAME}.aajppp"));
        assert_eq!(offer.as_str().parse(), Ok(offer.clone()));
        assert_eq!((offer.uuid(), offer.seal()), (uuid, vec![0x00, 0x9f, 0xff]));
        assert_eq!((offer.name(), format!("{:?}", OfferId::Flight(offer.clone()))), (NAME, format!("Flight({NAME})")));
        assert!(offer.as_str().parse::<StayOfferId>().is_err());
        assert_eq!(offer.as_str().parse(), Ok(OfferId::Flight(offer)));
    }

    #[test]
    fn a_text_that_no_domain_writes_is_no_offer() {
        let long = format!("{NAME}.{}", "a".repeat(OFFER_ID_BYTES_MAX));
        for text in [
            "",
            "fof_",
            NAME,
            &format!("{NAME}."),
            &format!("{NAME}.a"),
            &format!("{NAME}.aq"),
            &format!("{NAME}.AA"),
            &format!("{NAME}.aa.aa"),
            &format!("{NAME}. aa"),
            &format!("{}.aa", NAME.to_uppercase()),
            &format!("{}.aa", NAME.replace("f0c1", "F0C1")),
            "ord_0192f0c1a2b37c4d8e5f000000000001.aa",
            "fof_0192f0c1-a2b3-7c4d-8e5f-000000000001.aa",
            &long,
        ] {
            assert_eq!(text.parse::<OfferId>(), Err(OfferIdError), "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_seal_reads_back_and_is_never_taken_for_a_card_number(
            name: u128, seal in prop::collection::vec(any::<u8>(), 1..140),
        ) {
            let offer = StayOfferId::new(Uuid::from_u128(name), &seal);
            prop_assert_eq!(offer.as_str().parse(), Ok(offer.clone()));
            prop_assert_eq!(offer.seal(), seal);
            prop_assert!(!card_number::appears_in(offer.as_str()), "{}", offer.as_str());
        }

        #[test]
        fn any_text_can_be_read(text: String) {
            let _ = text.parse::<OfferId>();
        }
    }
}
