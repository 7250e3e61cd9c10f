//! Documents read as the types of a definition.
//!
//! Journals and messages carry any JSON. A document that is not of its type is told by place, so that its sender can
//! mend it.

use std::{cell::Cell, fmt, sync::Arc};

use contract::{
    Document,
    limits::{NESTING_LEVELS_MAX, cut_error_text},
};
use serde::{
    Serialize,
    de::{DeserializeOwned, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor},
};
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

impl Mismatch {
    fn of_the_whole(message: String) -> Self {
        Self { pointer: String::new(), message }
    }
}

/// Reads a document as `T`. Reading it as a tree when that fails buys the place of the mistake at no cost when it does not.
pub(crate) fn read<T: DeserializeOwned + Send + Sync + 'static>(document: &Document) -> Result<Arc<T>, Mismatch> {
    document.read().or_else(|_| {
        let tree = document.to_value().map_err(|error| Mismatch::of_the_whole(cut_error_text(error.to_string())))?;
        serde_path_to_error::deserialize(tree).map(Arc::new).map_err(|error| Mismatch {
            pointer: pointer(error.path()),
            message: cut_error_text(error.inner().to_string()),
        })
    })
}

/// Checks that a document from outside is a `T`, and that what the type leaves out can be kept too.
pub(crate) fn check<T: DeserializeOwned + Send + Sync + 'static>(document: &Document) -> Result<(), Mismatch> {
    check_readable(document)?;
    read::<T>(document).map(drop)
}

/// Reads a document from outside as a `T`, and writes it as that type writes it.
pub(crate) fn rewrite<T: DeserializeOwned + Serialize + Send + Sync + 'static>(
    document: &Document,
) -> Result<Value, Mismatch> {
    check_readable(document)?;
    let read = read::<T>(document)?;
    serde_json::to_value(&*read).map_err(|error| Mismatch::of_the_whole(cut_error_text(error.to_string())))
}

/// Checks that all of a document can be read as a tree some levels deeper: fields that its type leaves out are journaled
/// with the rest, and a journal must read back.
pub(crate) fn check_readable(document: &Document) -> Result<(), Mismatch> {
    let too_deep = Cell::new(false);
    let part = Part { levels_left: NESTING_LEVELS_MAX, too_deep: &too_deep };
    let mut deserializer = serde_json::Deserializer::from_str(document.text());
    part.deserialize(&mut deserializer).map_err(|error| {
        Mismatch::of_the_whole(match too_deep.get() {
            true => format!("it is nested deeper than {NESTING_LEVELS_MAX} levels"),
            false => cut_error_text(error.to_string()),
        })
    })
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

/// A part of a document that is read through and not kept.
#[derive(Clone, Copy)]
struct Part<'a> {
    /// The levels of nesting that it may have.
    levels_left: usize,
    too_deep: &'a Cell<bool>,
}

impl Part<'_> {
    fn inner<E: Error>(self) -> Result<Self, E> {
        self.too_deep.set(self.levels_left == 0);
        let levels_left = self.levels_left.checked_sub(1).ok_or_else(|| E::custom("nested too deep"))?;
        Ok(Self { levels_left, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Part<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Part<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let inner = self.inner()?;
        while items.next_element_seed(inner)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        let inner = self.inner()?;
        while fields.next_entry_seed(inner, inner)?.is_some() {}
        Ok(())
    }
}
