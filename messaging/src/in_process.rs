//! The in-process adapter: a broker in memory, with the semantics that RabbitMQ has for us.
//!
//! It is a real adapter, not a mock: direct, topic and fanout routing, mandatory publishes, confirms and
//! refusals, prefetch, acks, redelivery with a count and a limit, dead letters with a reason, exclusive
//! queues. The conformance suite holds it to what RabbitMQ does. The whole broker is one plain value
//! (`state::State`) behind a lock, without tasks, clocks or randomness of its own, so that a simulation
//! decides everything. It has no disk: it ends with the process, and the journal brings back what was
//! outstanding.

mod state;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use tokio::sync::{Notify, watch};

use crate::{
    broker::{Broker, BrokerState, QueueDepth},
    error::{BrokerError, PublishError},
    in_process::state::{ClientId, ConsumerId, State, Taken},
    message::{Delivery, Outgoing},
    metrics,
    subscription::{AckDriver, Subscription, SubscriptionDriver},
    topology::{QueueName, Topology},
};

/// A client of an in-process broker. Clones are the same client; the last one to go closes it.
#[derive(Clone)]
pub struct InProcessBroker {
    client: Arc<Client>,
}

/// The part of the broker that belongs to one client and ends with it.
struct Client {
    hub: Arc<Hub>,
    id: ClientId,
    /// Connected until it is closed: memory that runs out ends the process, and never blocks.
    state: watch::Sender<BrokerState>,
}

/// The broker that all its clients share.
#[derive(Default)]
struct Hub {
    state: Mutex<State>,
}

impl Hub {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for InProcessBroker {
    fn default() -> Self {
        Self::new()
    }
}

impl InProcessBroker {
    /// A new, empty broker and its first client.
    #[must_use]
    pub fn new() -> Self {
        Self::join(Arc::new(Hub::default()))
    }

    /// Another client of the same broker, with its own life.
    #[must_use]
    pub fn another_client(&self) -> Self {
        Self::join(Arc::clone(&self.client.hub))
    }

    fn join(hub: Arc<Hub>) -> Self {
        let id = hub.lock().new_client();
        Self { client: Arc::new(Client { hub, id, state: watch::Sender::new(BrokerState::Connected) }) }
    }

    fn is_open(&self) -> bool {
        *self.client.state.borrow() == BrokerState::Connected
    }

    fn publish_one(&self, outgoing: Outgoing) -> Result<(), PublishError> {
        if !self.is_open() {
            return Err(PublishError::Unavailable { detail: "the client is closed".to_owned() });
        }
        outgoing.check_size()?;
        self.client.hub.lock().publish(outgoing)
    }
}

impl Client {
    fn close(&self) {
        if self.state.send_replace(BrokerState::Away) != BrokerState::Away {
            self.hub.lock().close_client(self.id);
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.close();
    }
}

#[async_trait]
impl Broker for InProcessBroker {
    async fn declare(&self, topology: &Topology) -> Result<(), BrokerError> {
        if !self.is_open() {
            return Err(BrokerError::Closed);
        }
        self.client.hub.lock().declare(self.client.id, topology)
    }

    async fn publish(&self, batch: Vec<Outgoing>) -> Vec<Result<(), PublishError>> {
        // Nothing below waits, so this is where a busy publisher lets others run.
        tokio::task::consume_budget().await;
        let mut answers = Vec::with_capacity(batch.len());
        for outgoing in batch {
            let exchange = outgoing.exchange;
            let answer = self.publish_one(outgoing);
            metrics::published(exchange, &answer);
            answers.push(answer);
        }
        answers
    }

    async fn subscribe(&self, queue: &QueueName, prefetch: u16) -> Result<Subscription, BrokerError> {
        if !self.is_open() {
            return Err(BrokerError::Closed);
        }
        let wake = Arc::new(Notify::new());
        let id = self.client.hub.lock().subscribe(self.client.id, queue, prefetch.max(1), Arc::clone(&wake))?;
        let handle = Arc::new(ConsumerHandle { hub: Arc::clone(&self.client.hub), id, queue: queue.clone() });
        let driver = InProcessSubscription { consumer: Arc::clone(&handle), wake };
        Ok(Subscription::new(Box::new(driver), handle))
    }

    fn state(&self) -> watch::Receiver<BrokerState> {
        self.client.state.subscribe()
    }

    async fn depth(&self, queue: &QueueName) -> Result<QueueDepth, BrokerError> {
        self.client.hub.lock().depth(queue)
    }

    async fn close(&self) {
        self.client.close();
    }
}

impl fmt::Debug for InProcessBroker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InProcessBroker").field("client", &self.client.id).finish_non_exhaustive()
    }
}

/// One consumer of the broker, shared by its subscription and its acker.
struct ConsumerHandle {
    hub: Arc<Hub>,
    id: ConsumerId,
    queue: QueueName,
}

struct InProcessSubscription {
    consumer: Arc<ConsumerHandle>,
    wake: Arc<Notify>,
}

#[async_trait]
impl SubscriptionDriver for InProcessSubscription {
    async fn next_batch(&mut self, max: usize) -> Option<Vec<Delivery>> {
        tokio::task::consume_budget().await;
        loop {
            let taken = self.consumer.hub.lock().take(self.consumer.id, max);
            match taken {
                Taken::Batch(batch) => {
                    let redelivered = batch.iter().filter(|delivery| delivery.redelivered).count();
                    metrics::delivered(&self.consumer.queue, batch.len(), redelivered);
                    return Some(batch);
                }
                Taken::Nothing => self.wake.notified().await,
                Taken::Ended => return None,
            }
        }
    }

    async fn cancel(self: Box<Self>) {
        // Dropping it is all there is to do.
    }
}

impl Drop for InProcessSubscription {
    fn drop(&mut self) {
        self.consumer.hub.lock().unsubscribe(self.consumer.id);
    }
}

#[async_trait]
impl AckDriver for ConsumerHandle {
    async fn ack(&self, deliveries: &[Delivery]) {
        let acknowledged = self.hub.lock().ack(self.id, deliveries);
        if acknowledged > 0 {
            metrics::acknowledged(&self.queue, acknowledged, 1);
        }
    }

    async fn requeue(&self, deliveries: &[Delivery]) {
        let requeued = self.hub.lock().requeue(self.id, deliveries);
        if requeued > 0 {
            metrics::requeued(&self.queue, requeued);
        }
    }

    async fn dead_letter(&self, delivery: &Delivery, reason: &str) {
        if self.hub.lock().dead_letter(self.id, delivery, reason) {
            metrics::dead_lettered(&self.queue);
            let message_id = &delivery.message.message_id;
            tracing::warn!(queue = %self.queue, message_id, reason, "moved a message to the dead letters");
        }
    }
}
