//! How the parts of Sojourn talk: one broker port, its topology, and the adapters behind it.
//!
//! ```text
//!  publish(batch) --> exchange --binding--> queue --prefetch--> Subscription::next_batch
//!       ^ confirms        |                   |                      |
//!       '-----------------'                   | delivery limit       v
//!                                             '-> dead-letters <-- Acker: ack | requeue | dead_letter
//! ```
//!
//! Everybody codes against [`Broker`]; [`rabbitmq::RabbitBroker`] is the only code in the workspace that
//! knows lapin, and [`in_process::InProcessBroker`] is a second real adapter for the single process and
//! the simulation. One conformance suite (`tests/conformance`) holds both to the same behavior.

mod metrics;
mod port;
mod topology;

pub mod in_process;
pub mod rabbitmq;

pub use port::{
    AckDriver, Acker, Broker, BrokerError, DeadLetter, Delivery, DeliveryTag, HEADERS_BYTES_MAX, Message,
    NAME_BYTES_MAX, Outgoing, PAYLOAD_BYTES_MAX, PUBLISH_TIMEOUT, PublishError, QueueDepth, REASON_BYTES_MAX,
    Subscription, SubscriptionDriver, headers,
};
pub use topology::{
    Binding, DEAD_LETTER_DELIVERY_LIMIT, DELIVERY_LIMIT, Exchange, Namespace, QUEUE_LENGTH_MAX, QueueDeclaration,
    QueueKind, QueueName, Topology,
};
