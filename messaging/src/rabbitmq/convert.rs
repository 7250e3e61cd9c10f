//! The translation between our messages and AMQP's: properties, headers, and RabbitMQ's own marks in them.

use std::collections::BTreeMap;

use bytes::Bytes;
use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable, ShortString},
};

use crate::{
    message::{Delivery, DeliveryTag, Message, NAME_BYTES_MAX, headers},
    rabbitmq::{options::QueueKind, tags},
    topology::{Exchange, Namespace, QueueName},
};

/// AMQP's numbers for a message that is kept in memory, and for one that is written to disk.
const TRANSIENT: u8 = 1;
const PERSISTENT: u8 = 2;

/// The header in which a quorum queue counts how often it has taken the message back.
const DELIVERY_COUNT_HEADER: &str = "x-delivery-count";

/// The header in which we count that for a queue that does not.
const REDELIVERIES_HEADER: &str = "x-redeliveries";

/// The header in which the broker keeps the deaths of a message: a list of tables, the latest first.
const DEATH_HEADER: &str = "x-death";

/// Headers that are RabbitMQ's own bookkeeping and never ours to pass on.
const BOOKKEEPING_PREFIXES: [&str; 3] = ["x-first-death-", "x-last-death-", "x-opt-"];

/// A short string from text whose length was checked; longer text is cut rather than panicking.
pub(super) fn short(text: &str) -> ShortString {
    let cut = text.floor_char_boundary(NAME_BYTES_MAX);
    text[..cut].into()
}

/// The properties under which a message travels.
pub(super) fn properties(message: &Message, exchange: Exchange, kind: QueueKind) -> BasicProperties {
    let content_type = match exchange {
        Exchange::Events => "application/cloudevents+json",
        Exchange::Commands | Exchange::Replies | Exchange::DeadLetters => "application/json",
    };
    let mut table = FieldTable::default();
    for (name, value) in &message.headers {
        table.insert(short(name), AMQPValue::LongString(value.as_str().into()));
    }
    BasicProperties::default()
        .with_delivery_mode(if kind.is_persistent(exchange) { PERSISTENT } else { TRANSIENT })
        .with_content_type(content_type.into())
        .with_message_id(short(&message.message_id))
        .with_type(short(&message.kind))
        .with_headers(table)
}

/// A delivery as the port shows it.
#[derive(Debug)]
pub(super) struct Arrived {
    pub(super) delivery: Delivery,
    /// Whether the next delivery of this message will show a higher count by itself.
    pub(super) is_counted: bool,
}

pub(super) fn arrived(
    arrived: lapin::message::Delivery,
    queue: &QueueName,
    namespace: &Namespace,
    epoch: u64,
) -> Arrived {
    let lapin::message::Delivery { delivery_tag, exchange, routing_key, redelivered, properties, data, .. } = arrived;
    let table = properties.headers().as_ref();
    let mut texts = table.map(text_headers).unwrap_or_default();
    if let Some(death) = table.and_then(latest_death) {
        name_death(&mut texts, death, namespace);
    }
    let counted_by_broker = table.and_then(|table| integer(table.inner().get(DELIVERY_COUNT_HEADER)?));
    let counted_by_us = texts.remove(REDELIVERIES_HEADER).and_then(|count| count.parse::<u32>().ok()).unwrap_or(0);
    let since = counted_by_broker.map_or(redelivered.into(), |count| u32::try_from(count).unwrap_or(u32::MAX));
    let delivery_count = counted_by_us.saturating_add(since);
    let delivery = Delivery {
        message: Message {
            message_id: properties.message_id().as_ref().map(ToString::to_string).unwrap_or_default(),
            kind: properties.kind().as_ref().map(ToString::to_string).unwrap_or_default(),
            headers: texts,
            body: Bytes::from(data),
        },
        exchange: namespace.strip(exchange.as_str()).and_then(Exchange::from_name),
        routing_key: routing_key.into(),
        queue: queue.clone(),
        redelivered: redelivered || delivery_count > 0,
        delivery_count,
        tag: DeliveryTag { epoch, number: tags::number(delivery_tag, 0) },
    };
    Arrived { delivery, is_counted: !redelivered || counted_by_broker.is_some() }
}

/// A message that tells how often it was handed out again.
pub(super) fn counted(message: Message, redeliveries: u32) -> Message {
    message.with_header(REDELIVERIES_HEADER, redeliveries.to_string())
}

fn text_headers(table: &FieldTable) -> BTreeMap<String, String> {
    let is_ours = |name: &str| !BOOKKEEPING_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
    table
        .into_iter()
        .filter(|(name, _)| is_ours(name.as_str()))
        .filter_map(|(name, value)| Some((name.to_string(), text(value)?)))
        .collect()
}

/// The newest entry of `x-death`, which only a message moved by the broker itself carries.
fn latest_death(table: &FieldTable) -> Option<&FieldTable> {
    let AMQPValue::FieldArray(deaths) = table.inner().get(DEATH_HEADER)? else {
        return None;
    };
    let AMQPValue::FieldTable(latest) = deaths.as_slice().first()? else {
        return None;
    };
    Some(latest)
}

