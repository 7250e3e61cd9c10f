//! The failures that end a lane. Its shard is then owned anew, and its sagas are loaded again.

use contract::SagaId;
use journal::JournalError;

/// A failure after which a lane cannot go on.
#[derive(Debug, thiserror::Error)]
pub(super) enum Lost {
    /// The outcome of an append is unknown, or nothing can be read.
    #[error("the journal failed")]
    Journal(#[source] JournalError),
    /// The session that owned the shard is over.
    #[error("the ownership of the shard is lost")]
    Session,
    /// Another writer is faster again and again: another process serves this shard.
    #[error("saga {0} is written by another process")]
    Contended(SagaId),
    /// The broker is away from this process, and another one waits for the shard.
    #[error("the broker is away, and another process waits for the shard")]
    BrokerAway,
    /// The broker's client was closed.
    #[error("the broker's client was closed")]
    BrokerClosed,
}

impl Lost {
    /// The word in metrics.
    pub(super) const fn reason(&self) -> &'static str {
        match self {
            Self::Journal(_) => "journal",
            Self::Session => "session",
            Self::Contended(_) => "contended",
            Self::BrokerAway => "broker_away",
            Self::BrokerClosed => "broker_closed",
        }
    }
}
