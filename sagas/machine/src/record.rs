//! The stored form of a record's entries. It says which programs may replay it: one that knows less than the record asks
//! for must leave its saga alone, in place of dropping what it does not understand.
//!
//! ```text
//! [entry, ...]                              every reader
//! {"reader": 2, "entries": [entry, ...]}    reader 2 and later
//! ```

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::entry::Entry;

/// The number of this program's reader. It rises when an entry, or an optional field of one, gets a meaning that a
/// program must not ignore.
pub const READER: u16 = 3;

/// The reader that every record can be replayed by which says nothing else.
const FIRST_READER: u16 = 1;

/// The reason why a record cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// A later program wrote it.
    #[error("it asks for reader {needed}, and this program is reader {READER}")]
    NewerReader {
        /// The number of the reader that the record asks for.
        needed: u16,
    },
    /// It is not what any program writes.
    #[error(transparent)]
    Unreadable(#[from] serde_json::Error),
}

#[derive(Serialize)]
struct Written<'a> {
    reader: u16,
    entries: &'a [Entry],
}

#[derive(Deserialize)]
struct Stored<'a> {
    reader: u16,
    #[serde(borrow)]
    entries: &'a RawValue,
}

/// Writes the entries of a record.
///
/// # Errors
/// When a document among them cannot be written.
pub fn write_record(entries: &[Entry]) -> serde_json::Result<String> {
    match entries.iter().map(Entry::reader).max() {
        Some(reader) if reader > FIRST_READER => serde_json::to_string(&Written { reader, entries }),
        Some(_) | None => serde_json::to_string(entries),
    }
}

/// Reads the entries of a record.
///
/// # Errors
/// When a later program wrote them, or none.
pub fn read_record(text: &str) -> Result<Vec<Entry>, RecordError> {
    if !text.trim_start().starts_with('{') {
        return Ok(serde_json::from_str(text)?);
    }
    let Stored { reader, entries } = serde_json::from_str(text)?;
    if reader > READER {
        return Err(RecordError::NewerReader { needed: reader });
    }
    Ok(serde_json::from_str(entries.get())?)
}
