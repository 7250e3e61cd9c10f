//! The keys under which the secrets of second factors are encrypted: who reads the database can make no codes.
//!
//! ```text
//!  sealed:  version (1) | key (4) | nonce (12) | AES-256-GCM of the secret, with its tag (16)
//!  authenticated beside it: the version, the key and the person, so that no row works for another person
//! ```
//!
//! Keys rotate as those of offers do: a new one is first added behind the old one, everywhere, then put in front of it. The
//! old one must stay until the last secret under it is gone.

use std::{fmt, sync::Arc};

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// The key of development. Production refuses it.
pub const DEVELOPMENT_SECOND_FACTOR_KEY: &str = "development-second-factor-key-known-to-all";

/// The shortest key, in bytes: as long as the cipher's own.
const KEY_BYTES_MIN: usize = 32;

/// The most keys: one that seals, one that comes, one that goes, and one to spare.
const KEYS_MAX: usize = 4;

/// Raised when the form of what is sealed changes.
const VERSION: u8 = 1;

/// The bytes that tell keys apart.
const KEY_ID_BYTES: usize = 4;

/// The texts before a key of which the cipher's key and the id are made.
const CIPHER_TEXT: &[u8] = b"the cipher of second factors";
const ID_TEXT: &[u8] = b"the id of a key of second factors";

/// Why keys cannot be used. None of their text is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FactorKeysError {
    /// No key, or far too many.
    #[error("second factors need 1 to {KEYS_MAX} keys, not {0} (SOJOURN_SECOND_FACTOR_KEYS)")]
    Count(usize),
    /// A key that could be guessed.
    #[error("a key of second factors has {KEY_BYTES_MIN} bytes at least (SOJOURN_SECOND_FACTOR_KEYS)")]
    Short,
    /// The key that everybody knows.
    #[error("production refuses the development key of second factors: set SOJOURN_SECOND_FACTOR_KEYS")]
    Development,
}

/// Why a secret cannot be sealed or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SealError {
    #[error(
        "none of the keys of second factors has sealed this secret: was one taken away? (SOJOURN_SECOND_FACTOR_KEYS)"
    )]
    UnknownKey,
    #[error("the sealed secret was altered")]
    Altered,
    #[error("the cipher failed")]
    Cipher,
}

/// The keys of one installation. Clones share them.
#[derive(Clone)]
pub(crate) struct FactorKeys(Arc<[FactorKey]>);

struct FactorKey {
    id: [u8; KEY_ID_BYTES],
    cipher: RandomizedNonceKey,
}

impl fmt::Debug for FactorKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FactorKeys(...)")
    }
}

impl FactorKeys {
    /// The keys of these texts: the first one seals, all of them open.
    pub(crate) fn new(keys: &[SecretString], production: bool) -> Result<Self, FactorKeysError> {
        if !(1..=KEYS_MAX).contains(&keys.len()) {
            return Err(FactorKeysError::Count(keys.len()));
        }
        keys.iter()
            .map(|key| FactorKey::new(key, production))
            .collect::<Result<Vec<_>, _>>()
            .map(|keys| Self(keys.into()))
    }

    /// The secret of a person as it is stored.
    pub(crate) fn seal(&self, user_id: Uuid, secret: &[u8]) -> Result<Vec<u8>, SealError> {
        // There is a first one since the start.
        let key = self.0.first().ok_or(SealError::UnknownKey)?;
        let mut content = secret.to_vec();
        let nonce = key.cipher.seal_in_place_append_tag(key.beside(user_id), &mut content);
        let nonce = nonce.map_err(|_| SealError::Cipher)?;
        Ok([&[VERSION][..], &key.id, nonce.as_ref(), &content].concat())
    }

