//! A person's name, as a passport, a ticket or a greeting has it.

use std::{borrow::Cow, fmt, str::FromStr};

use serde::{Deserialize, Serialize, de};

use crate::text::{self, UnfitCharacter};

/// The longest name, in characters: more than twice the 39 that a passport's machine-readable line has room for.
pub const NAME_CHARS_MAX: usize = 100;

/// The longest text that is read as a name, in bytes: as many characters typed as a letter and two marks of four bytes.
pub const NAME_BYTES_MAX: usize = 12 * NAME_CHARS_MAX;

/// A name that can be seen: one composed line without invisible characters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PersonName(String);

/// Why a text is not a person's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PersonNameError {
    /// Nothing is left when white space is taken off.
    #[error("a name has at least one character that can be seen")]
    Empty,
    /// More than [`NAME_CHARS_MAX`] or [`NAME_BYTES_MAX`].
    #[error("a name has at most {NAME_CHARS_MAX} characters")]
    TooLong,
    /// It has a character that cannot be seen.
    #[error("a name can be read by everybody: {0}")]
    Unfit(#[from] UnfitCharacter),
}

impl PersonName {
    /// Reads what a person typed as a name.
    ///
    /// # Errors
    /// [`PersonNameError`].
    pub fn parse(typed: &str) -> Result<Self, PersonNameError> {
        if typed.len() > NAME_BYTES_MAX {
            return Err(PersonNameError::TooLong);
        }
        let name = text::line(typed);
        if name.is_empty() {
            return Err(PersonNameError::Empty);
        }
        if name.chars().count() > NAME_CHARS_MAX {
            return Err(PersonNameError::TooLong);
        }
        text::check(&name)?;
        Ok(Self(name))
    }

    /// The text as it is stored and shown.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PersonName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for PersonName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl FromStr for PersonName {
    type Err = PersonNameError;

    fn from_str(typed: &str) -> Result<Self, PersonNameError> {
        Self::parse(typed)
    }
}

impl Serialize for PersonName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for PersonName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(de::Error::custom)
    }
}
