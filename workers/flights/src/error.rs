//! What can break in this domain. Business refusals are no errors: they are outcomes.

use contract::money::MoneyError;
use kit::http::ApiError;
use worker_runtime::HandlerError;

/// A technical failure.
#[derive(Debug, thiserror::Error)]
pub enum FlightsError {
    /// The database failed.
    #[error("the flights database failed while {doing}")]
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

impl FlightsError {
    /// For `map_err`: remembers what was being done.
    pub(crate) fn doing(doing: &'static str) -> impl FnOnce(sqlx::Error) -> Self {
        move |source| Self::Database { doing, source }
    }
}

impl From<FlightsError> for HandlerError {
    fn from(error: FlightsError) -> Self {
        match error {
            // As it is: the runtime tells lost connections and conflicts from the rest.
            FlightsError::Database { source, .. } => Self::Database(source),
            broken @ FlightsError::BrokenRow { .. } => Self::fault(kit::settings::error_chain(&broken)),
        }
    }
}

impl From<FlightsError> for ApiError {
    fn from(error: FlightsError) -> Self {
        let text = kit::settings::error_chain(&error);
        if let FlightsError::Database { source, .. } = &error
            && matches!(source, sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed)
        {
            tracing::warn!(error = text, "the flights database cannot be reached");
            return Self::unavailable("database_unavailable", "the flights database cannot be reached right now", 1);
        }
        tracing::error!(error = text, "a read of the flights domain failed");
        Self::internal()
    }
}
