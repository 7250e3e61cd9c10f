//! The measurements of both adapters, by name, so that both count the same things.

use std::time::Duration;

use metrics::{counter, gauge, histogram};

use crate::{
    broker::BrokerState,
    error::PublishError,
    topology::{Exchange, QueueName},
};

const PUBLISHED_MESSAGES: &str = "sojourn_messaging_published_messages_total";
const PUBLISH_DURATION_SECONDS: &str = "sojourn_messaging_publish_duration_seconds";
const IN_FLIGHT_MESSAGES: &str = "sojourn_messaging_in_flight_messages";
const BLOCKED_CONNECTIONS: &str = "sojourn_messaging_blocked_connections";
const OPEN_CONNECTIONS: &str = "sojourn_messaging_open_connections";
const LOST_CONNECTIONS: &str = "sojourn_messaging_lost_connections_total";
const DELIVERED_MESSAGES: &str = "sojourn_messaging_delivered_messages_total";
const DELIVERED_BATCH_MESSAGES: &str = "sojourn_messaging_delivered_batch_messages";
const REDELIVERED_MESSAGES: &str = "sojourn_messaging_redelivered_messages_total";
const ACKNOWLEDGED_MESSAGES: &str = "sojourn_messaging_acknowledged_messages_total";
const ACKNOWLEDGE_FRAMES: &str = "sojourn_messaging_acknowledge_frames_total";
const REQUEUED_MESSAGES: &str = "sojourn_messaging_requeued_messages_total";
const DEAD_LETTERED_MESSAGES: &str = "sojourn_messaging_dead_lettered_messages_total";
const QUEUES_OTHERWISE: &str = "sojourn_messaging_queues_otherwise_total";

/// Counts one answer of the broker to a publish.
pub(crate) fn published(exchange: Exchange, result: &Result<(), PublishError>) {
    let result = match result {
        Ok(()) => "confirmed",
        Err(PublishError::Unroutable { .. }) => "unroutable",
        Err(PublishError::NotConfirmed { .. }) => "refused",
        Err(PublishError::Unavailable { .. }) => "unavailable",
        Err(PublishError::TooLarge { .. }) => "too_large",
    };
    counter!(PUBLISHED_MESSAGES, "exchange" => exchange.name(), "result" => result).increment(1);
}

/// Counts messages confirmed for one exchange, many at a time.
pub(crate) fn confirmed(exchange: Exchange, messages: u64) {
    counter!(PUBLISHED_MESSAGES, "exchange" => exchange.name(), "result" => "confirmed").increment(messages);
}

/// How long a pipelined group of messages took from the first byte to the last confirm.
pub(crate) fn publish_took(duration: Duration) {
    histogram!(PUBLISH_DURATION_SECONDS).record(duration.as_secs_f64());
}

/// Counts messages as sent and without an answer, for as long as it lives.
pub(crate) struct InFlight(f64);

impl InFlight {
    pub(crate) fn enter(messages: usize) -> Self {
        let messages = u32::try_from(messages).map_or(f64::from(u32::MAX), f64::from);
        gauge!(IN_FLIGHT_MESSAGES).increment(messages);
        Self(messages)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        gauge!(IN_FLIGHT_MESSAGES).decrement(self.0);
    }
}

/// Whether the connection of this role is up, and whether the broker reads from it.
pub(crate) fn connection_state(role: &'static str, state: BrokerState) {
    let is = |yes| if yes { 1.0 } else { 0.0 };
    gauge!(OPEN_CONNECTIONS, "role" => role).set(is(state != BrokerState::Away));
    gauge!(BLOCKED_CONNECTIONS, "role" => role).set(is(state == BrokerState::Blocked));
}

/// A connection was lost.
pub(crate) fn connection_lost(role: &'static str) {
    counter!(LOST_CONNECTIONS, "role" => role).increment(1);
}

/// A batch was handed out.
pub(crate) fn delivered(queue: &QueueName, messages: usize, redelivered: usize) {
    let labels = [("queue", queue.as_str().to_owned())];
    counter!(DELIVERED_MESSAGES, &labels).increment(messages as u64);
    histogram!(DELIVERED_BATCH_MESSAGES, &labels)
        .record(u32::try_from(messages).map_or(f64::from(u32::MAX), f64::from));
    if redelivered > 0 {
        counter!(REDELIVERED_MESSAGES, &labels).increment(redelivered as u64);
    }
}

/// Messages were acknowledged, in so many frames.
pub(crate) fn acknowledged(queue: &QueueName, messages: usize, frames: usize) {
    let labels = [("queue", queue.as_str().to_owned())];
    counter!(ACKNOWLEDGED_MESSAGES, &labels).increment(messages as u64);
    counter!(ACKNOWLEDGE_FRAMES, &labels).increment(frames as u64);
}

/// Messages were given back.
pub(crate) fn requeued(queue: &QueueName, messages: usize) {
    counter!(REQUEUED_MESSAGES, "queue" => queue.as_str().to_owned()).increment(messages as u64);
}

/// A message was moved to the dead letters.
pub(crate) fn dead_lettered(queue: &QueueName) {
    counter!(DEAD_LETTERED_MESSAGES, "queue" => queue.as_str().to_owned()).increment(1);
}

/// A queue exists with other arguments than it was declared with.
pub(crate) fn exists_otherwise(queue: &QueueName) {
    counter!(QUEUES_OTHERWISE, "queue" => queue.as_str().to_owned()).increment(1);
}
