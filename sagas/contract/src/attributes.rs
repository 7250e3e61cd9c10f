//! Search attributes: the words of a saga's own, such as the day of a departure, by which people find it among many.
//!
//! A definition reads them from the start input, once. An attribute's value is one word, such as an id, a day or a code, and
//! never free text: everybody who may read a list sees it, so no person's name can stand in it.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// The most attributes of a definition, and of a filter: each is a row of an index.
pub const ATTRIBUTES_MAX: usize = 8;

/// The longest name of an attribute, in bytes: as long as a step's.
pub const ATTRIBUTE_NAME_BYTES_MAX: usize = 48;

/// The longest value of an attribute, in bytes: longer than an id with its prefix.
pub const ATTRIBUTE_VALUE_BYTES_MAX: usize = 64;

/// The longest piece of a wrong text that an error repeats, in characters; what is longer is cut.
const ECHO_CHARS_MAX: usize = 64;

/// The attributes of one saga, or those that a filter asks for, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "BTreeMap<String, String>")]
pub struct Attributes(BTreeMap<String, String>);

/// The reason why a text is no attribute.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AttributeError {
    /// The name is not of the form that names have.
    #[error(
        "`{0}` is not an attribute's name: 1 to {ATTRIBUTE_NAME_BYTES_MAX} of a-z, 0-9 and `_`, starting with a letter"
    )]
    Name(String),
    /// The value is not one word.
    #[error(
        "`{0}` is not an attribute's value: 1 to {ATTRIBUTE_VALUE_BYTES_MAX} of a-z, A-Z, 0-9, `-`, `_`, `.` and `:`"
    )]
    Value(String),
    /// The text has no colon between a name and a value.
    #[error("`{0}` is not an attribute: it is written as `departs_on:2026-12-24`")]
    NoColon(String),
    /// One name stands there twice.
    #[error("the attribute `{0}` stands there twice")]
    Twice(String),
    /// There are too many.
    #[error("there are more than {ATTRIBUTES_MAX} attributes")]
    TooMany,
}

impl Attributes {
    /// Adds an attribute.
    ///
    /// # Errors
    /// [`AttributeError`] when the name or the value is not of its form, the name is there already, or there are
    /// [`ATTRIBUTES_MAX`] of them.
    pub fn add(&mut self, name: &str, value: &str) -> Result<(), AttributeError> {
        if !is_attribute_name(name) {
            return Err(AttributeError::Name(echo(name)));
        }
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
        if !(1..=ATTRIBUTE_VALUE_BYTES_MAX).contains(&value.len()) || !value.bytes().all(is_word) {
            return Err(AttributeError::Value(echo(value)));
        }
        if self.0.contains_key(name) {
            return Err(AttributeError::Twice(name.to_owned()));
        }
        if self.0.len() >= ATTRIBUTES_MAX {
            return Err(AttributeError::TooMany);
        }
        self.0.insert(name.to_owned(), value.to_owned());
        Ok(())
    }

    /// The names and values, in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The value of the attribute of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// True when there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Whether a text is of the form that the names of attributes have.
#[must_use]
pub fn is_attribute_name(text: &str) -> bool {
    let starts_with_a_letter = text.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
    let is_of_names = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    starts_with_a_letter && text.len() <= ATTRIBUTE_NAME_BYTES_MAX && text.bytes().all(is_of_names)
}

impl TryFrom<BTreeMap<String, String>> for Attributes {
    type Error = AttributeError;

    fn try_from(texts: BTreeMap<String, String>) -> Result<Self, AttributeError> {
        let mut attributes = Self::default();
        texts.iter().try_for_each(|(name, value)| attributes.add(name, value))?;
        Ok(attributes)
    }
}

impl FromStr for Attributes {
    type Err = AttributeError;

    /// Reads attributes as a listing's parameter has them: `departs_on:2026-12-24,payment_id:pay_...`.
    fn from_str(text: &str) -> Result<Self, AttributeError> {
        let mut attributes = Self::default();
        for one in text.split(',').filter(|one| !one.is_empty()) {
            let (name, value) = one.split_once(':').ok_or_else(|| AttributeError::NoColon(echo(one)))?;
            attributes.add(name, value)?;
        }
        Ok(attributes)
    }
}

impl fmt::Display for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (name, value)) in self.iter().enumerate() {
            write!(f, "{}{name}:{value}", if place > 0 { "," } else { "" })?;
        }
        Ok(())
    }
}

fn echo(text: &str) -> String {
    text.chars().take(ECHO_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_written_as_they_are_read() {
        let text = "departs_on:2026-12-24,payment_id:pay_0a:b";
        let attributes: Attributes = text.parse().unwrap();
        assert_eq!(attributes.get("payment_id"), Some("pay_0a:b"));
        assert_eq!(attributes.to_string(), text);
        let json = serde_json::to_string(&attributes).unwrap();
        assert_eq!(json, r#"{"departs_on":"2026-12-24","payment_id":"pay_0a:b"}"#);
        assert_eq!(serde_json::from_str::<Attributes>(&json).unwrap(), attributes);
        assert!("".parse::<Attributes>().unwrap().is_empty());
    }

    #[test]
    fn a_value_is_one_word_so_that_no_name_of_a_person_fits_in() {
        for (text, word) in [
            ("guest:Ada Example", "value"),
            ("guest:Zoë", "value"),
            ("guest:", "value"),
            (&format!("guest:{}", "x".repeat(ATTRIBUTE_VALUE_BYTES_MAX + 1)), "value"),
            ("Guest:x", "name"),
            ("1st:x", "name"),
            (":x", "name"),
            ("guest", "departs_on:"),
            ("a:x,a:y", "twice"),
            ("a:1,b:1,c:1,d:1,e:1,f:1,g:1,h:1,i:1", "more than 8"),
        ] {
            let said = text.parse::<Attributes>().unwrap_err().to_string();
            assert!(said.contains(word), "{text}: {said}");
        }
        assert!(serde_json::from_str::<Attributes>(r#"{"guest":"Ada Example"}"#).is_err());
    }
}
