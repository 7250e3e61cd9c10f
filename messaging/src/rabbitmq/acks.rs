//! Acks, requeues and dead letters of one subscription, on the channel that it consumes from.
//!
//! The tracker knows which deliveries are outstanding, so it can acknowledge every prefix of them with one
//! frame. Frames leave one decision at a time: an ack of *all up to 10* must not overtake the
//! rejection of 5 that was decided before it, else the broker would take 5 for done.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use lapin::{
    Channel,
    options::{BasicAckOptions, BasicRejectOptions},
};

use crate::{
    message::{Delivery, DeliveryTag, Outgoing},
    metrics,
    rabbitmq::publish::Publisher,
    subscription::AckDriver,
    topology::QueueName,
};

/// How often a dead letter is tried before its delivery goes back to the queue.
const DEAD_LETTER_ATTEMPTS_MAX: u32 = 5;

/// Between two attempts: with all of them, time enough for a publishing connection to come back.
const DEAD_LETTER_PAUSE: Duration = Duration::from_millis(500);

/// Tracks the deliveries of one subscription until each is acknowledged, returned or dead.
pub(super) struct AckTracker {
    queue: QueueName,
    publisher: Arc<Publisher>,
    open: Mutex<Option<OpenChannel>>,
    /// Held over each decision and the frames that carry it out.
    frames: tokio::sync::Mutex<()>,
}

/// The channel of the moment and the deliveries that it has handed out.
struct OpenChannel {
    epoch: u64,
    channel: Channel,
    outstanding: BTreeSet<u64>,
}

/// Frames that acknowledge a set of deliveries.
#[derive(Debug, PartialEq, Eq)]
struct AckPlan {
    /// All up to and including this one, with this many among them.
    up_to: Option<(u64, usize)>,
    /// Deliveries that are acknowledged one by one.
    singles: Vec<u64>,
}

impl AckTracker {
    pub(super) fn new(queue: QueueName, publisher: Arc<Publisher>) -> Self {
        Self { queue, publisher, open: Mutex::default(), frames: tokio::sync::Mutex::default() }
    }

    /// Publishes a copy in the place of each delivery and acknowledges those whose copy is confirmed; returns the others.
    pub(super) async fn replace(&self, deliveries: Vec<Delivery>, copies: Vec<Outgoing>) -> Vec<Delivery> {
        let answers = self.publisher.publish(copies).await;
        let (confirmed, others): (Vec<_>, Vec<_>) =
            deliveries.into_iter().zip(answers).partition(|(_, answer)| answer.is_ok());
        let confirmed: Vec<Delivery> = confirmed.into_iter().map(|(delivery, _)| delivery).collect();
        self.ack(&confirmed).await;
        others.into_iter().map(|(delivery, _)| delivery).collect()
    }

    /// From now on deliveries come from this channel; those of an older one are void.
    pub(super) fn reopen(&self, epoch: u64, channel: Channel) {
        *self.lock() = Some(OpenChannel { epoch, channel, outstanding: BTreeSet::new() });
    }

    /// From now on nothing is acknowledged. Returns the channel, to be closed.
    pub(super) fn shut(&self) -> Option<Channel> {
        self.lock().take().map(|open| open.channel)
    }

