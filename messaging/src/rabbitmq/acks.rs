//! Acks, requeues and dead letters of one subscription, on the channel that it consumes from.
//!
//! The tracker knows which deliveries are outstanding, so it can acknowledge every prefix of them with one
//! frame. Frames leave one decision at a time: an ack of *all up to 10* must not overtake the
//! rejection of 5 that was decided before it, else the broker would take 5 for done.
//!
//! A delivery's number is the broker's tag and, for the member of a parcel, its place in there. A parcel is acknowledged
//! when none of its members is outstanding.

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
    rabbitmq::{
        convert::counted,
        publish::Publisher,
        tags::{is_member, numbers_of, wire_tag},
    },
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
    /// The messages that are done with.
    messages: usize,
    /// All up to and including this tag of the broker, with this many among them.
    up_to: Option<(u64, usize)>,
    /// Tags that are acknowledged one by one.
    singles: Vec<u64>,
}

impl AckTracker {
    pub(super) fn new(queue: QueueName, publisher: Arc<Publisher>) -> Self {
        Self { queue, publisher, open: Mutex::default(), frames: tokio::sync::Mutex::default() }
    }

    /// Publishes copies in the place of each delivery and acknowledges those whose copies are all confirmed; returns the
    /// others.
    pub(super) async fn replace(&self, deliveries: Vec<(Delivery, Vec<Outgoing>)>) -> Vec<Delivery> {
        let mut copies = Vec::new();
        let mut counted = Vec::new();
        for (delivery, of_delivery) in deliveries {
            counted.push((delivery, of_delivery.len()));
            copies.extend(of_delivery);
        }
        if copies.is_empty() {
            return Vec::new();
        }
        let mut answers = self.publisher.publish(copies).await.into_iter();
        let (mut confirmed, mut others) = (Vec::new(), Vec::new());
        for (delivery, count) in counted {
            let answers: Vec<_> = answers.by_ref().take(count).collect();
            if answers.iter().all(Result::is_ok) { confirmed.push(delivery) } else { others.push(delivery) }
        }
        self.ack(&confirmed).await;
        others
    }

    /// From now on a delivery is outstanding as what it was opened to; says whether it was outstanding at all.
    pub(super) fn reopen_as(&self, delivery: DeliveryTag, opened: &[Delivery]) -> bool {
        let is_outstanding = self.take(delivery);
        if is_outstanding {
            self.hand_out(opened);
        }
        is_outstanding
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

    /// Takes one delivery off the list; says whether it was on it.
    fn take(&self, tag: DeliveryTag) -> bool {
        let mut open = self.lock();
        open.as_mut().is_some_and(|open| open.epoch == tag.epoch && open.outstanding.remove(&tag.number))
    }

    /// Takes deliveries off the list and decides how to acknowledge them.
    fn plan_acks(&self, deliveries: &[Delivery]) -> Option<(Channel, AckPlan)> {
        let mut open = self.lock();
        let open = open.as_mut()?;
        let numbers =
            deliveries.iter().filter(|delivery| delivery.tag.epoch == open.epoch).map(|delivery| delivery.tag.number);
        let plan = plan_acks(&mut open.outstanding, numbers.collect());
        Some((open.channel.clone(), plan))
    }

    /// Takes all that is left of a delivery of the broker off the list; `None` when nothing is.
    fn take_all_of(&self, tag: DeliveryTag) -> Option<Channel> {
        let mut open = self.lock();
        let open = open.as_mut().filter(|open| open.epoch == tag.epoch)?;
        let left: Vec<u64> = open.outstanding.range(numbers_of(wire_tag(tag.number))).copied().collect();
        for number in &left {
            open.outstanding.remove(number);
        }
        (!left.is_empty()).then(|| open.channel.clone())
    }

    /// Rejects whole deliveries of the broker.
    async fn reject(&self, tags: &[DeliveryTag]) -> usize {
        let _one_at_a_time = self.frames.lock().await;
        let mut rejected = 0;
        for tag in tags {
            if let Some(channel) = self.take_all_of(*tag) {
                // Rejected and not nacked: RabbitMQ 4.3 counts only the former toward the delivery limit.
                let options = BasicRejectOptions { requeue: true };
                log_lost("reject", channel.basic_reject(wire_tag(tag.number), options).await);
                rejected += 1;
            }
        }
        rejected
    }
}

#[async_trait]
impl AckDriver for AckTracker {
    async fn ack(&self, deliveries: &[Delivery]) {
        let _one_at_a_time = self.frames.lock().await;
        let Some((channel, plan)) = self.plan_acks(deliveries) else {
            return;
        };
        let AckPlan { messages, up_to, singles } = plan;
        let frames = usize::from(up_to.is_some()) + singles.len();
        if let Some((tag, covered)) = up_to {
            // `multiple` only where it says more, as single acks are cheaper for the broker.
            log_lost("ack", channel.basic_ack(tag, BasicAckOptions { multiple: covered > 1 }).await);
        }
        for tag in singles {
            log_lost("ack", channel.basic_ack(tag, BasicAckOptions { multiple: false }).await);
        }
        if messages > 0 {
            metrics::acknowledged(&self.queue, messages, frames);
        }
    }

