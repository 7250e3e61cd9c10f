//! The RabbitMQ adapter, and the only code that names lapin.
//!
//! ```text
//!  RabbitBroker --publish--> Publisher --pipelines, a channel each--> Link "publishing"  ==TCP==>
//!       |                                                                (declares the exchanges)
//!       '--subscribe--> ConsumerSupervisor --channel + consumer--> Link "consuming"      ==TCP==>
//!                               |                                    (declares the whole topology)
//!                               '--consumer--> Subscription::next_batch
//!                                              Acker -> AckTracker -> acks on that channel
//! ```
//!
//! Two connections, so that a broker short of memory, which stops reading from publishers, does not also
//! stop acks. Each has a supervisor of ours that reconnects for ever. lapin's own recovery is not used: it
//! leaves soft errors, in-flight confirms and the end of its attempts to the caller anyway, and rebuilding
//! everything from what we remember is one path for the first start, a lost connection and a new broker.

mod acks;
mod address;
mod consume;
mod convert;
mod declare;
mod fall_back;
mod link;
mod lost_queues;
mod options;
mod parcel;
mod publish;
mod tags;

use std::{
    fmt,
    sync::{Arc, atomic::AtomicU64},
};

use async_trait::async_trait;
use lapin::options::QueueDeclareOptions;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{
    broker::{Broker, BrokerState, QueueDepth},
    error::{BrokerError, PublishError},
    message::Outgoing,
    rabbitmq::{
        consume::ConsumerSpec,
        declare::Remembered,
        link::{Dialer, Link, Live, Readiness, Role},
        lost_queues::LostQueues,
        options::{CLOSE_TIMEOUT, Installation, OPERATION_TIMEOUT},
        publish::Publisher,
    },
    subscription::Subscription,
    topology::{QueueName, Topology},
};

pub use options::{FirstConnect, QueueKind, QueueKindUnknown, RabbitOptions};

/// A client of RabbitMQ. Dropping it closes it.
pub struct RabbitBroker {
    installation: Installation,
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
        let RabbitOptions { address, client_name, installation, first_connect } = options;
        let closing = CancellationToken::new();
        let readiness = Arc::new(Readiness::default());
        let remembered = Arc::new(Remembered::default());
        let dial =
            |role, remembered| Dialer::new(address.clone(), &client_name, role, installation.clone(), remembered);

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
        let lost_queues = LostQueues::new(Arc::clone(&publishing), installation.clone(), Arc::clone(&remembered));
        let publisher = Arc::new(Publisher::new(Arc::clone(&publishing), installation.clone(), lost_queues));
        Ok(Self {
            installation,
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
            declare::remove(&live.connection, &self.installation.namespace, topology.queues()).await
        };
        self.consuming.run("removing a topology", OPERATION_TIMEOUT, attempt).await?;
        Ok(())
    }
}

#[async_trait]
impl Broker for RabbitBroker {
    async fn declare(&self, topology: &Topology) -> Result<(), BrokerError> {
        let doing = "declaring the topology";
        let attempt = |live: Arc<Live>| async move {
            declare::apply(&live.connection, &self.installation, topology.queues()).await
        };
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
        let spec = ConsumerSpec {
            queue: queue.clone(),
            prefetch: prefetch.max(1),
            installation: self.installation.clone(),
            remembered: Arc::clone(&self.remembered),
        };
        let link = Arc::clone(&self.consuming);
        consume::subscribe(
            link,
            spec,
            Arc::clone(&self.publisher),
            Arc::clone(&self.epochs),
            self.closing.child_token(),
        )
        .await
    }

    fn state(&self) -> watch::Receiver<BrokerState> {
        self.readiness.subscribe()
    }

    async fn depth(&self, queue: &QueueName) -> Result<QueueDepth, BrokerError> {
        let name = self.installation.namespace.qualify(queue.as_str());
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
        f.debug_struct("RabbitBroker").field("installation", &self.installation).finish_non_exhaustive()
    }
}