    /// Notes deliveries that were handed out.
    pub(super) fn hand_out(&self, deliveries: &[Delivery]) {
        if let Some(open) = self.lock().as_mut() {
            let current = deliveries.iter().filter(|delivery| delivery.tag.epoch == open.epoch);
            open.outstanding.extend(current.map(|delivery| delivery.tag.number));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<OpenChannel>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_outstanding(&self, tag: DeliveryTag) -> bool {
        self.lock().as_ref().is_some_and(|open| open.epoch == tag.epoch && open.outstanding.contains(&tag.number))
    }

    /// Takes one delivery off the list; `None` when it is not on it, or of another epoch.
    fn take(&self, tag: DeliveryTag) -> Option<Channel> {
        let mut open = self.lock();
        let open = open.as_mut().filter(|open| open.epoch == tag.epoch)?;
        open.outstanding.remove(&tag.number).then(|| open.channel.clone())
    }

    /// Decides how to acknowledge, and takes the deliveries that go with one frame off the list.
    fn plan_acks(&self, deliveries: &[Delivery]) -> Option<(Channel, u64, AckPlan)> {
        let mut open = self.lock();
        let open = open.as_mut()?;
        let numbers =
            deliveries.iter().filter(|delivery| delivery.tag.epoch == open.epoch).map(|delivery| delivery.tag.number);
        let plan = plan_acks(&mut open.outstanding, numbers.collect());
        Some((open.channel.clone(), open.epoch, plan))
    }
}

#[async_trait]
impl AckDriver for AckTracker {
    async fn ack(&self, deliveries: &[Delivery]) {
        let _one_at_a_time = self.frames.lock().await;
        let Some((channel, epoch, plan)) = self.plan_acks(deliveries) else {
            return;
        };
        let (mut messages, mut frames) = (0, 0);
        if let Some((number, covered)) = plan.up_to {
            // `multiple` only where it says more, as single acks are cheaper for the broker.
            let sent = channel.basic_ack(number, BasicAckOptions { multiple: covered > 1 }).await;
            log_lost("ack", sent);
            (messages, frames) = (covered, 1);
        }
        for number in plan.singles {
            if self.take(DeliveryTag { epoch, number }).is_some() {
                log_lost("ack", channel.basic_ack(number, BasicAckOptions { multiple: false }).await);
                messages += 1;
                frames += 1;
            }
        }
        if frames > 0 {
            metrics::acknowledged(&self.queue, messages, frames);
        }
    }

    async fn requeue(&self, deliveries: &[Delivery]) {
        let _one_at_a_time = self.frames.lock().await;
        let mut requeued = 0;
        for delivery in deliveries {
            if let Some(channel) = self.take(delivery.tag) {
                // Rejected and not nacked: RabbitMQ 4.3 counts only the former toward the delivery limit.
                let sent = channel.basic_reject(delivery.tag.number, BasicRejectOptions { requeue: true }).await;
                log_lost("reject", sent);
                requeued += 1;
            }
        }
        if requeued > 0 {
            metrics::requeued(&self.queue, requeued);
        }
    }

    async fn dead_letter(&self, delivery: &Delivery, reason: &str) {
        for attempt in 1..=DEAD_LETTER_ATTEMPTS_MAX {
            // It stays outstanding meanwhile, so no ack of others covers it before its copy is safe.
            if !self.is_outstanding(delivery.tag) {
                return;
            }
            match self.publisher.publish(vec![delivery.to_dead_letter(reason)]).await.pop() {
                Some(Ok(())) => {
                    self.ack(std::slice::from_ref(delivery)).await;
                    metrics::dead_lettered(&self.queue);
                    let message_id = &delivery.message.message_id;
                    tracing::warn!(queue = %self.queue, message_id, reason, "moved a message to the dead letters");
                    return;
                }
                Some(Err(error)) => {
                    tracing::warn!(queue = %self.queue, attempt, %error, "could not move a message to the dead letters");
                }
                None => {}
            }
            tokio::time::sleep(DEAD_LETTER_PAUSE).await;
        }
        self.requeue(std::slice::from_ref(delivery)).await;
    }
}

/// An ack that was not sent means that its channel is gone, and with it the delivery: nothing to repair.
fn log_lost(frame: &'static str, sent: lapin::Result<()>) {
    if let Err(error) = sent {
        tracing::debug!(frame, %error, "the channel was gone; the broker delivers again");
    }
}

/// The longest prefix of the outstanding deliveries that is all acknowledged now, and the rest one by one.
fn plan_acks(outstanding: &mut BTreeSet<u64>, mut numbers: Vec<u64>) -> AckPlan {
    numbers.retain(|number| outstanding.contains(number));
    numbers.sort_unstable();
    numbers.dedup();
    let covered = outstanding.iter().zip(&numbers).take_while(|(outstanding, number)| outstanding == number).count();
    let singles = numbers.split_off(covered);
    for number in &numbers {
        outstanding.remove(number);
    }
    AckPlan { up_to: numbers.last().map(|&last| (last, covered)), singles }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(outstanding: &[u64], acked: &[u64], up_to: Option<(u64, usize)>, singles: &[u64], left: &[u64]) {
        let mut outstanding: BTreeSet<u64> = outstanding.iter().copied().collect();
        let plan = plan_acks(&mut outstanding, acked.to_vec());
        assert_eq!(plan, AckPlan { up_to, singles: singles.to_vec() });
        assert_eq!(outstanding.into_iter().collect::<Vec<_>>(), left);
    }

    #[test]
    fn the_oldest_outstanding_deliveries_are_acknowledged_with_one_frame() {
        check(&[1, 2, 3, 4], &[3, 1, 2], Some((3, 3)), &[], &[4]);
        check(&[5, 7, 9], &[5, 7, 9], Some((9, 3)), &[], &[]);
    }

    #[test]
    fn an_older_delivery_still_in_work_is_not_covered() {
        check(&[1, 2, 3, 4], &[2, 3], None, &[2, 3], &[1, 2, 3, 4]);
        check(&[1, 2, 3, 4], &[1, 3], Some((1, 1)), &[3], &[2, 3, 4]);
    }

    #[test]
    fn a_delivery_that_is_not_outstanding_is_passed_over() {
        check(&[4, 5], &[1, 2, 4, 4], Some((4, 1)), &[], &[5]);
        check(&[], &[1], None, &[], &[]);
    }
}
