//! The places where the suite runs: one empty broker per test, and the small words that its tests are written in.

use std::{collections::BTreeSet, future::Future, sync::Arc, time::Duration};

use async_trait::async_trait;
use messaging::{
    Broker, Delivery, Message, Namespace, Outgoing, QueueDepth, QueueName, Subscription, Topology,
    in_process::InProcessBroker,
    rabbitmq::{QueueKind, RabbitBroker, RabbitOptions},
};
use private_servers::testing;

/// Generous, because tests share two cores with builds and a broker.
const DEADLINE: Duration = Duration::from_secs(60);

/// Between two looks at a level.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// An empty broker for one test.
#[async_trait]
pub(crate) trait Place: Send + Sync {
    /// One more client of it.
    async fn client(&self) -> Arc<dyn Broker>;

    /// A client, after declaring this.
    async fn client_with(&self, topology: &Topology) -> Arc<dyn Broker> {
        let client = self.client().await;
        client.declare(topology).await.expect("the topology is declared");
        client
    }
}

pub(crate) struct InProcessPlace {
    broker: InProcessBroker,
}

impl InProcessPlace {
    pub(crate) fn new() -> Self {
        Self { broker: InProcessBroker::new() }
    }
}

#[async_trait]
impl Place for InProcessPlace {
    async fn client(&self) -> Arc<dyn Broker> {
        Arc::new(self.broker.another_client())
    }
}

pub(crate) struct RabbitPlace {
    options: RabbitOptions,
}

impl RabbitPlace {
    pub(crate) fn new(test: &str, kind: QueueKind) -> Self {
        let namespace = Namespace::new(testing::unique(test));
        let options = RabbitOptions::new(&testing::amqp_url(), test).expect("a usable address");
        Self { options: options.with_namespace(namespace).with_queue_kind(kind) }
    }

    /// Leaves nothing behind on the shared broker: removes every queue that some test of the suite declares.
    pub(crate) async fn clear(self) {
        let everything = flights().with_replies(0).with_replies(1).with_events("feed", &[]).with_events("audit", &[]);
        let sweeper = RabbitBroker::connect(self.options).await.expect("a connection");
        sweeper.remove(&everything).await.expect("the namespace is removed");
        sweeper.close().await;
    }
}

#[async_trait]
impl Place for RabbitPlace {
    async fn client(&self) -> Arc<dyn Broker> {
        Arc::new(RabbitBroker::connect(self.options.clone()).await.expect("a connection"))
    }
}

/// The topology of most tests: one command queue, and the dead letters that every topology has.
pub(crate) fn flights() -> Topology {
    Topology::new().with_commands("flights")
}

/// The queue of [`flights`].
pub(crate) fn flights_queue() -> QueueName {
    QueueName::commands("flights")
}

/// A command for [`flights`] whose message id is this number.
pub(crate) fn command(number: usize) -> Outgoing {
    Outgoing::command("flights", Message::new(number.to_string(), "flights.hold", format!("{{\"number\":{number}}}")))
}

/// Publishes commands with these numbers and expects them confirmed.
pub(crate) async fn publish(client: &Arc<dyn Broker>, numbers: std::ops::Range<usize>) {
    let batch: Vec<Outgoing> = numbers.map(command).collect();
    publish_all(client, batch).await;
}

/// Publishes and expects a confirm for every message.
pub(crate) async fn publish_all(client: &Arc<dyn Broker>, batch: Vec<Outgoing>) {
    let sent = batch.len();
    let answers = client.publish(batch).await;
    assert_eq!(answers.len(), sent);
    for answer in answers {
        answer.expect("a confirm");
    }
}

/// Waits for something with the deadline of every test.
pub(crate) async fn within<T>(what: &str, waiting: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, waiting).await.unwrap_or_else(|_| panic!("waited too long for {what}"))
}

/// Takes exactly so many deliveries, in as many batches as it needs.
pub(crate) async fn take(subscription: &mut Subscription, count: usize) -> Vec<Delivery> {
    let mut taken = Vec::new();
    while taken.len() < count {
        let batch = within("a delivery", subscription.next_batch(count - taken.len())).await;
        taken.extend(batch.expect("the subscription goes on"));
    }
    assert_eq!(taken.len(), count, "a batch was larger than asked for");
    taken
}

/// Takes the one delivery that is expected.
pub(crate) async fn take_one(subscription: &mut Subscription) -> Delivery {
    take(subscription, 1).await.remove(0)
}

/// The message ids of deliveries, as numbers, without order.
pub(crate) fn numbers(deliveries: &[Delivery]) -> BTreeSet<usize> {
    deliveries.iter().map(|delivery| delivery.message.message_id.parse().expect("a number")).collect()
}

/// Waits until the queue has so many messages ready.
pub(crate) async fn until_ready(client: &Arc<dyn Broker>, queue: &QueueName, ready: u64) {
    until_depth(client, queue, |depth| depth.ready == ready).await;
}

/// Waits until the depth of the queue is as wished.
pub(crate) async fn until_depth(client: &Arc<dyn Broker>, queue: &QueueName, wished: impl Fn(QueueDepth) -> bool) {
    let looking = async {
        loop {
            let depth = client.depth(queue).await.expect("the queue exists");
            if wished(depth) {
                return;
            }
            tracing::trace!(?depth, %queue, "not yet");
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    };
    within(&format!("the depth of {queue}"), looking).await;
}

/// Waits until a condition holds.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let looking = async {
        while !holds().await {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    };
    within(what, looking).await;
}
