//! Subscriptions that outlive their channels.
//!
//! A *keeper* task owns the channel of a subscription: it opens it, subscribes, passes the consumer to the
//! subscription as a *feed*, and starts over when that feed ends, be it by a lost connection, a channel
//! error or a deleted queue. The subscription itself only drains feeds; no task stands between lapin's
//! buffer and a batch, and dropping a half-awaited `next_batch` cannot interrupt a rebuild.

use std::{
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
    task::JoinHandle,
    time::{sleep, timeout},
};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{
    metrics,
    port::{BrokerError, Delivery, Subscription, SubscriptionDriver},
    rabbitmq::{
        CLOSE_TIMEOUT, OPERATION_TIMEOUT, convert,
        link::{self, Link, Live},
        publish::Publisher,
        settle::Desk,
    },
    topology::{Namespace, QueueName},
};

/// How long a queue may take to answer a subscription. It is milliseconds, unless its leader is being elected.
const SUBSCRIBE_TIMEOUT: Duration = Duration::from_secs(10);

/// What to subscribe to.
pub(super) struct Order {
    pub(super) queue: QueueName,
    pub(super) wire_queue: String,
    pub(super) prefetch: u16,
    pub(super) namespace: Namespace,
}

/// A consumer on one channel, for as long as that lasts.
struct Feed {
    epoch: u64,
    consumer: Consumer,
}

/// Subscribes, waiting over a lost connection, and starts the keeper.
pub(super) async fn subscribe(
    link: Arc<Link>,
    order: Order,
    publisher: Arc<Publisher>,
    epochs: Arc<AtomicU64>,
    stop: CancellationToken,
) -> Result<Subscription, BrokerError> {
    let doing = format!("subscribing to `{}`", order.queue);
    let to = &order;
    let attempt = |live: Arc<Live>| async move { consume(&live, to).await };
    let subscribed = link.run(&doing, OPERATION_TIMEOUT, attempt).await;
    let (_, (channel, consumer)) = subscribed.map_err(|error| link::name_missing_queue(error, &order.queue))?;

    let desk = Arc::new(Desk::new(order.queue.clone(), publisher));
    // One feed at a time: the keeper makes the next only after the last has ended.
    let (feeds, next_feeds) = mpsc::channel(1);
    let ended = Arc::new(Notify::new());
    let driver = (order.queue.clone(), order.namespace.clone());
    let keeper =
        Keeper { link, order, desk: Arc::clone(&desk), epochs, feeds, ended: Arc::clone(&ended), stop: stop.clone() };
    let kept = tokio::spawn(keeper.keep(channel, consumer));
    let driver = RabbitSubscription {
        queue: driver.0,
        namespace: driver.1,
        desk: Arc::clone(&desk),
        feed: None,
        next_feeds,
        ended,
        kept,
        _stop_on_drop: stop.clone().drop_guard(),
        stop,
    };
    Ok(Subscription::new(Box::new(driver), desk))
}

/// Opens a channel with the prefetch and starts a consumer on it.
async fn consume(live: &Live, order: &Order) -> lapin::Result<(Channel, Consumer)> {
    let channel = live.connection.create_channel().await?;
    channel.basic_qos(order.prefetch, BasicQosOptions::default()).await?;
    let (queue, any_tag) = (convert::short(&order.wire_queue), "".into());
    let consumer = channel.basic_consume(queue, any_tag, BasicConsumeOptions::default(), FieldTable::default()).await?;
    Ok((channel, consumer))
}

/// Keeps a subscription fed.
struct Keeper {
    link: Arc<Link>,
    order: Order,
    desk: Arc<Desk>,
    epochs: Arc<AtomicU64>,
    feeds: mpsc::Sender<Feed>,
    ended: Arc<Notify>,
    stop: CancellationToken,
}

