//! The settings of a client of RabbitMQ: its address, its namespace, its patience.

use std::time::Duration;

use crate::{error::BrokerError, rabbitmq::address::Address, topology::Namespace};

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

/// The address of the broker, and the ways of this client.
#[derive(Debug, Clone)]
pub struct RabbitOptions {
    pub(super) address: Address,
    pub(super) client_name: String,
    pub(super) namespace: Namespace,
    pub(super) first_connect: FirstConnect,
}

impl RabbitOptions {
    /// Reads an `amqp://` or `amqps://` URI. `client_name` is shown in RabbitMQ's list of connections.
    pub fn new(uri: &str, client_name: impl Into<String>) -> Result<Self, BrokerError> {
        Ok(Self {
            address: Address::parse(uri)?,
            client_name: client_name.into(),
            namespace: Namespace::none(),
            first_connect: FirstConnect::FailFast,
        })
    }

    /// Puts a prefix in front of every name on the wire.
    #[must_use]
    pub fn with_namespace(mut self, namespace: Namespace) -> Self {
        self.namespace = namespace;
        self
    }

    /// Chooses the reaction to a first connection that no broker answers.
    #[must_use]
    pub fn with_first_connect(mut self, first_connect: FirstConnect) -> Self {
        self.first_connect = first_connect;
        self
    }
}
