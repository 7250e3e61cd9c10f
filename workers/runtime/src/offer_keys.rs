//! The keys of offers: a domain seals what it has priced into the offer's id and opens it again when the offer comes
//! back, so a search stores nothing and no client's total has to be believed (S25).
//!
//! ```text
//!  seal:  version (1) | key (4) | HMAC-SHA-256, its first half (16) | content: JSON of [expiry, terms]
//!  HMAC over the kind's prefix, the offer's name, version, key and content
//! ```
//!
//! Keys rotate without a gap: a new key is first added behind the old one, everywhere, then put in front of it, and the
//! old one is taken away when the last offer under it has expired.

use std::{fmt, sync::Arc};

use chrono::{DateTime, Utc};
use contract::offer::{OfferKind, OfferToken};
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Serialize, de::DeserializeOwned};
use sha2::Sha256;
use uuid::Uuid;

/// The key of development. Production refuses it.
pub const DEVELOPMENT_OFFER_KEY: &str = "development-offer-key-known-to-everybody";

/// The shortest key, in bytes: as long as the hash that it keys.
const KEY_BYTES_MIN: usize = 32;

/// The most keys: one that seals, one that comes, one that goes, and one to spare.
const KEYS_MAX: usize = 4;

/// Raised when the content's fields change, so that older offers are unknown instead of misread.
const VERSION: u8 = 1;

/// The bytes that tell keys apart.
const KEY_ID_BYTES: usize = 4;

/// The bytes of the code that are kept: half of the hash, which is as much as RFC 2104 allows to leave out.
const CODE_BYTES: usize = 16;

/// The text under a key that its id is made of.
const KEY_ID_TEXT: &[u8] = b"the id of a key of offers";

/// Why keys cannot be used. None of their text is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OfferKeysError {
    /// No key, or far too many.
    #[error("offers need 1 to {KEYS_MAX} keys, not {0} (SOJOURN_OFFER_KEYS)")]
    Count(usize),
    /// A key that could be guessed.
    #[error("a key of offers has {KEY_BYTES_MIN} bytes at least (SOJOURN_OFFER_KEYS)")]
    Short,
    /// The key that everybody knows.
    #[error("production refuses the development key of offers: set SOJOURN_OFFER_KEYS")]
    Development,
}

/// Why an offer is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OfferError {
    /// The offer is forged, or so old that its key is gone.
    #[error("there is no offer {0}")]
    Unknown(String),
    /// The offer is not as it was made.
    #[error("the offer {0} was changed after it was made")]
    Altered(String),
    /// The offer's time is over.
    #[error("the offer {0} was valid until {1}")]
    Expired(String, DateTime<Utc>),
}

/// The keys of one installation. Clones share them.
#[derive(Clone)]
pub struct OfferKeys {
    seals: Arc<OfferKey>,
    opens: Arc<[OfferKey]>,
}

#[derive(Clone)]
struct OfferKey {
    id: [u8; KEY_ID_BYTES],
    mac: Hmac<Sha256>,
}

impl fmt::Debug for OfferKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OfferKeys(...)")
    }
}

/// The terms that were sealed into an offer, and their end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened<T> {
    name: String,
    expires_at: DateTime<Utc>,
    terms: T,
}

impl<T> Opened<T> {
    /// The same with other terms.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Opened<U> {
        Opened { name: self.name, expires_at: self.expires_at, terms: f(self.terms) }
    }

    /// The moment from which the offer is void.
    pub const fn expires_at(&self) -> DateTime<Utc> {
        self.expires_at
    }

    /// The terms, whether the offer is still good or not.
    pub const fn terms(&self) -> &T {
        &self.terms
    }

    /// The terms, when the offer is still good at `now`.
    ///
    /// # Errors
    /// [`OfferError::Expired`].
    pub fn good_at(self, now: DateTime<Utc>) -> Result<T, OfferError> {
        if self.expires_at > now { Ok(self.terms) } else { Err(OfferError::Expired(self.name, self.expires_at)) }
    }
}

