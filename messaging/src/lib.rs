//! The messages between the parts of Sojourn: one broker port, its topology, and the adapters behind it.
//!
//! ```text
//!  publish(batch) --> exchange --binding--> queue --prefetch--> Subscription::next_batch
//!       ^ confirms        |                   |                      |
//!       '-----------------'                   | delivery limit       v
//!                                             '-> dead-letters <-- Acker: ack | requeue | dead_letter
//! ```
//!
//! All programs code against [`Broker`]; [`rabbitmq::RabbitBroker`] is the only code in the workspace that
//! knows lapin, and [`in_process::InProcessBroker`] is a second real adapter for the single process and
//! the simulation. One conformance suite (`tests/conformance`) holds both to the same behavior.

#![warn(missing_docs)]

mod broker;
mod error;
mod message;
mod subscription;
mod topology;

pub mod in_process;
pub mod rabbitmq;

mod metrics;
mod pauses;

pub use broker::{Broker, BrokerState, PUBLISH_TIMEOUT, QueueDepth};
pub use error::{BrokerError, PublishError};
pub use message::{
    DeadLetter, Delivery, DeliveryTag, HEADERS_BYTES_MAX, Message, NAME_BYTES_MAX, Outgoing, PAYLOAD_BYTES_MAX,
    REASON_BYTES_MAX, headers,
};
pub use subscription::{AckDriver, Acker, Subscription, SubscriptionDriver};
pub use topology::{
    Binding, DEAD_LETTER_DELIVERY_LIMIT, DELIVERY_LIMIT, Durability, EVERY_WORKER, Exchange, Namespace,
    QUEUE_LENGTH_MAX, QueueDeclaration, QueueName, Topology,
};
