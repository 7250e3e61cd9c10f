//! Why a transaction did not commit, and what that means for another try.

use std::{future::Future, panic::AssertUnwindSafe, time::Duration};

use backon::BackoffBuilder;
use futures::FutureExt;

use crate::{handler_error::HandlerError, limits};

/// Why a transaction did not commit.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The database is gone, and perhaps it committed.
    Gone(sqlx::Error),
    /// Another transaction was faster; rolled back.
    Conflict(String),
    /// A handler failed; rolled back.
    Handler(HandlerError),
}

impl Failure {
    /// A commit that did not answer may have happened.
    pub(crate) fn of_commit(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::Database(_) => error.into(),
            error => Self::Gone(error),
        }
    }

    /// Whether the connection that it came over had better not be used again.
    pub(crate) const fn leaves_connection_in_doubt(&self) -> bool {
        match self {
            Self::Gone(_) => true,
            Self::Conflict(_) => false,
            // What the server reported by an error of its own is behind the connection; everything else may not be.
            Self::Handler(HandlerError::Database(error)) => !matches!(error, sqlx::Error::Database(_)),
            Self::Handler(HandlerError::Refused(_) | HandlerError::Fault { .. } | HandlerError::Unclear { .. }) => {
                false
            }
        }
    }

    /// The failure in words, for logs.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Gone(error) => error.to_string(),
            Self::Conflict(text) => text.clone(),
            Self::Handler(error) => error.to_string(),
        }
    }
}

impl From<HandlerError> for Failure {
    fn from(error: HandlerError) -> Self {
        match error {
            HandlerError::Database(error) => error.into(),
            error => Self::Handler(error),
        }
    }
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        match kind(&error) {
            DatabaseErrorKind::Gone => Self::Gone(error),
            DatabaseErrorKind::Conflict => Self::Conflict(error.to_string()),
            DatabaseErrorKind::Other => Self::Handler(HandlerError::Database(error)),
        }
    }
}

/// Whether an error says that there is no connection to the database.
pub(crate) fn is_gone(error: &sqlx::Error) -> bool {
    kind(error) == DatabaseErrorKind::Gone
}

/// The meaning of a database's error for another try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DatabaseErrorKind {
    /// No connection, or one that is going: it is unknown what was committed.
    Gone,
    /// A transaction got in the way of another one: the same again may pass, or find the other one's result.
    Conflict,
    /// The statement itself.
    Other,
}

/// PostgreSQL's code for a message that breaks the protocol.
const PROTOCOL_VIOLATION: &str = "08P01";

fn kind(error: &sqlx::Error) -> DatabaseErrorKind {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolClosed
        | sqlx::Error::BeginFailed
        | sqlx::Error::WorkerCrashed => DatabaseErrorKind::Gone,
        sqlx::Error::Database(error) => match error.code().as_deref().unwrap_or_default() {
            // Not understood by the server, which is there.
            PROTOCOL_VIOLATION => DatabaseErrorKind::Other,
            // Connection exceptions; shutdown, crash or start of the server.
            code if code.starts_with("08") || code.starts_with("57P") => DatabaseErrorKind::Gone,
            // Too many clients; a server that became read-only; frozen for too long within a transaction.
            "53300" | "25006" | "25P03" => DatabaseErrorKind::Gone,
            // Serialization, deadlock, unique, exclusion.
            "40001" | "40P01" | "23505" | "23P01" => DatabaseErrorKind::Conflict,
            _ => DatabaseErrorKind::Other,
        },
        _ => DatabaseErrorKind::Other,
    }
}

/// Awaits a handler, whose panic is a fault: its transaction rolls back, so nothing happened.
pub(crate) async fn guarded<T>(run: impl Future<Output = Result<T, HandlerError>>) -> Result<T, HandlerError> {
    match AssertUnwindSafe(run).catch_unwind().await {
        Ok(result) => result,
        Err(_) => Err(HandlerError::fault("the handler panicked; the worker's log has the place")),
    }
}

/// Pauses between tries to reach something that is gone, without end.
pub(crate) fn pauses() -> impl Iterator<Item = Duration> + Send {
    backon::ExponentialBuilder::default()
        .with_min_delay(limits::RECONNECT_PAUSE_MIN)
        .with_max_delay(limits::RECONNECT_PAUSE_MAX)
        .with_jitter()
        .without_max_times()
        .build()
}