impl OfferKeys {
    /// The keys of these texts: the first one seals, all of them open.
    ///
    /// # Errors
    /// [`OfferKeysError`] says which rule they break.
    pub fn new(keys: &[SecretString], production: bool) -> Result<Self, OfferKeysError> {
        let opens = keys.iter().map(|key| OfferKey::new(key, production)).collect::<Result<Vec<_>, _>>()?;
        let seals = opens.first().filter(|_| opens.len() <= KEYS_MAX).ok_or(OfferKeysError::Count(keys.len()))?;
        Ok(Self { seals: Arc::new(seals.clone()), opens: opens.into() })
    }

    /// The offer of this name, with these terms until then. Whole seconds are kept of the expiry.
    #[must_use]
    pub fn seal<K: OfferKind>(&self, uuid: Uuid, expires_at: DateTime<Utc>, terms: &impl Serialize) -> OfferToken<K> {
        // Terms are made of numbers and texts, which JSON holds; what it does not hold would only be an unknown offer.
        let content = serde_json::to_vec(&(expires_at.timestamp(), terms)).unwrap_or_default();
        let code = self.seals.mac_of::<K>(uuid, &content).finalize().into_bytes();
        OfferToken::new(uuid, &[&[VERSION][..], &self.seals.id, &code[..CODE_BYTES], &content].concat())
    }

    /// The terms and the expiry of an offer.
    ///
    /// # Errors
    /// [`OfferError::Unknown`] when none of the keys has sealed it, [`OfferError::Altered`] when it is not as it was sealed.
    pub fn open<K: OfferKind, T: DeserializeOwned>(&self, offer: &OfferToken<K>) -> Result<Opened<T>, OfferError> {
        let unknown = || OfferError::Unknown(offer.name().to_owned());
        let seal = offer.seal();
        let rest = seal.strip_prefix(&[VERSION]).ok_or_else(unknown)?;
        let (id, rest) = rest.split_at_checked(KEY_ID_BYTES).ok_or_else(unknown)?;
        let (code, content) = rest.split_at_checked(CODE_BYTES).ok_or_else(unknown)?;
        let key = self.opens.iter().find(|key| key.id == id).ok_or_else(unknown)?;
        let verified = key.mac_of::<K>(offer.uuid(), content).verify_truncated_left(code);
        verified.map_err(|_| OfferError::Altered(offer.name().to_owned()))?;
        let (seconds, terms): (i64, T) = serde_json::from_slice(content).map_err(|_| unknown())?;
        let expires_at = DateTime::from_timestamp_secs(seconds).ok_or_else(unknown)?;
        Ok(Opened { name: offer.name().to_owned(), expires_at, terms })
    }
}

impl OfferKey {
    fn new(key: &SecretString, production: bool) -> Result<Self, OfferKeysError> {
        let key = key.expose_secret();
        if production && key == DEVELOPMENT_OFFER_KEY {
            return Err(OfferKeysError::Development);
        }
        let mac = Some(key).filter(|key| key.len() >= KEY_BYTES_MIN);
        let mac =
            mac.and_then(|key| Hmac::<Sha256>::new_from_slice(key.as_bytes()).ok()).ok_or(OfferKeysError::Short)?;
        let mut id = [0; KEY_ID_BYTES];
        id.copy_from_slice(&mac.clone().chain_update(KEY_ID_TEXT).finalize().into_bytes()[..KEY_ID_BYTES]);
        Ok(Self { id, mac })
    }

    /// All that the code stands for. Every part but the last has a length of its own, so no two offers are one text.
    fn mac_of<K: OfferKind>(&self, uuid: Uuid, content: &[u8]) -> Hmac<Sha256> {
        let head = [K::PREFIX.as_bytes(), uuid.as_bytes(), &[VERSION], &self.id].concat();
        self.mac.clone().chain_update(head).chain_update(content)
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use contract::{FlightOfferId, StayOfferId, offer::OFFER_ID_BYTES_MAX};
    use proptest::prelude::*;

    use super::*;

    const FIRST: &str = "the first key, which has thirty-two bytes";
    const SECOND: &str = "the second key, which has thirty-two bytes";

    type Terms = (i64, String);

    fn keys(texts: &[&str]) -> OfferKeys {
        OfferKeys::new(&texts.iter().map(|text| SecretString::from(*text)).collect::<Vec<_>>(), true).unwrap()
    }

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp_secs(1_800_000_000 + second).unwrap()
    }

    fn terms() -> Terms {
        (7, "business".to_owned())
    }

    fn sealed(keys: &OfferKeys) -> FlightOfferId {
        keys.seal(Uuid::from_u128(1), at(0), &terms())
    }

