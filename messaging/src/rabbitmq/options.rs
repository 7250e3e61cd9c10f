//! The settings of a client of RabbitMQ: its address, its namespace, its patience.

use std::{fmt, str::FromStr, time::Duration};

use crate::{
    error::BrokerError,
    rabbitmq::address::Address,
    topology::{Durability, Exchange, Namespace},
};

/// How long `declare`, `subscribe` and `depth` wait over a lost connection before they give up. A broker
/// that restarts is back within ten seconds or so; a program that starts with it needs no second attempt.
pub(super) const OPERATION_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a closing client waits for the broker to answer before it just leaves.
pub(super) const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// The reaction to a very first connection that no broker answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FirstConnect {
    /// Fail at once with an error that names the address. For tools and tests.
    FailFast,
    /// Log and try for ever. For services, which may start before their broker.
    RetryForever,
}

/// How an installation keeps its commands and replies. Events and dead letters are always on disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum QueueKind {
    /// Durable classic queues with transient messages, which a broker that ends loses: for a broker of one node.
    #[default]
    Classic,
    /// Quorum queues with persistent messages: for a cluster, which goes on when one of its nodes ends.
    Quorum,
}

impl QueueKind {
    /// The name in settings, and in RabbitMQ's arguments of a queue.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Classic => "classic",
            Self::Quorum => "quorum",
        }
    }

    /// The kind of a queue of this durability.
    pub(super) const fn of_queue(self, durability: Durability) -> Self {
        match durability {
            Durability::Durable => Self::Quorum,
            Durability::Recoverable => self,
            Durability::Exclusive => Self::Classic,
        }
    }

    /// Whether messages to this exchange are written to disk.
    pub(super) const fn is_persistent(self, exchange: Exchange) -> bool {
        match self {
            Self::Quorum => true,
            Self::Classic => exchange.is_durable(),
        }
    }
}

impl fmt::Display for QueueKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that names no kind of queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a kind of queue is `classic` or `quorum`")]
pub struct QueueKindUnknown;

impl FromStr for QueueKind {
    type Err = QueueKindUnknown;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Classic, Self::Quorum].into_iter().find(|kind| kind.as_str() == text).ok_or(QueueKindUnknown)
    }
}

/// An installation on a broker: the prefix of its names, and the way in which it keeps commands and replies.
#[derive(Debug, Clone, Default)]
pub(super) struct Installation {
    pub(super) namespace: Namespace,
    pub(super) queue_kind: QueueKind,
}

/// The address of the broker, and the ways of this client.
#[derive(Debug, Clone)]
pub struct RabbitOptions {
    pub(super) address: Address,
    pub(super) client_name: String,
    pub(super) installation: Installation,
    pub(super) first_connect: FirstConnect,
}

impl RabbitOptions {
    /// Reads an `amqp://` or `amqps://` URI. `client_name` is shown in RabbitMQ's list of connections.
    pub fn new(uri: &str, client_name: impl Into<String>) -> Result<Self, BrokerError> {
        Ok(Self {
            address: Address::parse(uri)?,
            client_name: client_name.into(),
            installation: Installation::default(),
            first_connect: FirstConnect::FailFast,
        })
    }

    /// Puts a prefix in front of every name on the wire.
    #[must_use]
    pub fn with_namespace(mut self, namespace: Namespace) -> Self {
        self.installation.namespace = namespace;
        self
    }

    /// Chooses how commands and replies are kept; the same for all programs of an installation.
    #[must_use]
    pub fn with_queue_kind(mut self, queue_kind: QueueKind) -> Self {
        self.installation.queue_kind = queue_kind;
        self
    }

    /// Chooses the reaction to a first connection that no broker answers.
    #[must_use]
    pub fn with_first_connect(mut self, first_connect: FirstConnect) -> Self {
        self.first_connect = first_connect;
        self
    }
}
