//! The broker as everybody sees it: what can be sent, taken, acknowledged, and how it can fail.
//!
//! The port promises *at least once*. A confirmed publish is on disk in every queue it was routed to; an
//! unacknowledged delivery comes again. Nothing is promised about order, and nothing about duplicates:
//! both are the business of the inbox and of the saga's machine.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::watch;

use crate::topology::{Exchange, QueueName, Topology};

/// The largest body. Commands and replies are a few hundred bytes; this leaves room for a long order and
/// stays far below what RabbitMQ takes (16 MiB in version 4), where one message would stall all others.
pub const PAYLOAD_BYTES_MAX: usize = 1024 * 1024;

/// The largest sum of header names and values. Headers travel in one AMQP frame of at most 128 KiB, and a
/// longer one costs the whole connection.
pub const HEADERS_BYTES_MAX: usize = 16 * 1024;

/// The longest message id, kind or routing key: AMQP gives a short string one byte of length.
pub const NAME_BYTES_MAX: usize = 255;

/// The longest reason kept with a dead letter; what is longer is cut.
pub const REASON_BYTES_MAX: usize = 1024;

/// After so long a publish without an answer fails as [`PublishError::Unavailable`].
///
/// A confirm takes milliseconds; ten seconds mean that the broker is gone, blocked or overrun. Whoever
/// publishes keeps the message as outstanding anyway, so there is no point in waiting longer.
pub const PUBLISH_TIMEOUT: Duration = Duration::from_secs(10);

/// Headers with a meaning of their own.
pub mod headers {
    /// W3C trace context.
    pub const TRACEPARENT: &str = "traceparent";
    /// On a dead letter: why.
    pub const REASON: &str = "x-reason";
    /// On a dead letter: from which queue.
    pub const SOURCE_QUEUE: &str = "x-source-queue";
    /// On a dead letter: to which exchange it was first published; its routing key is kept as it was.
    pub const SOURCE_EXCHANGE: &str = "x-source-exchange";
    /// The reason given when the broker itself gave up because the delivery limit was reached.
    pub const REASON_DELIVERY_LIMIT: &str = "delivery_limit";
}

/// A message, without where it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Identifies this message; empty on one from a stranger that set none.
    pub message_id: String,
    /// What the body is (AMQP's `type`); empty on one from a stranger that set none.
    pub kind: String,
    /// Text headers. The broker's own bookkeeping headers do not appear here.
    pub headers: BTreeMap<String, String>,
    /// The body, JSON by agreement; the broker does not look.
    pub body: Bytes,
}

impl Message {
    /// A message without headers.
    pub fn new(message_id: impl Into<String>, kind: impl Into<String>, body: impl Into<Bytes>) -> Self {
        Self { message_id: message_id.into(), kind: kind.into(), headers: BTreeMap::new(), body: body.into() }
    }

    /// The same message with one more header.
    #[must_use]
    pub fn with_header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.insert(name.into(), value.into());
        self
    }
}

/// A message and where it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// To which exchange.
    pub exchange: Exchange,
    /// Under which key.
    pub routing_key: String,
    /// What.
    pub message: Message,
}

impl Outgoing {
    /// A command for a domain.
    pub fn command(domain: impl Into<String>, message: Message) -> Self {
        Self { exchange: Exchange::Commands, routing_key: domain.into(), message }
    }

    /// A reply, or another note to a lane or an orchestrator: `reply_to` is the name of its queue.
    pub fn reply(reply_to: impl Into<String>, message: Message) -> Self {
        Self { exchange: Exchange::Replies, routing_key: reply_to.into(), message }
    }

    /// An event of this topic, such as `order.confirmed`. An event that nobody subscribed to is confirmed and
    /// gone: events alone are not published as mandatory.
    pub fn event(topic: impl Into<String>, message: Message) -> Self {
        Self { exchange: Exchange::Events, routing_key: topic.into(), message }
    }

