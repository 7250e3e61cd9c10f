//! One event on its way through a subscriber: read from its message, and the end of a try to take it in.

use std::sync::Arc;

use contract::{
    envelope::{self, KIND_EVENT},
    event::CloudEvent,
};
use messaging::{Message, NAME_BYTES_MAX};

use super::{
    handler::{RegisteredEvent, Subscriptions},
    outbox::SPEC_VERSION,
};

/// How much of a strange word its dead letter repeats, in characters.
const WORD_CHARS_SHOWN: usize = 64;

/// An event that this domain has subscribed to.
pub(crate) struct ReceivedEvent {
    pub(crate) event: CloudEvent,
    pub(crate) registered: Arc<RegisteredEvent>,
}

/// The end of one try to take an event in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Intake {
    /// It took effect.
    Applied,
    /// It had taken effect before.
    Duplicate,
    /// This domain can never take it.
    Refused(String),
    /// It left no trace, and may be tried again.
    Faulted(String),
}

/// Why a message can never be taken in here: the reason on its dead letter.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UnreadableEvent {
    #[error("the message's kind `{0}` is not one that this queue takes")]
    Kind(String),
    #[error(transparent)]
    Envelope(#[from] envelope::EnvelopeError),
    #[error("CloudEvents version `{0}` is not known here, only {SPEC_VERSION}")]
    SpecVersion(String),
    #[error("the source has {0} bytes; it must have 1 to {NAME_BYTES_MAX}")]
    Source(usize),
    #[error("`{name}` is not an event that `{domain}` has subscribed to; it has to {known}")]
    UnknownEvent { name: String, domain: &'static str, known: String },
    #[error("`{name}` version {theirs} is not known here, only version {ours}")]
    UnknownVersion { name: &'static str, theirs: u16, ours: u16 },
    #[error("the data of `{name}` is not readable: {source}")]
    Data { name: &'static str, source: serde_json::Error },
}

impl ReceivedEvent {
    /// Reads a message, down to the data.
    pub(crate) fn taken(
        message: &Message,
        domain: &'static str,
        subscriptions: &Subscriptions,
    ) -> Result<Self, UnreadableEvent> {
        if message.kind == KIND_EVENT {
            Self::read(&message.body, domain, subscriptions)
        } else {
            Err(UnreadableEvent::Kind(shown(&message.kind)))
        }
    }

    /// Reads a message's body, down to the data.
    pub(crate) fn read(
        body: &[u8],
        domain: &'static str,
        subscriptions: &Subscriptions,
    ) -> Result<Self, UnreadableEvent> {
        let event: CloudEvent = envelope::read(body, "event")?;
        if event.specversion != SPEC_VERSION {
            return Err(UnreadableEvent::SpecVersion(shown(&event.specversion)));
        }
        if event.source.is_empty() || event.source.len() > NAME_BYTES_MAX {
            return Err(UnreadableEvent::Source(event.source.len()));
        }
        let Some(registered) = subscriptions.get(event.kind.as_str()) else {
            return Err(UnreadableEvent::UnknownEvent {
                name: shown(&event.kind),
                domain,
                known: subscriptions.keys().copied().collect::<Vec<_>>().join(", "),
            });
        };
        let name = registered.name;
        if event.dataversion != registered.version {
            return Err(UnreadableEvent::UnknownVersion { name, theirs: event.dataversion, ours: registered.version });
        }
        registered.handler.check(&event.data).map_err(|source| UnreadableEvent::Data { name, source })?;
        Ok(Self { registered: Arc::clone(registered), event })
    }
}

fn shown(word: &str) -> String {
    word.chars().take(WORD_CHARS_SHOWN).collect()
}
