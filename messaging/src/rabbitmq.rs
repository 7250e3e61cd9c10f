//! The RabbitMQ adapter, and the only code that names lapin.
//!
//! ```text
//!  RabbitBroker --publish--> Publisher --flights, a channel each--> Link "publishing"  ==TCP==>
//!       |                                                              (declares the exchanges)
//!       '--subscribe--> Keeper --channel + consumer--> Link "consuming"               ==TCP==>
//!                         |                                (declares the whole topology)
//!                         '--feed--> Subscription::next_batch,  Acker -> Desk -> acks on that channel
//! ```
//!
//! Two connections, so that a broker short of memory, which stops reading from publishers, does not also
//! stop acks. Each has a supervisor of ours that reconnects for ever. lapin's own recovery is not used: it
//! leaves soft errors, in-flight confirms and the end of its attempts to the caller anyway, and rebuilding
//! everything from what we remember is one path for the first start, a lost connection and a new broker.

mod address;
mod consume;
mod convert;
mod declare;
mod link;
mod publish;
mod settle;

use std::{
    fmt,
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use async_trait::async_trait;
use lapin::options::QueueDeclareOptions;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{
    port::{Broker, BrokerError, Outgoing, PublishError, QueueDepth, Subscription},
    rabbitmq::{
        address::Address,
        declare::Remembered,
        link::{Dialer, Link, Live, Readiness, Role},
        publish::Publisher,
    },
    topology::{Namespace, QueueName, Topology},
};

/// How long `declare`, `subscribe` and `depth` wait over a lost connection before they give up. A broker
/// that restarts is back within ten seconds or so; whoever starts with it needs no second attempt.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a closing client waits for the broker to answer before it just leaves.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// What to do when nobody answers the very first connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FirstConnect {
    /// Fail at once with an error that names the address. For tools and tests.
    FailFast,
    /// Log and try for ever. For services, which may start before their broker.
    RetryForever,
}

/// Where the broker is and how this client behaves.
#[derive(Debug, Clone)]
pub struct RabbitOptions {
    address: Address,
    client_name: String,
    namespace: Namespace,
    first_connect: FirstConnect,
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

    /// Chooses what happens when nobody answers the first connection.
    #[must_use]
    pub fn with_first_connect(mut self, first_connect: FirstConnect) -> Self {
        self.first_connect = first_connect;
        self
    }
}

/// A client of RabbitMQ. Dropping it closes it.
pub struct RabbitBroker {
    namespace: Namespace,
    remembered: Arc<Remembered>,
    publishing: Arc<Link>,
    consuming: Arc<Link>,
    publisher: Arc<Publisher>,
    readiness: Arc<Readiness>,
    /// Numbers the channels of subscriptions, so that no two deliveries of this client share a tag.
    epochs: Arc<AtomicU64>,
    closing: CancellationToken,
    _close_on_drop: DropGuard,
}

impl RabbitBroker {
    /// Opens both connections and starts their supervisors. See [`FirstConnect`] for when it returns.
    pub async fn connect(options: RabbitOptions) -> Result<Self, BrokerError> {
        let RabbitOptions { address, client_name, namespace, first_connect } = options;
        let closing = CancellationToken::new();
        let readiness = Arc::new(Readiness::default());
        let remembered = Arc::new(Remembered::default());
        let dial = |role, remembered| Dialer::new(address.clone(), &client_name, role, namespace.clone(), remembered);

        // The publishing connection makes sure of the exchanges only, so it remembers no queue.
        let publishing = dial(Role::Publishing, Arc::new(Remembered::default()));
        let consuming = dial(Role::Consuming, Arc::clone(&remembered));
        let publishing = Link::open(publishing, first_connect, &readiness, &closing).await?;
        let consuming = match Link::open(consuming, first_connect, &readiness, &closing).await {
            Ok(consuming) => consuming,
            Err(error) => {
                closing.cancel();
                return Err(error);
            }
        };
        let publisher = Arc::new(Publisher::new(Arc::clone(&publishing), namespace.clone()));
        Ok(Self {
            namespace,
            remembered,
            publishing,
            consuming,
            publisher,
            readiness,
            epochs: Arc::new(AtomicU64::new(1)),
            _close_on_drop: closing.clone().drop_guard(),
            closing,
        })
    }

    /// Deletes the queues of a topology, with what is in them, and the exchanges of this namespace. For tests
    /// that share a broker, and for taking an installation off one.
    pub async fn remove(&self, topology: &Topology) -> Result<(), BrokerError> {
        self.remembered.forget(topology);
        let attempt = |live: Arc<Live>| async move {
            declare::remove(&live.connection, &self.namespace, topology.queues()).await
        };
        self.consuming.run("removing a topology", OPERATION_TIMEOUT, attempt).await?;
        Ok(())
    }
}

#[async_trait]
impl Broker for RabbitBroker {
    async fn declare(&self, topology: &Topology) -> Result<(), BrokerError> {
        let doing = "declaring the topology";
        let attempt =
            |live: Arc<Live>| async move { declare::apply(&live.connection, &self.namespace, topology.queues()).await };
        loop {
            let (live, ()) = self.consuming.run(doing, OPERATION_TIMEOUT, attempt).await?;
            self.remembered.add(topology);
            // A connection made meanwhile, or just being made, did not know of this topology yet.
            if self.consuming.current().is_some_and(|current| current.epoch == live.epoch) {
                return Ok(());
            }
        }
    }

    async fn publish(&self, batch: Vec<Outgoing>) -> Vec<Result<(), PublishError>> {
        self.publisher.publish(batch).await
    }

    async fn subscribe(&self, queue: &QueueName, prefetch: u16) -> Result<Subscription, BrokerError> {
        let order = consume::Order {
            queue: queue.clone(),
            wire_queue: self.namespace.qualify(queue.as_str()),
            prefetch: prefetch.max(1),
            namespace: self.namespace.clone(),
        };
        let link = Arc::clone(&self.consuming);
        consume::subscribe(
            link,
            order,
            Arc::clone(&self.publisher),
            Arc::clone(&self.epochs),
            self.closing.child_token(),
        )
        .await
    }

    fn connected(&self) -> watch::Receiver<bool> {
        self.readiness.subscribe()
    }

    async fn depth(&self, queue: &QueueName) -> Result<QueueDepth, BrokerError> {
        let name = self.namespace.qualify(queue.as_str());
        let name = name.as_str();
        let attempt = |live: Arc<Live>| async move {
            // On a channel of its own, because asking for a queue that is not there ends the channel.
            let channel = live.connection.create_channel().await?;
            let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
            channel.queue_declare(convert::short(name), options, lapin::types::FieldTable::default()).await
        };
        let asked = self.consuming.run("asking for the depth of a queue", OPERATION_TIMEOUT, attempt).await;
        let (_, queue) = asked.map_err(|error| link::name_missing_queue(error, queue))?;
        Ok(QueueDepth { ready: u64::from(queue.message_count()), consumers: queue.consumer_count() })
    }

    async fn close(&self) {
        self.closing.cancel();
        for link in [&self.consuming, &self.publishing] {
            if tokio::time::timeout(CLOSE_TIMEOUT, link.closed()).await.is_err() {
                tracing::warn!(role = link.role().name(), "the broker did not answer the end of the connection");
            }
        }
    }
}

impl fmt::Debug for RabbitBroker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RabbitBroker").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}
