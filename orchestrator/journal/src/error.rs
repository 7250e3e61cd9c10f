//! The failures of the journal. They are below all parts of the port.

use contract::SagaId;
use machine::READER;

/// The reason why the journal could not do something.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The database cannot be reached, or broke off: nothing is known about the outcome of a write.
    #[error("the journal's database failed while {doing}")]
    Unavailable {
        /// The action that failed, as in `loading sagas`.
        doing: &'static str,
        /// The driver's error.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// All connections of this kind of caller are in use. Nothing was asked.
    #[error("too many callers are {doing}")]
    Busy {
        /// The action that found no connection, as in `loading sagas`.
        doing: &'static str,
    },
    /// A row cannot be read. The row is named; other rows are not affected.
    #[error("row {row} of {table} is broken in column {column}: {detail}")]
    BrokenRow {
        /// The table of the row.
        table: &'static str,
        /// The column that cannot be read.
        column: &'static str,
        /// The row's key.
        row: String,
        /// The reason why it cannot be read.
        detail: String,
    },
    /// A later program wrote a record that this one does not understand. Other sagas are not affected.
    #[error(
        "saga {saga_id} has a record of a later program, which asks for reader {needed}; this program is reader {READER}"
    )]
    NewerReader {
        /// The id of the saga.
        saga_id: SagaId,
        /// The number of the reader that the record asks for.
        needed: u16,
    },
    /// The storage cannot read a saga, though it reads others: a damaged page.
    #[error("saga {saga_id} is damaged: {detail}")]
    Damaged {
        /// The id of the saga.
        saga_id: SagaId,
        /// The storage's own words.
        detail: String,
    },
    /// The lane's session is over: the shard may belong to another process now.
    #[error("the ownership of shard {shard} is lost")]
    OwnershipLost {
        /// The shard that the session owned.
        shard: u16,
    },
}
