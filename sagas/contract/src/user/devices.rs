//! Logins by the device flow (OAuth 2.0 Device Authorization Grant, RFC 8628): a program without a browser asks, a person who
//! is logged in elsewhere approves, and the program gets tokens of its own.

use std::{borrow::Cow, fmt, str::FromStr};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize, de};

use crate::ids::UserId;

/// The letters of a user code (RFC 8628, 6.1): no vowels, so that no code is a word, and none that is taken for another.
pub const USER_CODE_LETTERS: [u8; 20] = *b"BCDFGHJKLMNPQRSTVWXZ";

/// The letters that a user code has: 20 to the power of 8, some 34 bits, which are guessed by nobody in minutes.
pub const USER_CODE_LETTERS_COUNT: usize = 8;

/// The letters before the dash, for reading aloud.
const USER_CODE_GROUP_LETTERS: usize = 4;

/// The longest text that is read as a user code, in bytes: the letters with a sign or space around each.
const USER_CODE_BYTES_MAX: usize = 4 * USER_CODE_LETTERS_COUNT;

/// The longest name of a program, in bytes: a name and a version.
const DEVICE_CLIENT_BYTES_MAX: usize = 64;

/// The code that a person compares and types, as `WDJB-MJHT`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct UserCode([u8; USER_CODE_LETTERS_COUNT]);

/// Why a text is no user code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a code has eight letters and no vowels, as WDJB-MJHT")]
pub struct UserCodeError;

impl UserCode {
    /// The code of these letters.
    ///
    /// # Errors
    /// When one of them is not of [`USER_CODE_LETTERS`].
    pub fn from_letters(letters: [u8; USER_CODE_LETTERS_COUNT]) -> Result<Self, UserCodeError> {
        if letters.iter().all(|letter| USER_CODE_LETTERS.contains(letter)) {
            Ok(Self(letters))
        } else {
            Err(UserCodeError)
        }
    }

    /// The letters without the dash.
    #[must_use]
    pub const fn letters(&self) -> &[u8; USER_CODE_LETTERS_COUNT] {
        &self.0
    }
}

impl FromStr for UserCode {
    type Err = UserCodeError;

    /// Reads what a person typed, in whatever case, with dashes and spaces wherever they are.
    fn from_str(typed: &str) -> Result<Self, UserCodeError> {
        if typed.len() > USER_CODE_BYTES_MAX {
            return Err(UserCodeError);
        }
        let typed = typed.bytes().filter(|byte| !matches!(byte, b'-' | b' ' | b'.' | b'_'));
        let letters: Vec<u8> = typed.map(|byte| byte.to_ascii_uppercase()).collect();
        letters.try_into().map_err(|_| UserCodeError).and_then(Self::from_letters)
    }
}

impl fmt::Display for UserCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, letter) in self.0.iter().enumerate() {
            if place == USER_CODE_GROUP_LETTERS {
                f.write_str("-")?;
            }
            write!(f, "{}", char::from(*letter))?;
        }
        Ok(())
    }
}

impl fmt::Debug for UserCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for UserCode {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for UserCode {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// The program that asks for a login, by the name that it gives itself: the `client_id` of OAuth. Anybody may say any name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceClient(String);

/// Why a text names no program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a client_id has 1 to {DEVICE_CLIENT_BYTES_MAX} letters, digits and signs of - _ . /, as sagactl/1.0")]
pub struct DeviceClientError;

impl DeviceClient {
    /// The name as it is stored and shown.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for DeviceClient {
    type Err = DeviceClientError;

    fn from_str(text: &str) -> Result<Self, DeviceClientError> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'/');
        let named = (1..=DEVICE_CLIENT_BYTES_MAX).contains(&text.len()) && text.bytes().all(fits);
        if named { Ok(Self(text.to_owned())) } else { Err(DeviceClientError) }
    }
}

impl Serialize for DeviceClient {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for DeviceClient {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// The body of `POST /internal/user/devices`: 201 [`DeviceLoginAsked`], 429 when too many are waiting.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AskDeviceLogin {
    /// The program that asks.
    pub client: DeviceClient,
    /// The address that it asks from.
    pub address: String,
}

/// The answer to [`AskDeviceLogin`]: the codes (RFC 8628, 3.2).
#[derive(Clone, Serialize, Deserialize)]
pub struct DeviceLoginAsked {
    /// The secret of the program that asks.
    pub device_code: String,
    /// The code for the person who approves.
    pub user_code: UserCode,
    /// The lifetime of both codes, in seconds.
    pub expires_in: u32,
    /// The shortest time between two questions for the tokens, in seconds.
    pub interval: u32,
}

/// The body of `POST /internal/user/devices/token`: 200 [`super::Tokens`], 400 with a code of RFC 8628, 3.5.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeviceCode {
    /// The secret of the program that asks.
    pub device_code: String,
    /// The program, as it named itself before.
    pub client: DeviceClient,
}

/// A login that waits for a person, as `GET /internal/user/devices?user_code=` answers; 404 when none waits under the code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceLogin {
    /// The code that it waits under.
    pub user_code: UserCode,
    /// The program that asks.
    pub client: DeviceClient,
    /// The address that it asks from.
    pub address: String,
    /// Since when it waits.
    pub created_at: DateTime<Utc>,
    /// The time at which it has waited for nothing.
    pub expires_at: DateTime<Utc>,
}

/// The word of a person about a login that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceDecision {
    /// The program gets tokens of this person.
    Approve,
    /// The program gets nothing.
    Deny,
}

/// The body of `POST /internal/user/devices/decide`: 200 [`DeviceLogin`], 404 when none waits under the code.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecideDeviceLogin {
    /// The code that the login waits under.
    pub user_code: UserCode,
    /// The person who decides.
    pub user_id: UserId,
    /// The person's word.
    pub decision: DeviceDecision,
}