    fn opened(keys: &OfferKeys, offer: &FlightOfferId) -> Result<Terms, OfferError> {
        keys.open(offer)?.good_at(at(-1))
    }

    #[test]
    fn an_offer_gives_back_its_terms_until_it_expires() {
        let keys = keys(&[FIRST]);
        let offer = sealed(&keys);
        assert_eq!(opened(&keys, &offer), Ok(terms()));
        let at_its_end = keys.open::<_, Terms>(&offer).unwrap();
        assert_eq!(at_its_end.expires_at(), at(0));
        assert_eq!(at_its_end.good_at(at(0)), Err(OfferError::Expired(offer.name().to_owned(), at(0))));
        let offer: FlightOfferId = keys.seal(Uuid::from_u128(1), at(0) + TimeDelta::milliseconds(999), &terms());
        assert_eq!(keys.open::<_, Terms>(&offer).unwrap().expires_at(), at(0));
    }

    #[test]
    fn keys_rotate_without_an_offer_that_is_not_known() {
        let (old, both, turned, new) =
            (keys(&[FIRST]), keys(&[FIRST, SECOND]), keys(&[SECOND, FIRST]), keys(&[SECOND]));
        // Each step meets programs that have not taken it yet.
        for (before, after) in [(&old, &both), (&both, &turned)] {
            assert_eq!(opened(after, &sealed(before)), Ok(terms()));
            assert_eq!(opened(before, &sealed(after)), Ok(terms()));
        }
        assert_eq!(opened(&new, &sealed(&turned)), Ok(terms()));
        let offer = sealed(&old);
        assert_eq!(opened(&new, &offer), Err(OfferError::Unknown(offer.name().to_owned())));
    }

    #[test]
    fn an_offer_of_one_kind_is_none_of_another() {
        let keys = keys(&[FIRST]);
        let offer = sealed(&keys);
        let stay = StayOfferId::new(offer.uuid(), &offer.seal());
        assert_eq!(keys.open::<_, Terms>(&stay).unwrap_err(), OfferError::Altered(stay.name().to_owned()));
    }

    #[test]
    fn weak_keys_and_known_ones_are_refused_and_never_shown() {
        let made = |texts: &[&str], production| {
            OfferKeys::new(&texts.iter().map(|text| SecretString::from(*text)).collect::<Vec<_>>(), production)
                .map(drop)
        };
        assert_eq!(made(&[], false), Err(OfferKeysError::Count(0)));
        assert_eq!(made(&[FIRST; KEYS_MAX + 1], false), Err(OfferKeysError::Count(KEYS_MAX + 1)));
        assert_eq!(made(&[FIRST, "short"], false), Err(OfferKeysError::Short));
        assert_eq!(made(&[FIRST, DEVELOPMENT_OFFER_KEY], true), Err(OfferKeysError::Development));
        assert_eq!(made(&[DEVELOPMENT_OFFER_KEY], false), Ok(()));
        assert_eq!(format!("{:?}", keys(&[FIRST])), "OfferKeys(...)");
    }

    proptest! {
        #[test]
        fn an_offer_that_was_changed_in_any_byte_is_not_taken(place: prop::sample::Index, bits in 1_u8.., name in 0_u128..3) {
            let keys = keys(&[FIRST, SECOND]);
            let offer = sealed(&keys);
            let mut seal = offer.seal();
            let place = place.index(seal.len());
            seal[place] ^= bits;
            let changed = FlightOfferId::new(offer.uuid(), &seal);
            let error = opened(&keys, &changed).unwrap_err();
            let expected = if place <= KEY_ID_BYTES { OfferError::Unknown } else { OfferError::Altered };
            prop_assert_eq!(error, expected(changed.name().to_owned()));
            // The name is sealed too.
            let renamed = FlightOfferId::new(Uuid::from_u128(name), &offer.seal());
            prop_assert_eq!(opened(&keys, &renamed).is_ok(), name == 1);
        }

        #[test]
        fn no_seal_makes_the_reader_panic(seal in prop::collection::vec(any::<u8>(), 1..OFFER_ID_BYTES_MAX)) {
            let offer = FlightOfferId::new(Uuid::from_u128(1), &seal);
            prop_assert!(opened(&keys(&[FIRST]), &offer).is_err());
        }
    }
}
