//! Messages as they are sent, as they arrive, and as dead letters, with the limits on each of their parts.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::{
    error::PublishError,
    topology::{Exchange, QueueName},
};

/// The largest body, in bytes. Commands and replies are a few hundred bytes; this leaves room for a long order and
/// stays far below what RabbitMQ takes (16 MiB in version 4), where one message would stall all others.
pub const PAYLOAD_BYTES_MAX: usize = 1024 * 1024;

/// The largest sum of header names and values, in bytes. Headers travel in one AMQP frame of at most 128 KiB, and a
/// longer one costs the whole connection.
pub const HEADERS_BYTES_MAX: usize = 16 * 1024;

/// The longest message id, kind or routing key: AMQP gives a short string one byte of length.
pub const NAME_BYTES_MAX: usize = 255;

/// The longest reason kept with a dead letter; what is longer is cut.
pub const REASON_BYTES_MAX: usize = 1024;

/// Headers with a meaning of their own.
pub mod headers {
    /// The trace context of the sender, as W3C defines it.
    pub const TRACEPARENT: &str = "traceparent";
    /// On a dead letter: the reason of its death.
    pub const REASON: &str = "x-reason";
    /// On a dead letter: the queue in which it died.
    pub const SOURCE_QUEUE: &str = "x-source-queue";
    /// On a dead letter: the exchange to which it was first published; its routing key is kept as it was.
    pub const SOURCE_EXCHANGE: &str = "x-source-exchange";
    /// The reason given when the broker itself gave up because the delivery limit was reached.
    pub const REASON_DELIVERY_LIMIT: &str = "delivery_limit";
}

/// A message, without where it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The id of this message; empty on one from a stranger that set none.
    pub message_id: String,
    /// The kind of the body (AMQP's `type`); empty on one from a stranger that set none.
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
    /// The exchange that routes it.
    pub exchange: Exchange,
    /// The key by which the exchange finds its queues.
    pub routing_key: String,
    /// The message itself.
    pub message: Message,
    /// Whether its receiver is known to unpack parcels, so that an adapter may put it together with others for the same
    /// queue. Its sender knows from the receiver's own messages.
    pub receiver_unpacks: bool,
}

impl Outgoing {
    /// A command for a domain.
    pub fn command(domain: impl Into<String>, message: Message) -> Self {
        Self::to(Exchange::Commands, domain, message)
    }

    /// A reply, or another message to a lane or an orchestrator: `reply_to` is the name of its queue.
    pub fn reply(reply_to: impl Into<String>, message: Message) -> Self {
        Self::to(Exchange::Replies, reply_to, message)
    }

    /// An event of this topic, such as `order.confirmed`. An event without a subscriber is confirmed and
    /// gone: events alone are not published as mandatory.
    pub fn event(topic: impl Into<String>, message: Message) -> Self {
        Self::to(Exchange::Events, topic, message)
    }

    /// A message for whatever the exchange finds under the key, to a receiver that may not unpack parcels.
    pub fn to(exchange: Exchange, routing_key: impl Into<String>, message: Message) -> Self {
        Self { exchange, routing_key: routing_key.into(), message, receiver_unpacks: false }
    }

    /// The same message with this known of its receiver.
    #[must_use]
    pub fn to_unpacker(mut self, receiver_unpacks: bool) -> Self {
        self.receiver_unpacks = receiver_unpacks;
        self
    }

    /// Whether it is within the limits of the port. Adapters ask before they send.
    pub(crate) fn check_size(&self) -> Result<(), PublishError> {
        let headers = self.message.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        let longest_header_name = self.message.headers.keys().map(String::len).max().unwrap_or(0);
        // A stranger's message may be too large, and is evidence in the dead letters: it is kept as it came.
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

/// The identity of one delivery: the connection that it came over, and its number there.
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
    /// The message as it was published.
    pub message: Message,
    /// The exchange to which it was published; `None` when that is not one of ours.
    pub exchange: Option<Exchange>,
    /// The key under which it was published.
    pub routing_key: String,
    /// The queue from which it was taken.
    pub queue: QueueName,
    /// Whether it was handed out before.
    pub redelivered: bool,
    /// How often it came back to the queue; 0 the first time.
    pub delivery_count: u32,
    /// The number of this delivery, which only the adapter sets and reads.
    pub tag: DeliveryTag,
}

/// The death of a message: its reason and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// The words given to [`crate::Acker::dead_letter`], or [`headers::REASON_DELIVERY_LIMIT`].
    pub reason: String,
    /// The queue in which it died.
    pub source_queue: QueueName,
    /// The exchange to which it has to be published to try again, under [`Delivery::routing_key`].
    pub source_exchange: Option<Exchange>,
}

impl Delivery {
    /// The reason and place of its death, when this delivery comes from the dead letters.
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
        Outgoing::to(Exchange::DeadLetters, &self.routing_key, message)
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
