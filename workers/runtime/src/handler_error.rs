//! The failures of a handler, which are no answer of its business.

use contract::{Refusal, command::FAULT_DEPENDENCY_FAILED};

/// Why a handler gave no answer of its own.
#[derive(Debug, thiserror::Error)]
pub enum HandlerError {
    /// The database failed. A lost connection is waited for and the command run again; anything else is answered
    /// as a fault.
    #[error("the database failed: {0}")]
    Database(#[from] sqlx::Error),
    /// A business no that was found out after something was written, or because a constraint was violated: the
    /// handler's writes are undone, then the refusal is stored and answered.
    ///
    /// It costs the batch: every command in it starts over alone. Where a no is common, find it out with one
    /// conditional statement that writes nothing, and return `Ok(Outcome::refused(..))`.
    #[error("refused ({}): {}", .0.code, .0.message)]
    Refused(Refusal),
    /// Something else failed, and surely had no effect: answered as a fault, for the orchestrator to retry.
    #[error("{message}")]
    Fault {
        /// A stable word.
        code: &'static str,
        /// The failure in words, for people.
        message: String,
    },
    /// Only from [`crate::OutsideHandler::call`]: it is unknown whether it took effect. It is called again, with
    /// `resumed`, a bounded number of times; then it stays unanswered, which the orchestrator reads as in doubt.
    #[error("the outcome is unclear: {message}")]
    Unclear {
        /// The failure in words, for people.
        message: String,
    },
}

impl HandlerError {
    /// A business no whose writes must be undone; see [`HandlerError::Refused`].
    pub fn refused(code: &str, message: impl Into<String>) -> Self {
        Self::Refused(Refusal { code: code.to_owned(), message: message.into() })
    }

    /// A technical failure that surely had no effect.
    pub fn fault(message: impl Into<String>) -> Self {
        Self::Fault { code: FAULT_DEPENDENCY_FAILED, message: message.into() }
    }

    /// An outside call whose effect is unknown.
    pub fn unclear(message: impl Into<String>) -> Self {
        Self::Unclear { message: message.into() }
    }
}