/// Says in our own headers why and where the broker gave up.
fn name_death(texts: &mut BTreeMap<String, String>, death: &FieldTable, namespace: &Namespace) {
    let field = |name: &str| death.inner().get(name).and_then(text);
    let logical = |name: &str| field(name).and_then(|name| Some(namespace.strip(&name)?.to_owned()));
    for (header, value) in [
        (headers::REASON, field("reason")),
        (headers::SOURCE_QUEUE, logical("queue")),
        (headers::SOURCE_EXCHANGE, logical("exchange")),
    ] {
        if let Some(value) = value {
            texts.insert(header.to_owned(), value);
        }
    }
}

fn text(value: &AMQPValue) -> Option<String> {
    match value {
        AMQPValue::LongString(text) => Some(text.to_string()),
        AMQPValue::ShortString(text) => Some(text.to_string()),
        _ => None,
    }
}

fn integer(value: &AMQPValue) -> Option<i64> {
    match value {
        AMQPValue::ShortShortInt(number) => Some(i64::from(*number)),
        AMQPValue::ShortShortUInt(number) => Some(i64::from(*number)),
        AMQPValue::ShortInt(number) => Some(i64::from(*number)),
        AMQPValue::ShortUInt(number) => Some(i64::from(*number)),
        AMQPValue::LongInt(number) => Some(i64::from(*number)),
        AMQPValue::LongUInt(number) => Some(i64::from(*number)),
        AMQPValue::LongLongInt(number) => Some(*number),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use lapin::types::FieldArray;

    use super::*;

    fn redelivered(table: FieldTable) -> Arrived {
        let mut delivery =
            lapin::message::Delivery::mock(7, "t.commands".into(), "flights".into(), true, b"{}".to_vec());
        delivery.properties = BasicProperties::default().with_headers(table);
        arrived(delivery, &QueueName::dead_letters(), &Namespace::new("t"), 3)
    }

    #[test]
    fn a_death_by_the_broker_is_told_in_our_headers_and_its_bookkeeping_is_left_out() {
        let mut death = FieldTable::default();
        death.insert("reason".into(), AMQPValue::LongString("delivery_limit".into()));
        death.insert("queue".into(), AMQPValue::LongString("t.commands.flights".into()));
        death.insert("exchange".into(), AMQPValue::LongString("t.commands".into()));
        let mut table = FieldTable::default();
        table.insert(DEATH_HEADER.into(), AMQPValue::FieldArray(FieldArray::from(vec![AMQPValue::FieldTable(death)])));
        table.insert("x-first-death-reason".into(), AMQPValue::LongString("delivery_limit".into()));
        table.insert("traceparent".into(), AMQPValue::LongString("00-1".into()));

        let delivery = redelivered(table).delivery;
        let letter = delivery.dead_letter().unwrap();
        assert_eq!(letter.reason, headers::REASON_DELIVERY_LIMIT);
        assert_eq!(letter.source_queue, QueueName::commands("flights"));
        assert_eq!(letter.source_exchange, Some(Exchange::Commands));
        assert!(!delivery.message.headers.contains_key("x-first-death-reason"));
        assert_eq!(delivery.message.headers["traceparent"], "00-1");
    }

    #[test]
    fn a_message_of_a_stranger_without_properties_is_taken_as_it_is() {
        let delivery = redelivered(FieldTable::default()).delivery;
        assert_eq!((delivery.message.message_id.as_str(), delivery.message.kind.as_str()), ("", ""));
        assert_eq!((delivery.redelivered, delivery.delivery_count), (true, 1));
        assert_eq!(delivery.exchange, Some(Exchange::Commands));
        assert_eq!(delivery.tag, DeliveryTag { epoch: 3, number: tags::number(7, 0) });
    }

    #[test]
    fn the_delivery_count_is_read_whatever_integer_it_comes_as() {
        for value in [AMQPValue::LongLongInt(2), AMQPValue::LongInt(2), AMQPValue::ShortShortUInt(2)] {
            let mut table = FieldTable::default();
            table.insert(DELIVERY_COUNT_HEADER.into(), value);
            let arrived = redelivered(table);
            assert_eq!((arrived.delivery.delivery_count, arrived.is_counted), (2, true));
        }
    }

    #[test]
    fn a_queue_that_does_not_count_is_counted_for_in_a_copy() {
        let first = redelivered(FieldTable::default());
        assert_eq!((first.delivery.delivery_count, first.is_counted), (1, false));
        let copy = counted(first.delivery.message, first.delivery.delivery_count);
        let table = properties(&copy, Exchange::Commands, QueueKind::Classic).headers().clone().unwrap();
        let second = redelivered(table);
        assert_eq!((second.delivery.delivery_count, second.is_counted), (2, false));
        assert!(second.delivery.message.headers.is_empty(), "{:?}", second.delivery.message.headers);
    }
}