impl Keeper {
    async fn keep(self, channel: Channel, consumer: Consumer) {
        let stop = self.stop.clone();
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.feed_for_ever(channel, consumer) => {}
        }
        // Closing the channel is what makes the broker take back all that is unacknowledged.
        if let Some(channel) = self.desk.shut()
            && let Ok(Err(error)) = timeout(CLOSE_TIMEOUT, channel.close(200, "cancelled".into())).await
        {
            tracing::debug!(queue = %self.order.queue, %error, "the channel was gone before it was closed");
        }
    }

    async fn feed_for_ever(&self, mut channel: Channel, mut consumer: Consumer) {
        loop {
            // Relaxed: only the uniqueness of the number matters.
            let epoch = self.epochs.fetch_add(1, Ordering::Relaxed);
            self.desk.reopen(epoch, channel);
            if self.feeds.send(Feed { epoch, consumer }).await.is_err() {
                return;
            }
            self.ended.notified().await;
            let Some(next) = self.subscribe_again().await else {
                return;
            };
            (channel, consumer) = next;
            tracing::info!(queue = %self.order.queue, "subscribed again");
        }
    }

    async fn subscribe_again(&self) -> Option<(Channel, Consumer)> {
        let mut pauses = link::pauses();
        loop {
            let live = self.link.wait().await?;
            // A quorum queue without a leader never answers; a later attempt, on a new channel, may be luckier.
            match timeout(SUBSCRIBE_TIMEOUT, consume(&live, &self.order)).await {
                Ok(Ok(subscribed)) => return Some(subscribed),
                Ok(Err(error)) => {
                    tracing::warn!(queue = %self.order.queue, %error, "could not subscribe again yet");
                }
                Err(_) => tracing::error!(queue = %self.order.queue, "the queue does not answer, subscribing again"),
            }
            sleep(pauses.next()?).await;
        }
    }
}

/// Drains the feeds.
struct RabbitSubscription {
    queue: QueueName,
    namespace: Namespace,
    desk: Arc<Desk>,
    feed: Option<Feed>,
    next_feeds: mpsc::Receiver<Feed>,
    ended: Arc<Notify>,
    kept: JoinHandle<()>,
    stop: CancellationToken,
    _stop_on_drop: DropGuard,
}

impl RabbitSubscription {
    /// Takes what lies in lapin's buffer, without waiting.
    fn take_arrived(&mut self, batch: &mut Vec<Delivery>, max: usize) {
        while batch.len() < max {
            let Some(Feed { epoch, consumer }) = self.feed.as_mut() else {
                return;
            };
            match consumer.next().now_or_never() {
                None => return,
                Some(Some(Ok(arrived))) => batch.push(convert::delivery(arrived, &self.queue, &self.namespace, *epoch)),
                Some(end) => self.end_feed(end.and_then(Result::err)),
            }
        }
    }

    fn end_feed(&mut self, error: Option<lapin::Error>) {
        if !self.stop.is_cancelled() {
            let error = error.map_or_else(|| "cancelled by the broker".to_owned(), |error| error.to_string());
            tracing::warn!(queue = %self.queue, error, "the subscription was interrupted");
        }
        self.feed = None;
        self.ended.notify_one();
    }
}

#[async_trait]
impl SubscriptionDriver for RabbitSubscription {
    async fn next_batch(&mut self, max: usize) -> Option<Vec<Delivery>> {
        loop {
            let Some(Feed { epoch, consumer }) = self.feed.as_mut() else {
                self.feed = Some(self.next_feeds.recv().await?);
                continue;
            };
            let epoch = *epoch;
            match consumer.next().await {
                Some(Ok(arrived)) => {
                    let mut batch = vec![convert::delivery(arrived, &self.queue, &self.namespace, epoch)];
                    self.take_arrived(&mut batch, max);
                    self.desk.hand_out(&batch);
                    let redelivered = batch.iter().filter(|delivery| delivery.redelivered).count();
                    metrics::delivered(&self.queue, batch.len(), redelivered);
                    return Some(batch);
                }
                end => self.end_feed(end.and_then(Result::err)),
            }
        }
    }

    async fn cancel(self: Box<Self>) {
        let Self { kept, _stop_on_drop, .. } = *self;
        drop(_stop_on_drop);
        if let Err(error) = kept.await {
            tracing::error!(%error, "the keeper of a subscription died");
        }
    }
}