    /// Whether it is within the limits of the port. Adapters ask before they send.
    pub(crate) fn check_size(&self) -> Result<(), PublishError> {
        let headers = self.message.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        let longest_header_name = self.message.headers.keys().map(String::len).max().unwrap_or(0);
        // What a stranger's too large message is to the dead letters is evidence: it is kept as it came.
        let payload_bytes_max = if self.exchange == Exchange::DeadLetters { usize::MAX } else { PAYLOAD_BYTES_MAX };
        for (part, bytes, bytes_max) in [
            ("body", self.message.body.len(), payload_bytes_max),
            ("headers", headers, HEADERS_BYTES_MAX),
            ("header name", longest_header_name, NAME_BYTES_MAX),
            ("message id", self.message.message_id.len(), NAME_BYTES_MAX),
            ("kind", self.message.kind.len(), NAME_BYTES_MAX),
            ("routing key", self.routing_key.len(), NAME_BYTES_MAX),
        ] {
            if bytes > bytes_max {
                return Err(PublishError::TooLarge { part, bytes, bytes_max });
            }
        }
        Ok(())
    }
}

/// Why a message was not, or not surely, taken by the broker.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// No queue is bound for it. It is nowhere.
    #[error("no queue takes messages published to `{exchange}` under `{routing_key}`")]
    Unroutable {
        /// To which exchange it was published.
        exchange: Exchange,
        /// Under which key.
        routing_key: String,
    },
    /// The broker refused it: a queue it was routed to is full or cannot write. Send it again later.
    #[error("the broker refused the message for `{exchange}` under `{routing_key}`: a queue is full or failing")]
    NotConfirmed {
        /// To which exchange it was published.
        exchange: Exchange,
        /// Under which key.
        routing_key: String,
    },
    /// There is no connection, or the confirm never came: the message may or may not have arrived.
    /// Send it again when [`Broker::connected`] says so; receivers know duplicates.
    #[error("the broker is unavailable: {detail}")]
    Unavailable {
        /// What was found.
        detail: String,
    },
    /// It is over a limit of the port, and will never be taken.
    #[error("the message's {part} has {bytes} bytes; at most {bytes_max} are taken")]
    TooLarge {
        /// Which part of it.
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
        /// What is wrong with it.
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
        /// What was met.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// There was no usable connection for as long as this call waits.
    #[error("no connection to the broker while {doing}: {detail}")]
    Unavailable {
        /// What was being done.
        doing: String,
        /// What was met last.
        detail: String,
    },
    /// The queue does not exist: nobody declared it.
    #[error("there is no queue `{queue}`: declare its topology first")]
    NoSuchQueue {
        /// Its logical name.
        queue: QueueName,
    },
    /// The broker answered with an error, for example because a queue exists with other arguments.
    #[error("the broker refused while {doing}")]
    Refused {
        /// What was being done.
        doing: String,
        /// The broker's own words.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The client was closed.
    #[error("this client of the broker is closed")]
    Closed,
}

/// How full a queue is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueDepth {
    /// Messages waiting; those handed out and not yet acknowledged are not counted.
    pub ready: u64,
    /// Subscriptions on the queue.
    pub consumers: u32,
}

/// A client of the broker. Cheap to share; all methods may be called from many tasks at once.
#[async_trait]
pub trait Broker: Send + Sync + fmt::Debug {
    /// Makes the exchanges, queues and bindings exist. Doing so again changes nothing. The topology is
    /// remembered and declared again on every new connection.
    async fn declare(&self, topology: &Topology) -> Result<(), BrokerError>;

    /// Publishes and waits for the confirms: one result per message, in the order of the batch.
    ///
    /// Pipelined, persistent, and (but for events) mandatory. Bounded in flight, and in time: what has no answer after
    /// [`PUBLISH_TIMEOUT`] is [`PublishError::Unavailable`], at once when there is no connection.
    async fn publish(&self, batch: Vec<Outgoing>) -> Vec<Result<(), PublishError>>;

    /// Starts to take from a queue, with at most `prefetch` (at least 1) deliveries unacknowledged.
    async fn subscribe(&self, queue: &QueueName, prefetch: u16) -> Result<Subscription, BrokerError>;

    /// Whether the broker can be reached, for readiness; and on a change to `true` the signal to publish
    /// again whatever is outstanding.
    fn connected(&self) -> watch::Receiver<bool>;

