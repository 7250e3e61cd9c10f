//! Subscriptions that outlive their channels.
//!
//! A *supervisor* task owns the channel of a subscription: it opens it, subscribes, passes the consumer to the
//! subscription, and starts over when that consumer ends, be it by a lost connection, a channel error or a
//! deleted queue. The subscription itself only drains consumers; no task stands between lapin's buffer and a
//! batch, and dropping a half-awaited `next_batch` cannot interrupt a rebuild.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use futures::{FutureExt, StreamExt};
use lapin::{
    Channel, Consumer,
    options::{BasicConsumeOptions, BasicQosOptions},
    types::FieldTable,
};
use tokio::{
    sync::{Notify, mpsc},
    task::{JoinHandle, JoinSet},
    time::{sleep, timeout},
};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{
    error::BrokerError,
    message::Delivery,
    metrics,
    pauses::pauses,
    rabbitmq::{
        acks::AckTracker,
        convert,
        declare::{self, QUEUE_IS_FORGOTTEN_AFTER, Remembered},
        fall_back,
        link::{self, Link, Live},
        options::{CLOSE_TIMEOUT, Installation, OPERATION_TIMEOUT},
        parcel,
        publish::Publisher,
    },
    subscription::{Subscription, SubscriptionDriver},
    topology::{DELIVERY_LIMIT, Namespace, QueueName},
};

/// How long a queue may take to answer a subscription. It is milliseconds, unless its leader is being elected.
const SUBSCRIBE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the end of a subscription waits for messages that are being replaced: their copies' confirms, which take
/// milliseconds from a broker that is there.
const REPLACED_WITHIN: Duration = Duration::from_secs(2);

/// The queue that a consumer takes from, and how.
pub(super) struct ConsumerSpec {
    pub(super) queue: QueueName,
    pub(super) prefetch: u16,
    pub(super) installation: Installation,
    pub(super) remembered: Arc<Remembered>,
}

/// A consumer on one channel, for as long as that lasts.
struct ChannelConsumer {
    epoch: u64,
    consumer: Consumer,
}

/// Subscribes, waiting over a lost connection, and starts the supervisor.
pub(super) async fn subscribe(
    link: Arc<Link>,
    spec: ConsumerSpec,
    publisher: Arc<Publisher>,
    epochs: Arc<AtomicU64>,
    stop: CancellationToken,
) -> Result<Subscription, BrokerError> {
    let doing = format!("subscribing to `{}`", spec.queue);
    let asked = &spec;
    let attempt = |live: Arc<Live>| async move { consume_declared(&live, asked).await };
    let subscribed = link.run(&doing, OPERATION_TIMEOUT, attempt).await;
    let (_, (channel, consumer)) = subscribed.map_err(|error| link::name_missing_queue(error, &spec.queue))?;

    let acks = Arc::new(AckTracker::new(spec.queue.clone(), publisher));
    // One consumer at a time: the supervisor makes the next only after the last has ended.
    let (consumers, next_consumers) = mpsc::channel(1);
    let ended = Arc::new(Notify::new());
    let (queue, namespace) = (spec.queue.clone(), spec.installation.namespace.clone());
    // That of another client's declaration is not known here; the programs declare what they consume.
    let delivery_limit = spec.remembered.find(&queue).map_or(DELIVERY_LIMIT, |declared| declared.delivery_limit);
    let supervisor = ConsumerSupervisor {
        link,
        spec,
        acks: Arc::clone(&acks),
        epochs,
        consumers,
        ended: Arc::clone(&ended),
        stop: stop.clone(),
    };
    let driver = RabbitSubscription {
        queue,
        namespace,
        delivery_limit,
        acks: Arc::clone(&acks),
        replacing: JoinSet::new(),
        ready: VecDeque::new(),
        current: None,
        next_consumers,
        ended,
        supervisor: tokio::spawn(supervisor.run(channel, consumer)),
        _stop_on_drop: stop.clone().drop_guard(),
        stop,
    };
    Ok(Subscription::new(Box::new(driver), acks))
}