    async fn requeue(&self, deliveries: &[Delivery]) {
        let (members, whole): (Vec<_>, Vec<_>) = deliveries.iter().partition(|delivery| is_member(delivery.tag.number));
        let mut rejected: Vec<DeliveryTag> = whole.iter().map(|delivery| delivery.tag).collect();
        // A member goes back by itself. Where that fails, the parcel does.
        let mut copies = Vec::new();
        for member in members.into_iter().filter(|member| self.is_outstanding(member.tag)) {
            let message = counted(member.message.clone(), member.delivery_count.saturating_add(1));
            match member.exchange {
                Some(exchange) => {
                    copies.push((member.clone(), vec![Outgoing::to(exchange, &member.routing_key, message)]))
                }
                None => rejected.push(member.tag),
            }
        }
        let mut requeued = copies.len();
        rejected.extend(self.replace(copies).await.into_iter().map(|member| member.tag));
        requeued += self.reject(&rejected).await;
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

/// Takes these off the outstanding ones: the longest prefix that is done goes with one frame, the rest one by one.
fn plan_acks(outstanding: &mut BTreeSet<u64>, mut numbers: Vec<u64>) -> AckPlan {
    numbers.retain(|number| outstanding.remove(number));
    let mut tags: Vec<u64> = numbers.iter().copied().map(wire_tag).collect();
    tags.sort_unstable();
    tags.dedup();
    tags.retain(|tag| outstanding.range(numbers_of(*tag)).next().is_none());
    let oldest_left = outstanding.first().copied().map_or(u64::MAX, wire_tag);
    let singles = tags.split_off(tags.partition_point(|tag| *tag < oldest_left));
    AckPlan { messages: numbers.len(), up_to: tags.last().map(|&last| (last, tags.len())), singles }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rabbitmq::tags::number;

    /// Whole deliveries by their tags, members of parcels as tag and place.
    fn check(
        outstanding: &[(u64, u64)],
        acked: &[(u64, u64)],
        up_to: Option<(u64, usize)>,
        singles: &[u64],
    ) -> Vec<u64> {
        let numbers = |of: &[(u64, u64)]| of.iter().map(|(tag, member)| number(*tag, *member)).collect::<Vec<_>>();
        let mut left: BTreeSet<u64> = numbers(outstanding).into_iter().collect();
        let plan = plan_acks(&mut left, numbers(acked));
        assert_eq!((plan.up_to, plan.singles.as_slice()), (up_to, singles));
        left.into_iter().map(wire_tag).collect()
    }

    fn whole<const N: usize>(tags: [u64; N]) -> [(u64, u64); N] {
        tags.map(|tag| (tag, 0))
    }

    #[test]
    fn the_oldest_outstanding_deliveries_are_acknowledged_with_one_frame() {
        assert_eq!(check(&whole([1, 2, 3, 4]), &whole([3, 1, 2]), Some((3, 3)), &[]), [4]);
        assert_eq!(check(&whole([5, 7, 9]), &whole([5, 7, 9]), Some((9, 3)), &[]), [0; 0]);
    }

    #[test]
    fn an_older_delivery_still_in_work_is_not_covered() {
        assert_eq!(check(&whole([1, 2, 3, 4]), &whole([2, 3]), None, &[2, 3]), [1, 4]);
        assert_eq!(check(&whole([1, 2, 3, 4]), &whole([1, 3]), Some((1, 1)), &[3]), [2, 4]);
    }

    #[test]
    fn a_delivery_that_is_not_outstanding_is_passed_over() {
        assert_eq!(check(&whole([4, 5]), &whole([1, 2, 4, 4]), Some((4, 1)), &[]), [5]);
        assert_eq!(check(&[], &whole([1]), None, &[]), [0; 0]);
    }

    #[test]
    fn a_parcel_is_acknowledged_with_its_last_member() {
        let outstanding = [(1, 0), (2, 1), (2, 2), (3, 0)];
        assert_eq!(check(&outstanding, &[(2, 2)], None, &[]), [1, 2, 3]);
        assert_eq!(check(&outstanding, &[(2, 1), (2, 2)], None, &[2]), [1, 3]);
        assert_eq!(check(&outstanding, &[(1, 0), (2, 1)], Some((1, 1)), &[]), [2, 3]);
        assert_eq!(check(&outstanding[2..], &[(2, 2), (3, 0)], Some((3, 2)), &[]), [0; 0]);
    }
}
