//! The broker port. The parts of Sojourn know the broker by this trait only.
//!
//! The port promises *at least once*. A confirmed publish is in every queue it was routed to; an unacknowledged delivery
//! comes again. Confirmed events and dead letters are on disk. Confirmed commands and replies may go with a broker that
//! ends ([`crate::Durability::Recoverable`]), so who publishes them resumes after a reconnect: sends again all that is
//! outstanding. Nothing is promised about order, and nothing about duplicates: both are the business of the inbox and
//! of the saga's machine.

use std::{error::Error, fmt, time::Duration};

use async_trait::async_trait;
use tokio::sync::watch;

use crate::{
    error::{BrokerError, PublishError},
    message::Outgoing,
    pauses::pauses,
    subscription::Subscription,
    topology::{QueueName, Topology},
};

/// After so long a publish without an answer fails as [`PublishError::Unavailable`].
///
/// A confirm takes milliseconds; ten seconds mean that the broker is gone, blocked or overrun. A publisher
/// keeps the message as outstanding anyway, so there is no point in waiting longer.
pub const PUBLISH_TIMEOUT: Duration = Duration::from_secs(10);

/// How full a queue is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueDepth {
    /// Messages waiting; those handed out and not yet acknowledged are not counted.
    pub ready: u64,
    /// Subscriptions on the queue.
    pub consumers: u32,
}

/// Whether the broker can be used right now. The worse is the greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum BrokerState {
    /// It takes and delivers messages.
    Connected,
    /// It delivers messages and takes none, because it is short of memory or of disk space.
    Blocked,
    /// It cannot be reached.
    Away,
}

impl BrokerState {
    /// Nothing, or why messages cannot be published: the words of readiness.
    ///
    /// # Errors
    /// When it is not connected.
    pub fn ready(self) -> Result<(), String> {
        match self {
            Self::Connected => Ok(()),
            Self::Blocked => Err("the broker is blocked: it is short of memory or disk space".to_owned()),
            Self::Away => Err("no connection to the broker".to_owned()),
        }
    }
}

/// A client of the broker. Cheap to share; all methods may be called from many tasks at once.
#[async_trait]
pub trait Broker: Send + Sync + fmt::Debug {
    /// Makes the exchanges, queues and bindings exist. Doing so again changes nothing, and a queue that exists with other
    /// arguments is used as it is, which is told in the log and counted. The topology is remembered and declared again
    /// on every new connection.
    async fn declare(&self, topology: &Topology) -> Result<(), BrokerError>;

    /// Publishes and waits for the confirms: one result per message, in the order of the batch.
    ///
    /// Pipelined, and (but for events) mandatory. A queue that is gone and was declared by this client is declared again,
    /// and the message sent again; only what no declared queue takes is [`PublishError::Unroutable`]. Bounded in flight, and in time: what has no answer after
    /// [`PUBLISH_TIMEOUT`] is [`PublishError::Unavailable`], at once when there is no connection.
    async fn publish(&self, batch: Vec<Outgoing>) -> Vec<Result<(), PublishError>>;

    /// Starts to take from a queue, with at most `prefetch` (at least 1) deliveries unacknowledged.
    async fn subscribe(&self, queue: &QueueName, prefetch: u16) -> Result<Subscription, BrokerError>;

    /// Subscribes as soon as the broker lets it, for a program that can do nothing useful before: what is in the
    /// way is logged, and tried again after a pause. `None` once the client is closed. Dropping the call gives up.
    async fn subscribe_with_retry(&self, queue: &QueueName, prefetch: u16) -> Option<Subscription> {
        for pause in pauses() {
            match self.subscribe(queue, prefetch).await {
                Ok(subscription) => return Some(subscription),
                Err(BrokerError::Closed) => return None,
                Err(error) => tracing::warn!(%queue, error = &error as &dyn Error, "cannot subscribe yet"),
            }
            tokio::time::sleep(pause).await;
        }
        None
    }

    /// The state of the broker, for readiness, for clocks that stand meanwhile, and for resuming: a change that ends in
    /// [`BrokerState::Connected`] is the signal to publish again all that is outstanding. A loss that is mended before
    /// it is looked at shows as a change all the same.
    fn state(&self) -> watch::Receiver<BrokerState>;

    /// How full a queue is.
    async fn depth(&self, queue: &QueueName) -> Result<QueueDepth, BrokerError>;

    /// Ends the client: its subscriptions end, what they had not acknowledged goes back.
    async fn close(&self);
}
