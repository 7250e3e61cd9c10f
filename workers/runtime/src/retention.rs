//! The word of a domain on rows that end: for how long they are kept, and how they are removed then.

use chrono::TimeDelta;

/// For how long rows of one kind are kept after their end.
#[derive(Debug, Clone, Copy)]
pub struct Retention {
    /// The rows, in the plural: `ended sessions`.
    pub rows: &'static str,
    /// How long they are kept after they have ended.
    pub kept_for: TimeDelta,
    /// The most rows that one statement removes: as many as it may lock without keeping others waiting.
    pub batch_rows_max: i64,
    /// A `DELETE` of at most `$2` rows (`bigint`) that had ended before `$1` (`timestamptz`), found by an index. Where a
    /// UUIDv7 is the key, `runtime.first_id_of($1)` is the smallest one of that moment.
    pub delete: &'static str,
}
