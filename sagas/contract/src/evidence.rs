//! The evidence with which a person says that something was done by hand: where it can be looked up that it was.

use std::fmt;

use serde::{Deserialize, Serialize, de};

use crate::text::{self, UnfitCharacter};

/// The shortest evidence, in bytes: the number of a ticket and a word.
pub const EVIDENCE_BYTES_MIN: usize = 10;

/// The longest evidence, in bytes: a reference, and some sentences about it. It is journaled, so documents stay elsewhere.
pub const EVIDENCE_BYTES_MAX: usize = 1_000;

/// One line of text, as typed: composed, visible, of a bounded length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence(String);

/// The reason why a text is no evidence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvidenceError {
    /// Too short or too long.
    #[error(
        "evidence has {EVIDENCE_BYTES_MIN} to {EVIDENCE_BYTES_MAX} bytes, such as \"refunded by bank transfer, ticket 4711\""
    )]
    Length,
    /// It has a character that cannot be seen.
    #[error(transparent)]
    Unfit(#[from] UnfitCharacter),
}

impl Evidence {
    /// Reads what a person typed.
    ///
    /// # Errors
    /// [`EvidenceError`].
    pub fn parse(typed: &str) -> Result<Self, EvidenceError> {
        let line = text::line(typed);
        if !(EVIDENCE_BYTES_MIN..=EVIDENCE_BYTES_MAX).contains(&line.len()) {
            return Err(EvidenceError::Length);
        }
        text::check(&line)?;
        Ok(Self(line))
    }

    /// The text as it is stored and shown.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for Evidence {
    type Err = EvidenceError;

    fn from_str(typed: &str) -> Result<Self, EvidenceError> {
        Self::parse(typed)
    }
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Evidence {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Evidence {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_is_one_visible_line_of_a_bounded_length() {
        assert_eq!(Evidence::parse("  ticket   4711 ").unwrap().as_str(), "ticket 4711");
        for bad in ["done", "", "two\nlines of text", &"x".repeat(EVIDENCE_BYTES_MAX + 1)] {
            assert!(Evidence::parse(bad).is_err(), "{bad:?}");
        }
    }
}
