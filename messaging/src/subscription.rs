//! Taking messages and acknowledging them: the handles that a program holds, and the traits behind them that
//! an adapter implements.

use std::{fmt, sync::Arc};

use async_trait::async_trait;

use crate::message::Delivery;

/// The adapter's side of a [`Subscription`].
#[async_trait]
pub trait SubscriptionDriver: Send {
    /// See [`Subscription::next_batch`]. Must be cancel safe.
    async fn next_batch(&mut self, max: usize) -> Option<Vec<Delivery>>;
    /// See [`Subscription::cancel`]. Dropping the driver must have the same effect, in its own time.
    async fn cancel(self: Box<Self>);
}

/// The adapter's side of an [`Acker`].
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

/// Acknowledges, returns or buries the deliveries of one subscription. Cloneable, so that acks can happen while the next batch is
/// awaited.
///
/// Deliveries of an older connection, or already acknowledged, are passed over in silence: the broker has
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