    /// The secret that was stored for a person.
    pub(crate) fn open(&self, user_id: Uuid, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        let rest = sealed.strip_prefix(&[VERSION]).ok_or(SealError::UnknownKey)?;
        let (id, rest) = rest.split_at_checked(KEY_ID_BYTES).ok_or(SealError::Altered)?;
        let (nonce, content) = rest.split_at_checked(NONCE_LEN).ok_or(SealError::Altered)?;
        let key = self.0.iter().find(|key| key.id == id).ok_or(SealError::UnknownKey)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SealError::Altered)?;
        let mut content = content.to_vec();
        let opened = key.cipher.open_in_place(nonce, key.beside(user_id), &mut content);
        opened.map(|secret| secret.to_vec()).map_err(|_| SealError::Altered)
    }
}

impl FactorKey {
    fn new(key: &SecretString, production: bool) -> Result<Self, FactorKeysError> {
        let key = key.expose_secret();
        if production && key == DEVELOPMENT_SECOND_FACTOR_KEY {
            return Err(FactorKeysError::Development);
        }
        if key.len() < KEY_BYTES_MIN {
            return Err(FactorKeysError::Short);
        }
        let hash = |text: &[u8]| Sha256::new().chain_update(text).chain_update(key.as_bytes()).finalize();
        let cipher = RandomizedNonceKey::new(&AES_256_GCM, &hash(CIPHER_TEXT)).map_err(|_| FactorKeysError::Short)?;
        let mut id = [0; KEY_ID_BYTES];
        id.copy_from_slice(&hash(ID_TEXT)[..KEY_ID_BYTES]);
        Ok(Self { id, cipher })
    }

    fn beside(&self, user_id: Uuid) -> Aad<Vec<u8>> {
        Aad::from([&[VERSION][..], &self.id, user_id.as_bytes()].concat())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = "the first key, which has thirty-two bytes";
    const SECOND: &str = "the second key, which has thirty-two bytes";

    fn keys(texts: &[&str]) -> FactorKeys {
        made(texts, true).unwrap()
    }

    fn made(texts: &[&str], production: bool) -> Result<FactorKeys, FactorKeysError> {
        FactorKeys::new(&texts.iter().map(|text| SecretString::from(*text)).collect::<Vec<_>>(), production)
    }

    #[test]
    fn a_secret_is_opened_for_its_person_and_under_its_key_only() {
        let (ann, eve) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let sealed = keys(&[FIRST]).seal(ann, b"a secret").unwrap();
        assert_eq!(keys(&[SECOND, FIRST]).open(ann, &sealed).unwrap(), b"a secret");
        assert_eq!(keys(&[SECOND]).open(ann, &sealed), Err(SealError::UnknownKey));
        assert_eq!(keys(&[FIRST]).open(eve, &sealed), Err(SealError::Altered));
        assert!(!sealed.windows(8).any(|part| part == b"a secret"));
        assert_ne!(keys(&[FIRST]).seal(ann, b"a secret").unwrap(), sealed, "one secret is sealed as one text");
    }

    #[test]
    fn a_sealed_secret_that_was_changed_in_any_byte_is_not_opened() {
        let (ann, keys) = (Uuid::from_u128(1), keys(&[FIRST]));
        let sealed = keys.seal(ann, b"a secret").unwrap();
        for place in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[place] ^= 1;
            assert!(keys.open(ann, &changed).is_err(), "{place}");
            assert!(keys.open(ann, &sealed[..place]).is_err(), "{place}");
        }
    }

    #[test]
    fn weak_keys_and_known_ones_are_refused_and_never_shown() {
        let error = |texts: &[&str], production| made(texts, production).map(drop);
        assert_eq!(error(&[], false), Err(FactorKeysError::Count(0)));
        assert_eq!(error(&[FIRST; KEYS_MAX + 1], false), Err(FactorKeysError::Count(KEYS_MAX + 1)));
        assert_eq!(error(&[FIRST, "short"], false), Err(FactorKeysError::Short));
        assert_eq!(error(&[FIRST, DEVELOPMENT_SECOND_FACTOR_KEY], true), Err(FactorKeysError::Development));
        assert_eq!(error(&[DEVELOPMENT_SECOND_FACTOR_KEY], false), Ok(()));
        assert_eq!(format!("{:?}", keys(&[FIRST])), "FactorKeys(...)");
    }
}