/// Starts a consumer. A queue that is gone, because an operator deleted it, is declared again first.
async fn consume_declared(live: &Live, spec: &ConsumerSpec) -> lapin::Result<(Channel, Consumer)> {
    let refused = match consume(live, spec).await {
        Err(error) if declare::has_code(&error, declare::NOT_FOUND) => error,
        consumed => return consumed,
    };
    let Some(declaration) = spec.remembered.find(&spec.queue) else { return Err(refused) };
    tracing::warn!(queue = %spec.queue, "the queue is gone, declaring it again");
    sleep(QUEUE_IS_FORGOTTEN_AFTER).await;
    declare::apply(&live.connection, &spec.installation, &[declaration]).await?;
    consume(live, spec).await
}

/// Opens a channel with the prefetch and starts a consumer on it.
async fn consume(live: &Live, spec: &ConsumerSpec) -> lapin::Result<(Channel, Consumer)> {
    let channel = live.connection.create_channel().await?;
    channel.basic_qos(spec.prefetch, BasicQosOptions::default()).await?;
    let (queue, any_tag) = (convert::short(&spec.installation.namespace.qualify(spec.queue.as_str())), "".into());
    let consumer = channel.basic_consume(queue, any_tag, BasicConsumeOptions::default(), FieldTable::default()).await?;
    Ok((channel, consumer))
}

/// Gives a subscription one consumer after the other.
struct ConsumerSupervisor {
    link: Arc<Link>,
    spec: ConsumerSpec,
    acks: Arc<AckTracker>,
    epochs: Arc<AtomicU64>,
    consumers: mpsc::Sender<ChannelConsumer>,
    ended: Arc<Notify>,
    stop: CancellationToken,
}

impl ConsumerSupervisor {
    async fn run(self, channel: Channel, consumer: Consumer) {
        let stop = self.stop.clone();
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.consume_for_ever(channel, consumer) => {}
        }
        // Closing the channel is what makes the broker take back all that is unacknowledged.
        if let Some(channel) = self.acks.shut()
            && let Ok(Err(error)) = timeout(CLOSE_TIMEOUT, channel.close(200, "cancelled".into())).await
        {
            tracing::debug!(queue = %self.spec.queue, %error, "the channel was gone before it was closed");
        }
    }

    async fn consume_for_ever(&self, mut channel: Channel, mut consumer: Consumer) {
        loop {
            // Relaxed: only the uniqueness of the number matters.
            let epoch = self.epochs.fetch_add(1, Ordering::Relaxed);
            self.acks.reopen(epoch, channel);
            if self.consumers.send(ChannelConsumer { epoch, consumer }).await.is_err() {
                return;
            }
            self.ended.notified().await;
            let Some(next) = self.subscribe_again().await else {
                return;
            };
            (channel, consumer) = next;
            tracing::info!(queue = %self.spec.queue, "subscribed again");
        }
    }

    async fn subscribe_again(&self) -> Option<(Channel, Consumer)> {
        let mut pauses = pauses();
        loop {
            let live = self.link.wait().await?;
            // A quorum queue without a leader never answers; a later attempt, on a new channel, may be luckier.
            match timeout(SUBSCRIBE_TIMEOUT, consume_declared(&live, &self.spec)).await {
                Ok(Ok(subscribed)) => return Some(subscribed),
                Ok(Err(error)) => {
                    tracing::warn!(queue = %self.spec.queue, %error, "could not subscribe again yet");
                }
                Err(_) => tracing::error!(queue = %self.spec.queue, "the queue does not answer, subscribing again"),
            }
            sleep(pauses.next()?).await;
        }
    }
}