    /// How full a queue is.
    async fn depth(&self, queue: &QueueName) -> Result<QueueDepth, BrokerError>;

    /// Ends the client: its subscriptions end, what they had not acknowledged goes back.
    async fn close(&self);
}

/// Which delivery: the connection it came over, and its number there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeliveryTag {
    /// Counts the connections (or subscriptions) of the adapter. A tag of an older one means nothing any more.
    pub epoch: u64,
    /// The number of the delivery within the epoch, rising.
    pub number: u64,
}

/// A message as handed out by a queue. Dropping it acknowledges nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// What arrived.
    pub message: Message,
    /// To which exchange it was published; `None` when that is not one of ours.
    pub exchange: Option<Exchange>,
    /// Under which key it was published.
    pub routing_key: String,
    /// From which queue it was taken.
    pub queue: QueueName,
    /// Whether it was handed out before.
    pub redelivered: bool,
    /// How often it came back to the queue; 0 the first time.
    pub delivery_count: u32,
    /// Which delivery this is. Set by the adapter, read by nobody else.
    pub tag: DeliveryTag,
}

/// What a dead letter says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Why it died: the words given to [`Acker::dead_letter`], or [`headers::REASON_DELIVERY_LIMIT`].
    pub reason: String,
    /// In which queue.
    pub source_queue: QueueName,
    /// To which exchange it has to be published to try again, under [`Delivery::routing_key`].
    pub source_exchange: Option<Exchange>,
}

impl Delivery {
    /// Why and where it died, when this delivery comes from the dead letters.
    #[must_use]
    pub fn dead_letter(&self) -> Option<DeadLetter> {
        Some(DeadLetter {
            reason: self.message.headers.get(headers::REASON)?.clone(),
            source_queue: QueueName::named(self.message.headers.get(headers::SOURCE_QUEUE)?),
            source_exchange: self
                .message
                .headers
                .get(headers::SOURCE_EXCHANGE)
                .and_then(|name| Exchange::from_name(name)),
        })
    }

    /// The copy that goes to the dead letters, with the reason and where it came from.
    pub(crate) fn to_dead_letter(&self, reason: &str) -> Outgoing {
        let mut message = self.message.clone();
        let header_bytes: usize = message.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        if header_bytes > HEADERS_BYTES_MAX / 2 {
            // A stranger's headers must not keep the message from the dead letters.
            message.headers.clear();
        }
        let cut = reason.floor_char_boundary(REASON_BYTES_MAX);
        message.headers.insert(headers::REASON.to_owned(), reason[..cut].to_owned());
        message.headers.insert(headers::SOURCE_QUEUE.to_owned(), self.queue.as_str().to_owned());
        if let Some(exchange) = self.exchange {
            message.headers.insert(headers::SOURCE_EXCHANGE.to_owned(), exchange.name().to_owned());
        }
        Outgoing { exchange: Exchange::DeadLetters, routing_key: self.routing_key.clone(), message }
    }
}

/// What an adapter implements behind a [`Subscription`].
#[async_trait]
pub trait SubscriptionDriver: Send {
    /// See [`Subscription::next_batch`]. Must be cancel safe.
    async fn next_batch(&mut self, max: usize) -> Option<Vec<Delivery>>;
    /// See [`Subscription::cancel`]. Dropping the driver must have the same effect, in its own time.
    async fn cancel(self: Box<Self>);
}

/// What an adapter implements behind an [`Acker`].
#[async_trait]
pub trait AckDriver: Send + Sync {
    /// See [`Acker::ack`].
    async fn ack(&self, deliveries: &[Delivery]);
    /// See [`Acker::requeue`].
    async fn requeue(&self, deliveries: &[Delivery]);
    /// See [`Acker::dead_letter`].
    async fn dead_letter(&self, delivery: &Delivery, reason: &str);
}

/// A running subscription. Dropping it is like [`Subscription::cancel`], without waiting.
pub struct Subscription {
    driver: Box<dyn SubscriptionDriver>,
    acker: Acker,
}

