//! JSON values read as the types of a definition, and measured.
//!
//! Journals and messages carry any JSON. A value that is not of its type is told by place, so that its sender can
//! mend it.

use contract::limits::{NESTING_LEVELS_MAX, cut_error_text};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The place and the reason why a JSON value is not of the type that it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}{}", if pointer.is_empty() { String::new() } else { format!(" at {pointer}") })]
pub struct Mismatch {
    /// A JSON pointer, such as `/items/0/total`; empty for the whole value.
    pub pointer: String,
    /// The mistake at that place.
    pub message: String,
}

/// Reads a value as `T`. Reading twice when it fails buys the place of the mistake at no cost when it does not.
///
/// Fields that the type leaves out are journaled with the rest, so their nesting is bounded here: a journal must read
/// back.
pub(crate) fn read<T: DeserializeOwned>(value: &Value) -> Result<T, Mismatch> {
    if is_deeper_than(value, NESTING_LEVELS_MAX) {
        let message = format!("it is nested deeper than {NESTING_LEVELS_MAX} levels");
        return Err(Mismatch { pointer: String::new(), message });
    }
    T::deserialize(value).or_else(|_| {
        serde_path_to_error::deserialize(value).map_err(|error| Mismatch {
            pointer: pointer(error.path()),
            message: cut_error_text(error.inner().to_string()),
        })
    })
}

/// [`read`], for its verdict only.
pub(crate) fn check<T: DeserializeOwned>(value: &Value) -> Result<(), Mismatch> {
    read::<T>(value).map(drop)
}

/// The length of a value's JSON in bytes, counted without keeping the text.
pub(crate) fn json_bytes(value: &Value) -> usize {
    struct Counter(usize);

    impl std::io::Write for Counter {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 = self.0.saturating_add(bytes.len());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    let mut counter = Counter(0);
    match serde_json::to_writer(&mut counter, value) {
        Ok(()) => counter.0,
        Err(_) => usize::MAX,
    }
}

/// A path of serde as a JSON pointer (RFC 6901).
fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;

    let mut pointer = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => pointer += &format!("/{index}"),
            Segment::Map { key } => pointer += &format!("/{}", key.replace('~', "~0").replace('/', "~1")),
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    pointer
}

fn is_deeper_than(value: &Value, levels: usize) -> bool {
    match value {
        Value::Array(items) => levels == 0 || items.iter().any(|inner| is_deeper_than(inner, levels - 1)),
        Value::Object(fields) => levels == 0 || fields.values().any(|inner| is_deeper_than(inner, levels - 1)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}