/// Drains one consumer after the other.
struct RabbitSubscription {
    queue: QueueName,
    namespace: Namespace,
    delivery_limit: u32,
    acks: Arc<AckTracker>,
    /// Deliveries that are being replaced; each task ends with those that have to be handed out after all.
    replacing: JoinSet<Vec<Delivery>>,
    /// Taken from the consumer and not handed out yet: the rest of a parcel.
    ready: VecDeque<Delivery>,
    current: Option<ChannelConsumer>,
    next_consumers: mpsc::Receiver<ChannelConsumer>,
    ended: Arc<Notify>,
    supervisor: JoinHandle<()>,
    stop: CancellationToken,
    _stop_on_drop: DropGuard,
}

impl RabbitSubscription {
    /// Takes the deliveries that lie in lapin's buffer, without waiting, until enough are ready.
    fn take_arrived(&mut self, first: lapin::message::Delivery, max: usize) {
        let mut replaced = Vec::new();
        let mut next = Some(first);
        while let (Some(arrived), Some(ChannelConsumer { epoch, consumer })) = (next.take(), self.current.as_mut()) {
            let arrived = convert::arrived(arrived, &self.queue, &self.namespace, *epoch);
            if fall_back::is_due(&arrived) {
                self.acks.hand_out(std::slice::from_ref(&arrived.delivery));
                replaced.push(arrived.delivery);
            } else {
                let opened = parcel::opened(arrived.delivery);
                self.acks.hand_out(&opened);
                self.ready.extend(opened);
            }
            if self.ready.len() + replaced.len() < max {
                match consumer.next().now_or_never() {
                    None => {}
                    Some(Some(Ok(arrived))) => next = Some(arrived),
                    Some(end) => self.end_consumer(end.and_then(Result::err)),
                }
            }
        }
        if !replaced.is_empty() {
            self.replacing.spawn(fall_back::fall_back(Arc::clone(&self.acks), replaced, self.delivery_limit));
        }
    }

    /// Makes deliveries ready that could not be replaced.
    fn keep(&mut self, kept: Vec<Delivery>) {
        for delivery in kept {
            let tag = delivery.tag;
            let opened = parcel::opened(delivery);
            if self.acks.reopen_as(tag, &opened) {
                self.ready.extend(opened);
            }
        }
    }

    fn end_consumer(&mut self, error: Option<lapin::Error>) {
        if !self.stop.is_cancelled() {
            let error = error.map_or_else(|| "cancelled by the broker".to_owned(), |error| error.to_string());
            tracing::warn!(queue = %self.queue, error, "the subscription was interrupted");
        }
        self.current = None;
        self.ended.notify_one();
    }
}

#[async_trait]
impl SubscriptionDriver for RabbitSubscription {
    async fn next_batch(&mut self, max: usize) -> Option<Vec<Delivery>> {
        while self.ready.is_empty() {
            let Some(ChannelConsumer { consumer, .. }) = self.current.as_mut() else {
                self.current = Some(self.next_consumers.recv().await?);
                continue;
            };
            tokio::select! {
                Some(kept) = self.replacing.join_next() => self.keep(kept.unwrap_or_default()),
                next = consumer.next() => match next {
                    Some(Ok(arrived)) => self.take_arrived(arrived, max),
                    end => self.end_consumer(end.and_then(Result::err)),
                },
            }
        }
        let taken = self.ready.len().min(max);
        let batch: Vec<Delivery> = self.ready.drain(..taken).collect();
        let redelivered = batch.iter().filter(|delivery| delivery.redelivered).count();
        metrics::delivered(&self.queue, batch.len(), redelivered);
        Some(batch)
    }

    async fn cancel(self: Box<Self>) {
        let Self { mut replacing, queue, supervisor, _stop_on_drop, .. } = *self;
        // An original whose copy is out is acknowledged before its channel goes, or both would be there.
        let replaced = async { while replacing.join_next().await.is_some() {} };
        if tokio::time::timeout(REPLACED_WITHIN, replaced).await.is_err() {
            tracing::info!(%queue, "messages that were being replaced are delivered again");
        }
        drop(_stop_on_drop);
        if let Err(error) = supervisor.await {
            tracing::error!(%error, "the supervisor of a subscription died");
        }
    }
}
