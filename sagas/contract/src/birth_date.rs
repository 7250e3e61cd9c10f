//! A person's date of birth: a plausible date, with one spelling.

use std::{fmt, str::FromStr};

use chrono::{Datelike, NaiveDate};
use serde::{Deserialize, Serialize};

/// The earliest year of birth. The oldest people alive were born after it.
pub const BIRTH_YEAR_MIN: i32 = 1900;

/// A date of birth, such as `1980-01-31`: from [`BIRTH_YEAR_MIN`] on. A text alone cannot tell whether it is past: that
/// depends on the day, so [`BirthDate::not_after`] is asked with one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BirthDate(NaiveDate);

/// Why a date is no date of birth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BirthDateError {
    /// The text is no date, or a date in another spelling.
    #[error("is not a date such as 1980-01-31")]
    NotADate,
    /// The date is before [`BIRTH_YEAR_MIN`].
    #[error("lies before {BIRTH_YEAR_MIN}")]
    TooEarly,
    /// The date is after the day on which it was asked about.
    #[error("lies in the future")]
    InTheFuture,
}

impl BirthDate {
    /// The date of birth on this day.
    ///
    /// # Errors
    /// When the date is before [`BIRTH_YEAR_MIN`].
    pub fn new(date: NaiveDate) -> Result<Self, BirthDateError> {
        if date.year() < BIRTH_YEAR_MIN { Err(BirthDateError::TooEarly) } else { Ok(Self(date)) }
    }

    /// The day itself.
    #[must_use]
    pub const fn date(self) -> NaiveDate {
        self.0
    }

    /// The same date of birth, when the person was born by `today`.
    ///
    /// # Errors
    /// When the date lies in the future.
    pub fn not_after(self, today: NaiveDate) -> Result<Self, BirthDateError> {
        if self.0 > today { Err(BirthDateError::InTheFuture) } else { Ok(self) }
    }
}

impl FromStr for BirthDate {
    type Err = BirthDateError;

    fn from_str(text: &str) -> Result<Self, BirthDateError> {
        // A date has one spelling; the parser knows more.
        let date = text.parse::<NaiveDate>().ok().filter(|date| date.to_string() == text);
        Self::new(date.ok_or(BirthDateError::NotADate)?)
    }
}

impl fmt::Display for BirthDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl TryFrom<String> for BirthDate {
    type Error = BirthDateError;

    fn try_from(text: String) -> Result<Self, BirthDateError> {
        text.parse()
    }
}

impl From<BirthDate> for String {
    fn from(date: BirthDate) -> Self {
        date.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn a_date_of_birth_is_a_real_date_in_its_one_spelling() {
        for good in ["1900-01-01", "1980-01-31", "2000-02-29", "2026-12-01"] {
            assert_eq!(good.parse::<BirthDate>().unwrap().to_string(), good);
        }
        for bad in ["", "2001-02-29", "01.02.1990", "1990-1-1", "+1990-1-01", " 1990-01-01", "1990-01-01T00:00:00Z"] {
            assert_eq!(bad.parse::<BirthDate>(), Err(BirthDateError::NotADate), "{bad}");
        }
    }

    #[test]
    fn nobody_who_travels_was_born_before_1900_or_tomorrow() {
        assert_eq!("1899-12-31".parse::<BirthDate>(), Err(BirthDateError::TooEarly));
        assert_eq!("-1990-01-01".parse::<BirthDate>(), Err(BirthDateError::TooEarly));
        let born: BirthDate = "2026-12-02".parse().unwrap();
        assert_eq!(born.not_after(day("2026-12-01")), Err(BirthDateError::InTheFuture));
        assert_eq!(born.not_after(day("2026-12-02")), Ok(born));
    }

    #[test]
    fn it_is_a_text_in_json() {
        let born: BirthDate = serde_json::from_str("\"1984-02-29\"").unwrap();
        assert_eq!(serde_json::to_string(&born).unwrap(), "\"1984-02-29\"");
        assert!(serde_json::from_str::<BirthDate>("\"1984-02-30\"").is_err());
    }
}
