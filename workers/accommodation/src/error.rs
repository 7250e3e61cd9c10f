//! What can break in this domain. Business refusals are no errors: they are outcomes.

use contract::money::MoneyError;
use kit::http::ApiError;
use worker_runtime::HandlerError;

/// A technical failure.
#[derive(Debug, thiserror::Error)]
pub enum AccommodationError {
    /// The database failed.
    #[error("the accommodation database failed while {doing}")]
    Database {
        /// What was being done.
        doing: &'static str,
        /// What it said.
        #[source]
        source: sqlx::Error,
    },
    /// A row holds what it should not.
    #[error("the row {row} of {table} is broken")]
    BrokenRow {
        /// The table.
        table: &'static str,
        /// Its key.
        row: String,
        /// What is wrong with its amount.
        #[source]
        source: MoneyError,
    },
}

impl AccommodationError {
    /// For `map_err`: remembers what was being done.
    pub(crate) fn doing(doing: &'static str) -> impl FnOnce(sqlx::Error) -> Self {
        move |source| Self::Database { doing, source }
    }
}

impl From<AccommodationError> for HandlerError {
    fn from(error: AccommodationError) -> Self {
        match error {
            // As it is: the runtime tells lost connections and conflicts from the rest.
            AccommodationError::Database { source, .. } => Self::Database(source),
            broken @ AccommodationError::BrokenRow { .. } => Self::fault(kit::settings::error_chain(&broken)),
        }
    }
}

impl From<AccommodationError> for ApiError {
    fn from(error: AccommodationError) -> Self {
        let text = kit::settings::error_chain(&error);
        if let AccommodationError::Database { source, .. } = &error
            && matches!(source, sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed)
        {
            tracing::warn!(error = text, "the accommodation database cannot be reached");
            return Self::unavailable(
                "database_unavailable",
                "the accommodation database cannot be reached right now",
                1,
            );
        }
        tracing::error!(error = text, "a read of the accommodation domain failed");
        Self::internal()
    }
}