impl Subscription {
    /// Puts a subscription together; for adapters.
    #[must_use]
    pub fn new(driver: Box<dyn SubscriptionDriver>, acks: Arc<dyn AckDriver>) -> Self {
        Self { driver, acker: Acker { driver: acks } }
    }

    /// Waits for at least one delivery, then takes what has arrived, up to `max` (at least 1), without
    /// waiting further.
    ///
    /// Goes on by itself after a reconnect. `None` only once the client was closed. May be dropped at any
    /// await without losing a delivery, so it can stand in a `select!`.
    pub async fn next_batch(&mut self, max: usize) -> Option<Vec<Delivery>> {
        self.driver.next_batch(max.max(1)).await
    }

    /// The handle that acknowledges, for use from another task.
    #[must_use]
    pub fn acker(&self) -> Acker {
        self.acker.clone()
    }

    /// See [`Acker::ack`].
    pub async fn ack(&self, deliveries: &[Delivery]) {
        self.acker.ack(deliveries).await;
    }

    /// See [`Acker::requeue`].
    pub async fn requeue(&self, deliveries: &[Delivery]) {
        self.acker.requeue(deliveries).await;
    }

    /// See [`Acker::dead_letter`].
    pub async fn dead_letter(&self, delivery: &Delivery, reason: &str) {
        self.acker.dead_letter(delivery, reason).await;
    }

    /// Stops taking. What is not acknowledged goes back to the queue, as after a crash.
    pub async fn cancel(self) {
        self.driver.cancel().await;
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").finish_non_exhaustive()
    }
}

/// Settles the deliveries of one subscription. Cloneable, so that acks can happen while the next batch is
/// awaited.
///
/// Deliveries of an older connection, or already settled, are passed over in silence: the broker has
/// taken them back and hands them out again.
#[derive(Clone)]
pub struct Acker {
    driver: Arc<dyn AckDriver>,
}

impl Acker {
    /// Done with these: the broker forgets them. One frame when they are the oldest outstanding ones.
    pub async fn ack(&self, deliveries: &[Delivery]) {
        if !deliveries.is_empty() {
            self.driver.ack(deliveries).await;
        }
    }

    /// Back to the queue, to be handed out again. Counts toward the delivery limit.
    pub async fn requeue(&self, deliveries: &[Delivery]) {
        if !deliveries.is_empty() {
            self.driver.requeue(deliveries).await;
        }
    }

    /// Moves a delivery to the dead letters with a reason: publishes a copy, and acknowledges when that is
    /// confirmed. When it cannot be confirmed the delivery goes back to the queue.
    pub async fn dead_letter(&self, delivery: &Delivery, reason: &str) {
        self.driver.dead_letter(delivery, reason).await;
    }
}

impl fmt::Debug for Acker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acker").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_over_a_limit_is_refused_by_the_name_of_the_part() {
        let body = vec![b' '; PAYLOAD_BYTES_MAX + 1];
        let too_large = Outgoing::command("flights", Message::new("m", "k", body)).check_size();
        assert!(matches!(too_large, Err(PublishError::TooLarge { part: "body", .. })), "{too_large:?}");

        let long_key = Outgoing::command("x".repeat(256), Message::new("m", "k", "{}")).check_size();
        assert!(matches!(long_key, Err(PublishError::TooLarge { part: "routing key", .. })), "{long_key:?}");

        assert_eq!(Outgoing::command("flights", Message::new("m", "k", "{}")).check_size(), Ok(()));
    }

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        let delivery = Delivery {
            message: Message::new("m", "k", "{}"),
            exchange: Some(Exchange::Commands),
            routing_key: "flights".to_owned(),
            queue: QueueName::commands("flights"),
            redelivered: false,
            delivery_count: 0,
            tag: DeliveryTag { epoch: 0, number: 1 },
        };
        let letter = delivery.to_dead_letter(&"é".repeat(1000));
        let reason = &letter.message.headers[headers::REASON];
        assert_eq!(reason.len(), REASON_BYTES_MAX);
        assert_eq!(letter.message.headers[headers::SOURCE_QUEUE], "commands.flights");
        assert_eq!(letter.message.headers[headers::SOURCE_EXCHANGE], "commands");
    }
}
