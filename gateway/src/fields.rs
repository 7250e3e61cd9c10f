//! The one reader of bodies: field by field, so that every mistake is told at once, with its place.
//!
//! Text that is going to be stored is read by [`Object::text`], which looks for card numbers in it; a secret that is
//! only handed on or hashed is read by [`Object::secret`], which does not. What is not asked for is not looked at, and not
//! stored.

use std::{cell::RefCell, fmt::Display, str::FromStr};

use contract::{card_number, problem::FieldError};
use kit::http::ApiError;
use serde_json::Value;

/// The mistakes of a body.
#[derive(Debug, Default)]
pub(crate) struct Mistakes {
    pub(crate) fields: Vec<FieldError>,
    /// The places of card numbers, whose text is repeated nowhere.
    pub(crate) card_numbers: Vec<String>,
}

impl Mistakes {
    /// The problem for the client, made by `invalid` unless there is a card number: that is told before anything else.
    pub(crate) fn into_error(self, invalid: impl FnOnce(Vec<FieldError>) -> ApiError) -> ApiError {
        if self.card_numbers.is_empty() {
            invalid(self.fields)
        } else {
            ApiError::card_number_refused(self.card_numbers)
        }
    }
}

/// Reads a body, or tells everything that is wrong with it.
pub(crate) fn read<T>(body: &Value, read: impl FnOnce(&Object<'_>) -> Option<T>) -> Result<T, Mistakes> {
    let mistakes = RefCell::default();
    let object = Object { value: body, pointer: "#".to_owned(), mistakes: &mistakes };
    let value = object.is_object().then(|| read(&object)).flatten();
    let mistakes = mistakes.into_inner();
    match value {
        Some(value) if mistakes.fields.is_empty() && mistakes.card_numbers.is_empty() => Ok(value),
        _ => Err(mistakes),
    }
}

/// Reads a body of a few members, or answers with the problem.
pub(crate) fn read_members<T>(body: &Value, read: impl FnOnce(&Object<'_>) -> Option<T>) -> Result<T, ApiError> {
    let detail = "the body has not the members that are asked for; see `errors`";
    let invalid = |errors| ApiError::unprocessable("body_invalid", detail, errors);
    self::read(body, read).map_err(|mistakes| mistakes.into_error(invalid))
}

/// An object of a body, and its place.
pub(crate) struct Object<'a> {
    value: &'a Value,
    pointer: String,
    mistakes: &'a RefCell<Mistakes>,
}

impl<'a> Object<'a> {
    /// The text of that name as the type that it is stored as.
    pub(crate) fn text<T: FromStr<Err: Display>>(&self, name: &str) -> Option<T> {
        let text = self.string(name)?;
        if card_number::appears_in(text) {
            self.mistakes.borrow_mut().card_numbers.push(self.at(name));
            return None;
        }
        text.parse().map_err(|error: T::Err| self.wrong(name, error.to_string())).ok()
    }

    /// One of these words, when there is a member of that name.
    pub(crate) fn word<T: Copy>(&self, name: &str, all: &[T], as_str: fn(T) -> &'static str) -> Option<T> {
        let given = self.value.get(name)?;
        let found = all.iter().copied().find(|word| given.as_str() == Some(as_str(*word)));
        if found.is_none() {
            let words: Vec<_> = all.iter().map(|word| as_str(*word)).collect();
            self.wrong(name, format!("is not one of {}", words.join(", ")));
        }
        found
    }

    /// The text of that name, which is not stored as it is.
    pub(crate) fn secret(&self, name: &str) -> Option<String> {
        self.string(name).map(str::to_owned)
    }

    /// The same for a member that may be missing.
    pub(crate) fn secret_if_given(&self, name: &str) -> Option<Option<String>> {
        if self.value.get(name).is_none_or(Value::is_null) { Some(None) } else { self.secret(name).map(Some) }
    }

    /// The object of that name.
    pub(crate) fn object(&self, name: &str) -> Option<Self> {
        let Some(value) = self.value.get(name) else {
            self.wrong(name, "is missing");
            return None;
        };
        Some(Self { value, pointer: self.at(name), mistakes: self.mistakes })
    }

    /// The members of the list of that name, when it has 1 to `max`.
    pub(crate) fn list(&self, name: &str, max: usize) -> Vec<Self> {
        let items = match self.value.get(name) {
            Some(Value::Array(items)) if (1..=max).contains(&items.len()) => items.as_slice(),
            Some(Value::Array(items)) => {
                self.wrong(name, format!("must have 1 to {max} members, not {}", items.len()));
                &[]
            }
            Some(_) => {
                self.wrong(name, "must be a list");
                &[]
            }
            None => {
                self.wrong(name, "is missing");
                &[]
            }
        };
        let at = |index| format!("{}/{index}", self.at(name));
        let object = |(index, value)| Self { value, pointer: at(index), mistakes: self.mistakes };
        items.iter().enumerate().map(object).collect()
    }

    /// Refuses every member of another name.
    pub(crate) fn only(&self, names: &[&str]) {
        let unknown = |key: &String| !names.contains(&key.as_str());
        if self.value.as_object().is_some_and(|fields| fields.keys().any(unknown)) {
            // The name is not repeated: it is the client's text.
            self.say(format!("{}/", self.pointer), format!("has other members than {}", names.join(", ")));
        }
    }

    /// Notes what is wrong with the member of that name.
    pub(crate) fn wrong(&self, name: &str, detail: impl Into<String>) {
        self.say(self.at(name), detail.into());
    }

    fn string(&self, name: &str) -> Option<&'a str> {
        match self.value.get(name) {
            Some(Value::String(text)) => return Some(text),
            Some(_) => self.wrong(name, "must be a text"),
            None => self.wrong(name, "is missing"),
        }
        None
    }

    fn is_object(&self) -> bool {
        if !self.value.is_object() {
            self.say(format!("{}/", self.pointer), "must be an object".to_owned());
        }
        self.value.is_object()
    }

    fn at(&self, name: &str) -> String {
        format!("{}/{name}", self.pointer)
    }

    fn say(&self, pointer: String, detail: String) {
        self.mistakes.borrow_mut().fields.push(FieldError { detail, pointer });
    }
}
