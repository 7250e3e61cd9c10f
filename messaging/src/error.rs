//! How the broker can fail: for one message, and for a whole call.

use crate::topology::{Exchange, QueueName};

/// Why a message was not, or not surely, taken by the broker.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// No queue is bound for it. It is nowhere.
    #[error("no queue takes messages published to `{exchange}` under `{routing_key}`")]
    Unroutable {
        /// To which exchange it was published.
        exchange: Exchange,
        /// The routing key of the message.
        routing_key: String,
    },
    /// The broker refused it: a queue it was routed to is full or cannot write. Send it again later.
    #[error("the broker refused the message for `{exchange}` under `{routing_key}`: a queue is full or failing")]
    NotConfirmed {
        /// To which exchange it was published.
        exchange: Exchange,
        /// The routing key of the message.
        routing_key: String,
    },
    /// There is no connection, or the confirm never came: the message may or may not have arrived.
    /// Send it again when [`crate::Broker::state`] says so; receivers know duplicates.
    #[error("the broker is unavailable: {detail}")]
    Unavailable {
        /// The failure that was met, or the time limit that passed.
        detail: String,
    },
    /// It is over a limit of the port, and will never be taken.
    #[error("the message's {part} has {bytes} bytes; at most {bytes_max} are taken")]
    TooLarge {
        /// The part that is too long, such as `body`.
        part: &'static str,
        /// How long that part is.
        bytes: usize,
        /// How long it may be.
        bytes_max: usize,
    },
}

impl PublishError {
    /// Whether sending the same message again can help.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::NotConfirmed { .. } | Self::Unavailable { .. } => true,
            Self::Unroutable { .. } | Self::TooLarge { .. } => false,
        }
    }
}

/// Why the broker could not be reached, declared on, or subscribed to.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// The address cannot be read. The address itself may hold a password and is not repeated.
    #[error("the broker's address is not a usable amqp:// or amqps:// URI: {detail}")]
    BadAddress {
        /// The mistake in the address.
        detail: String,
    },
    /// Nothing answers at the address, or what answers does not let us in.
    #[error(
        "cannot connect to RabbitMQ at {address}: start everything with `cargo xtask run`, or start a RabbitMQ and \
         set AMQP_URL to its address"
    )]
    Connect {
        /// Host, port and virtual host, without user and password.
        address: String,
        /// The failure of the last attempt.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// There was no usable connection for as long as this call waits.
    #[error("no connection to the broker while {doing}: {detail}")]
    Unavailable {
        /// The operation that failed.
        doing: String,
        /// The failure of the last attempt.
        detail: String,
    },
    /// The queue does not exist: no client has declared it.
    #[error("there is no queue `{queue}`: declare its topology first")]
    NoSuchQueue {
        /// The logical name of the queue.
        queue: QueueName,
    },
    /// The broker answered with an error, for example because a queue belongs to another client.
    #[error("the broker refused while {doing}")]
    Refused {
        /// The operation that failed.
        doing: String,
        /// The broker's own words.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The client was closed.
    #[error("this client of the broker is closed")]
    Closed,
}
