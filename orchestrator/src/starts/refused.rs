//! The reasons for which a start is not accepted, with the codes by which callers and metrics know them.

use contract::{SagaId, limits::PAYLOAD_BYTES_MAX};
use machine::StartError;

use crate::saga_instance::REFUSED_UNSTORABLE;

/// The reason why a start was not accepted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartRefused {
    /// No definition of that name.
    #[error("there is no saga named `{0}`")]
    UnknownDefinition(String),
    /// No definition of that version.
    #[error("saga `{name}` has no version {version}")]
    UnknownVersion { name: String, version: u32 },
    /// A field is over its bounds.
    #[error("{field}: {detail}")]
    Field { field: &'static str, detail: String },
    /// The input is too large.
    #[error("the input has {bytes} bytes, more than {PAYLOAD_BYTES_MAX}")]
    InputTooLarge { bytes: usize },
    /// The journal cannot store it.
    #[error("the start cannot be stored: {0}")]
    Unstorable(String),
    /// The input is not what the definition takes.
    #[error(transparent)]
    Input(StartError),
    /// The key belongs to a start that asked for something else.
    #[error("this idempotency key was used for another request, which started {0}")]
    KeyReused(SagaId),
    /// Too much is under way.
    #[error("{0}")]
    Busy(&'static str),
    /// The broker takes no commands.
    #[error("the broker is blocked: it is short of memory or disk space, and takes no commands")]
    BrokerBlocked,
    /// This process owns no shard.
    #[error("this orchestrator owns no shard yet")]
    NoShard,
    /// This process is about to end.
    #[error("this orchestrator is stopping")]
    Draining,
    /// The journal did not answer: the saga may or may not exist.
    #[error("the journal did not confirm the start of {0}; repeat it with the same idempotency key")]
    OutcomeUnknown(SagaId),
    /// A bug, named in the log. Nothing was started.
    #[error("the saga could not be started")]
    Failed,
}

impl StartRefused {
    /// The word in metrics and problems.
    pub(crate) const fn code(&self) -> &'static str {
        match self {
            Self::UnknownDefinition(_) => "definition_unknown",
            Self::UnknownVersion { .. } => "version_unknown",
            Self::Field { .. } => "field_invalid",
            Self::InputTooLarge { .. } => "input_too_large",
            Self::Unstorable(_) => REFUSED_UNSTORABLE,
            Self::Input(_) => "input_invalid",
            Self::KeyReused(_) => "idempotency_key_reused",
            Self::Busy(_) => "busy",
            Self::BrokerBlocked => "broker_blocked",
            Self::NoShard => "shard_unavailable",
            Self::Draining => "orchestrator_draining",
            Self::OutcomeUnknown(_) => "outcome_unknown",
            Self::Failed => "internal",
        }
    }
}
