//! Logins of the device flow (RFC 8628) as asking, deciding and trading share them: the codes, and why a program gets no
//! tokens.

use aws_lc_rs::rand;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::Duration;
use contract::user::{USER_CODE_LETTERS, USER_CODE_LETTERS_COUNT, UserCode};
use sha2::{Digest, Sha256};
use worker_runtime::DomainError;

use crate::session::SessionError;

/// How long a login waits for its person, who has to find a browser and maybe log in there first.
pub(crate) const WAITS_FOR: Duration = Duration::minutes(10);

/// The shortest time between two questions for the tokens, and what each that comes too soon adds to it (RFC 8628, 3.5).
pub(crate) const POLL_INTERVAL_SECONDS: u32 = 5;

/// How much too soon a question may come all the same: what it spends on the way differs from one to the next.
pub(crate) const POLL_GRACE: Duration = Duration::seconds(1);

/// Random bytes of a device code: as hard to guess as a key.
const DEVICE_CODE_BYTES: usize = 32;

/// The random bytes below this one lead to each letter of a user code equally often.
const FAIR_BYTES: u8 = u8::MAX - u8::MAX % USER_CODE_LETTERS.len() as u8;

/// Random bytes that are drawn at a time for the letters of a user code.
const DRAWN_BYTES: usize = 2 * USER_CODE_LETTERS_COUNT;

/// Why a program that asks for the tokens gets none: each has its word in RFC 8628, 3.5, or RFC 6749, 5.2.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DeviceError {
    #[error("nobody has decided yet: ask again after the interval")]
    Pending,
    #[error("this was asked too soon: wait five seconds longer between two questions from now on")]
    TooSoon,
    #[error("a person has denied this login, or may not log in any more")]
    Denied,
    #[error("this login has waited too long: ask for a new one")]
    Expired,
    #[error("the device code is unknown or used, or another program's")]
    Unknown,
    #[error(transparent)]
    Session(#[from] SessionError),
    #[error(transparent)]
    Domain(#[from] DomainError),
}

/// A new secret for a program.
pub(crate) fn device_code() -> Result<String, SessionError> {
    let mut bytes = [0; DEVICE_CODE_BYTES];
    rand::fill(&mut bytes).map_err(|_| SessionError::NoRandomness)?;
    Ok(format!("dc_{}", URL_SAFE_NO_PAD.encode(bytes)))
}

/// A new code for a person.
pub(crate) fn user_code() -> Result<UserCode, SessionError> {
    let mut letters = Vec::with_capacity(USER_CODE_LETTERS_COUNT);
    loop {
        let mut drawn = [0; DRAWN_BYTES];
        rand::fill(&mut drawn).map_err(|_| SessionError::NoRandomness)?;
        letters.extend(drawn.into_iter().filter_map(letter));
        letters.truncate(USER_CODE_LETTERS_COUNT);
        let drawn = <[u8; USER_CODE_LETTERS_COUNT]>::try_from(letters.as_slice()).ok();
        if let Some(code) = drawn.and_then(|letters| UserCode::from_letters(letters).ok()) {
            return Ok(code);
        }
    }
}

/// The letter of a random byte; none for the few that would make some letters more frequent.
fn letter(byte: u8) -> Option<u8> {
    let fair = (byte < FAIR_BYTES).then(|| usize::from(byte) % USER_CODE_LETTERS.len());
    fair.and_then(|place| USER_CODE_LETTERS.get(place).copied())
}

/// A device code as it is stored.
pub(crate) fn hash_of_secret(device_code: &str) -> Vec<u8> {
    Sha256::digest(device_code.as_bytes()).to_vec()
}

/// A user code as it is stored.
pub(crate) fn hash_of_letters(code: UserCode) -> Vec<u8> {
    Sha256::digest(code.letters()).to_vec()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn each_letter_comes_from_as_many_bytes_as_any_other() {
        let mut counts: BTreeMap<u8, u32> = BTreeMap::new();
        for letter in (0..=u8::MAX).filter_map(letter) {
            *counts.entry(letter).or_default() += 1;
        }
        assert_eq!(counts.len(), 20);
        assert!(counts.values().all(|count| *count == 12), "{counts:?}");
    }

    #[test]
    fn codes_differ_and_read_as_what_they_are() {
        let (one, other) = (user_code().unwrap(), user_code().unwrap());
        assert_ne!(one, other);
        assert_eq!(one.to_string().parse(), Ok(one));
        assert_ne!(device_code().unwrap(), device_code().unwrap());
    }
}
