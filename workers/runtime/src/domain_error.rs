//! The technical failures of a domain: its database, or a row that its own code never writes. A business refusal is no
//! error, it is an outcome; a bug is a [`HandlerError::Fault`].

use std::fmt::Display;

use kit::{http::ApiError, settings::error_chain};

use crate::{failure::is_gone, handler_error::HandlerError};

/// How soon a caller may ask again when the database could not be reached: it is back within seconds or not at all.
const RETRY_AFTER_SECONDS: u32 = 1;

/// A technical failure, with what was being done.
#[derive(Debug, thiserror::Error)]
pub enum DomainError {
    /// The database did not do what it was asked.
    #[error("the database failed while {doing}")]
    Database {
        /// The work that failed, such as "holding seats".
        doing: &'static str,
        /// The database's own words.
        #[source]
        source: sqlx::Error,
    },
    /// A column holds a value that cannot be read.
    #[error("row {row} of {table} is broken in column {column}: {detail}")]
    BrokenRow {
        /// The table's name.
        table: &'static str,
        /// The column's name.
        column: &'static str,
        /// The row's key.
        row: String,
        /// The reason why the value cannot be read.
        detail: String,
    },
}

impl DomainError {
    /// For `map_err`: the database failed while `doing` something.
    pub fn doing(doing: &'static str) -> impl FnOnce(sqlx::Error) -> Self {
        move |source| Self::Database { doing, source }
    }

    /// A value of `column` in the row with the key `row` of `table` cannot be read, for the reason `detail`.
    pub fn broken_row(table: &'static str, column: &'static str, row: impl Display, detail: impl Display) -> Self {
        Self::BrokenRow { table, column, row: row.to_string(), detail: detail.to_string() }
    }
}

impl From<DomainError> for HandlerError {
    fn from(error: DomainError) -> Self {
        match error {
            // The database's error as it is: the runtime tells lost connections and conflicts from the rest.
            DomainError::Database { source, .. } => Self::Database(source),
            DomainError::BrokenRow { .. } => Self::fault(error.to_string()),
        }
    }
}

/// For reads: a database that cannot be reached, and one that all of the domain's reads are busy with, is 503; every other
/// failure is 500 with nothing about the inside.
impl From<DomainError> for ApiError {
    fn from(error: DomainError) -> Self {
        let text = error_chain(&error);
        match error {
            DomainError::Database { source: sqlx::Error::PoolTimedOut, .. } => {
                tracing::warn!(error = text, "a read waited too long for a connection");
                let detail = "all of the domain's connections for reads are in use";
                Self::unavailable("busy", detail, RETRY_AFTER_SECONDS)
            }
            DomainError::Database { source, .. } if is_gone(&source) => {
                tracing::warn!(error = text, "a read cannot reach its database");
                Self::unavailable("database_unavailable", "the domain's database does not answer", RETRY_AFTER_SECONDS)
            }
            DomainError::Database { .. } | DomainError::BrokenRow { .. } => {
                tracing::error!(error = text, "a read failed");
                Self::internal()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_that_is_away_is_unavailable_and_every_other_failure_is_internal() {
        let status = |error: DomainError| ApiError::from(error).status().as_u16();
        assert_eq!(status(DomainError::doing("reading")(sqlx::Error::WorkerCrashed)), 503);
        assert_eq!(status(DomainError::doing("reading")(sqlx::Error::RowNotFound)), 500);
        assert_eq!(status(DomainError::broken_row("offer", "total", 7, "no money")), 500);
    }

    #[test]
    fn a_full_pool_is_busy_and_no_database_that_is_gone() {
        let error = ApiError::from(DomainError::doing("reading")(sqlx::Error::PoolTimedOut));
        assert_eq!((error.status().as_u16(), error.code()), (503, "busy"));
        assert!(!is_gone(&sqlx::Error::PoolTimedOut));
    }

    #[test]
    fn a_broken_row_is_named_with_its_table_column_and_key() {
        let broken = HandlerError::from(DomainError::broken_row("offer", "total", 7, "no money"));
        assert_eq!(broken.to_string(), "row 7 of offer is broken in column total: no money");
    }

    #[test]
    fn a_handler_keeps_the_databases_own_error_for_the_runtime_to_judge() {
        let failed = HandlerError::from(DomainError::doing("holding")(sqlx::Error::PoolClosed));
        assert!(matches!(failed, HandlerError::Database(sqlx::Error::PoolClosed)));
    }
}
