//! The in-process broker as one value: its queues, bindings and consumers, and the way of a message through them.
//!
//! ```text
//!  publish --route--> place() --> ready --dispatch()--> consumer.arrived --take()--> in work
//!                        ^                                    |    (both count as unacked)
//!                        '------- give_back() <---------------'--> ack: gone
//!                                     |
//!                                     '--> over the delivery limit: place() in the dead letters
//! ```

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use tokio::sync::Notify;

use crate::{
    broker::QueueDepth,
    error::{BrokerError, PublishError},
    message::{Delivery, DeliveryTag, Outgoing, headers},
    metrics,
    topology::{Binding, Durability, EXISTS_OTHERWISE, Exchange, QueueDeclaration, QueueName, Routing, Topology},
};

/// A client of the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ClientId(u64);

/// A subscription. Its number is also the epoch of its deliveries' tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ConsumerId(u64);

/// The result of one look into a queue.
#[derive(Debug)]
pub(super) enum Taken {
    /// At least one delivery.
    Batch(Vec<Delivery>),
    /// No delivery yet.
    Nothing,
    /// No delivery, now or ever: the consumer is gone.
    Ended,
}

/// The whole broker.
#[derive(Debug, Default)]
pub(super) struct State {
    queues: BTreeMap<QueueName, Queue>,
    consumers: BTreeMap<ConsumerId, Consumer>,
    last_id: u64,
}

#[derive(Debug)]
struct Queue {
    declaration: QueueDeclaration,
    /// The client that an exclusive queue belongs to.
    owner: Option<ClientId>,
    ready: VecDeque<Stored>,
    /// In the order in which they take turns.
    consumers: VecDeque<ConsumerId>,
}

#[derive(Debug, Clone)]
struct Stored {
    outgoing: Outgoing,
    delivery_count: u32,
    redelivered: bool,
}

#[derive(Debug)]
struct Consumer {
    client: ClientId,
    queue: QueueName,
    prefetch: usize,
    last_number: u64,
    /// The messages sent to it, taken or not.
    unacked: BTreeMap<u64, Stored>,
    /// The part of `unacked` that it has not taken yet.
    arrived: VecDeque<u64>,
    wake: Arc<Notify>,
}

impl State {
    pub(super) fn new_client(&mut self) -> ClientId {
        self.last_id += 1;
        ClientId(self.last_id)
    }

    /// Ends a client: its subscriptions, then its exclusive queues.
    pub(super) fn close_client(&mut self, client: ClientId) {
        let consumers: Vec<ConsumerId> =
            self.consumers.iter().filter(|(_, consumer)| consumer.client == client).map(|(id, _)| *id).collect();
        for consumer in consumers {
            self.unsubscribe(consumer);
        }
        self.queues.retain(|_, queue| queue.owner != Some(client));
    }

    pub(super) fn declare(&mut self, client: ClientId, topology: &Topology) -> Result<(), BrokerError> {
        for declaration in topology.queues() {
            match self.queues.get_mut(&declaration.name) {
                None => {
                    let owner = (declaration.durability == Durability::Exclusive).then_some(client);
                    let queue = Queue {
                        declaration: declaration.clone(),
                        owner,
                        ready: VecDeque::new(),
                        consumers: VecDeque::new(),
                    };
                    self.queues.insert(declaration.name.clone(), queue);
                }
                Some(known) => known.declare_again(client, declaration)?,
            }
        }
        Ok(())
    }

    pub(super) fn depth(&self, queue: &QueueName) -> Result<QueueDepth, BrokerError> {
        let found = self.queues.get(queue).ok_or_else(|| BrokerError::NoSuchQueue { queue: queue.clone() })?;
        let consumers = u32::try_from(found.consumers.len()).unwrap_or(u32::MAX);
        Ok(QueueDepth { ready: found.ready.len() as u64, consumers })
    }

    /// Routes a message into every queue that is bound for it and has room.
    pub(super) fn publish(&mut self, outgoing: Outgoing) -> Result<(), PublishError> {
        let Outgoing { exchange, routing_key, .. } = &outgoing;
        let targets = self.route(*exchange, routing_key);
        if targets.is_empty() && exchange.is_mandatory() {
            return Err(PublishError::Unroutable { exchange: *exchange, routing_key: routing_key.clone() });
        }
        let mut answer = Ok(());
        for target in targets {
            if self.queues.get(&target).is_some_and(Queue::is_full) {
                // As with RabbitMQ: the queues with room have taken it all the same.
                answer = Err(PublishError::NotConfirmed { exchange: *exchange, routing_key: routing_key.clone() });
            } else {
                self.place(&target, Stored { outgoing: outgoing.clone(), delivery_count: 0, redelivered: false });
            }
        }
        answer
    }

    pub(super) fn subscribe(
        &mut self,
        client: ClientId,
        queue: &QueueName,
        prefetch: u16,
        wake: Arc<Notify>,
    ) -> Result<ConsumerId, BrokerError> {
        let found = self.queues.get_mut(queue).ok_or_else(|| BrokerError::NoSuchQueue { queue: queue.clone() })?;
        found.check_owner(client, &format!("subscribing to `{queue}`"))?;
        self.last_id += 1;
        let id = ConsumerId(self.last_id);
        found.consumers.push_back(id);
        let consumer = Consumer {
            client,
            queue: queue.clone(),
            prefetch: usize::from(prefetch),
            last_number: 0,
            unacked: BTreeMap::new(),
            arrived: VecDeque::new(),
            wake,
        };
        self.consumers.insert(id, consumer);
        self.dispatch(queue);
        Ok(id)
    }

    /// Ends a subscription; all that it had and did not acknowledge goes back.
    pub(super) fn unsubscribe(&mut self, id: ConsumerId) {
        let Some(consumer) = self.consumers.remove(&id) else {
            return;
        };
        if let Some(queue) = self.queues.get_mut(&consumer.queue) {
            queue.consumers.retain(|other| *other != id);
        }
        self.give_back(&consumer.queue, consumer.unacked.into_values().collect());
        consumer.wake.notify_one();
    }

    pub(super) fn take(&mut self, id: ConsumerId, max: usize) -> Taken {
        let Some(consumer) = self.consumers.get_mut(&id) else {
            return Taken::Ended;
        };
        let taken = consumer.arrived.len().min(max);
        let numbers: Vec<u64> = consumer.arrived.drain(..taken).collect();
        let batch: Vec<Delivery> = numbers.into_iter().filter_map(|number| consumer.delivery(id, number)).collect();
        if batch.is_empty() { Taken::Nothing } else { Taken::Batch(batch) }
    }

    /// Forgets deliveries; says how many were outstanding.
    pub(super) fn ack(&mut self, id: ConsumerId, deliveries: &[Delivery]) -> usize {
        let acked = self.remove_unacked(id, deliveries);
        if let Some(queue) = self.consumers.get(&id).map(|consumer| consumer.queue.clone()) {
            self.dispatch(&queue);
        }
        acked.len()
    }

    /// Gives deliveries back; says how many were outstanding.
    pub(super) fn requeue(&mut self, id: ConsumerId, deliveries: &[Delivery]) -> usize {
        let requeued = self.remove_unacked(id, deliveries);
        let count = requeued.len();
        if let Some(queue) = self.consumers.get(&id).map(|consumer| consumer.queue.clone()) {
            self.give_back(&queue, requeued);
        }
        count
    }

    /// Moves a delivery to the dead letters; says whether it was outstanding and a queue took it.
    pub(super) fn dead_letter(&mut self, id: ConsumerId, delivery: &Delivery, reason: &str) -> bool {
        let is_outstanding = delivery.tag.epoch == id.0
            && self.consumers.get(&id).is_some_and(|consumer| consumer.unacked.contains_key(&delivery.tag.number));
        if !is_outstanding {
            return false;
        }
        if self.publish(delivery.to_dead_letter(reason)).is_ok() {
            self.ack(id, std::slice::from_ref(delivery));
            true
        } else {
            self.requeue(id, std::slice::from_ref(delivery));
            false
        }
    }

    fn route(&self, exchange: Exchange, routing_key: &str) -> Vec<QueueName> {
        let takes = |binding: &Binding| {
            binding.exchange == exchange
                && match exchange.routing() {
                    Routing::Direct => binding.key == routing_key,
                    Routing::Topic => topic_matches(&binding.key, routing_key),
                    Routing::Fanout => true,
                }
        };
        let bound = self.queues.iter().filter(|(_, queue)| queue.declaration.bindings.iter().any(takes));
        bound.map(|(name, _)| name.clone()).collect()
    }

    /// The one way into a queue for new, returned and dead messages alike: the place where a simulation's seeded
    /// drops, duplicates, reorderings and delays belong.
    fn place(&mut self, queue: &QueueName, stored: Stored) {
        if let Some(found) = self.queues.get_mut(queue) {
            found.ready.push_back(stored);
            self.dispatch(queue);
        }
    }

    /// Puts messages back at the head in their old order, or, once over the limit, into the dead letters.
    fn give_back(&mut self, queue: &QueueName, messages: Vec<Stored>) {
        let Some(found) = self.queues.get_mut(queue) else {
            return;
        };
        let limit = found.declaration.delivery_limit;
        let mut dead = Vec::new();
        for mut stored in messages.into_iter().rev() {
            stored.redelivered = true;
            stored.delivery_count = stored.delivery_count.saturating_add(1);
            if stored.delivery_count > limit {
                dead.push(stored);
            } else {
                found.ready.push_front(stored);
            }
        }
        for stored in dead.into_iter().rev() {
            self.bury(queue, stored);
        }
        self.dispatch(queue);
    }

    /// The delivery limit was reached. The dead letters take it even when full: it has nowhere else to be.
    fn bury(&mut self, source: &QueueName, stored: Stored) {
        let Outgoing { exchange, routing_key, mut message, receiver_unpacks: _ } = stored.outgoing;
        message.headers.insert(headers::REASON.to_owned(), headers::REASON_DELIVERY_LIMIT.to_owned());
        message.headers.insert(headers::SOURCE_QUEUE.to_owned(), source.as_str().to_owned());
        message.headers.insert(headers::SOURCE_EXCHANGE.to_owned(), exchange.name().to_owned());
        let outgoing = Outgoing::to(Exchange::DeadLetters, routing_key, message);
        for target in self.route(Exchange::DeadLetters, &outgoing.routing_key) {
            self.place(&target, Stored { outgoing: outgoing.clone(), delivery_count: 0, redelivered: false });
        }
    }

    /// Sends what is ready to the consumers that may have more, in turns.
    fn dispatch(&mut self, queue: &QueueName) {
        let Some(found) = self.queues.get_mut(queue) else {
            return;
        };
        while !found.ready.is_empty() {
            let has_room = |id: &ConsumerId| {
                self.consumers.get(id).is_some_and(|consumer| consumer.unacked.len() < consumer.prefetch)
            };
            let Some(position) = found.consumers.iter().position(has_room) else {
                return;
            };
            found.consumers.rotate_left(position);
            let (Some(stored), Some(id)) = (found.ready.pop_front(), found.consumers.pop_front()) else {
                return;
            };
            found.consumers.push_back(id);
            if let Some(consumer) = self.consumers.get_mut(&id) {
                consumer.send(stored);
            }
        }
    }

    /// Takes deliveries off what a consumer has unacknowledged; those that were not on it are passed over.
    fn remove_unacked(&mut self, id: ConsumerId, deliveries: &[Delivery]) -> Vec<Stored> {
        let Some(consumer) = self.consumers.get_mut(&id) else {
            return Vec::new();
        };
        let own = deliveries.iter().filter(|delivery| delivery.tag.epoch == id.0);
        own.filter_map(|delivery| consumer.unacked.remove(&delivery.tag.number)).collect()
    }
}

impl Queue {
    fn is_full(&self) -> bool {
        self.ready.len() >= self.declaration.length_max as usize
    }

    /// Declaring again may add bindings, as with AMQP; the queue itself stays as it is.
    fn declare_again(&mut self, client: ClientId, declaration: &QueueDeclaration) -> Result<(), BrokerError> {
        self.check_owner(client, &format!("declaring `{}`", declaration.name))?;
        let known = &mut self.declaration;
        for (argument, exists_as, declared_as) in [
            ("durability", format!("{:?}", known.durability), format!("{:?}", declaration.durability)),
            ("delivery limit", known.delivery_limit.to_string(), declaration.delivery_limit.to_string()),
            ("length limit", known.length_max.to_string(), declaration.length_max.to_string()),
        ] {
            if exists_as != declared_as {
                metrics::exists_otherwise(&declaration.name);
                let queue = &declaration.name;
                tracing::error!(%queue, argument, exists_as, declared_as, "{EXISTS_OTHERWISE}");
            }
        }
        for binding in &declaration.bindings {
            if !known.bindings.contains(binding) {
                known.bindings.push(binding.clone());
            }
        }
        Ok(())
    }

    fn check_owner(&self, client: ClientId, doing: &str) -> Result<(), BrokerError> {
        if self.owner.is_some_and(|owner| owner != client) {
            let source = "the queue belongs to another client".into();
            return Err(BrokerError::Refused { doing: doing.to_owned(), source });
        }
        Ok(())
    }
}

impl Consumer {
    fn send(&mut self, stored: Stored) {
        self.last_number += 1;
        self.unacked.insert(self.last_number, stored);
        self.arrived.push_back(self.last_number);
        self.wake.notify_one();
    }

    fn delivery(&self, id: ConsumerId, number: u64) -> Option<Delivery> {
        let Stored { outgoing, delivery_count, redelivered } = self.unacked.get(&number)?;
        Some(Delivery {
            message: outgoing.message.clone(),
            exchange: Some(outgoing.exchange),
            routing_key: outgoing.routing_key.clone(),
            queue: self.queue.clone(),
            redelivered: *redelivered,
            delivery_count: *delivery_count,
            tag: DeliveryTag { epoch: id.0, number },
        })
    }
}

/// AMQP's topic patterns: words between dots, `*` for one word, `#` for any number of them.
fn topic_matches(pattern: &str, key: &str) -> bool {
    fn words_match(pattern: &[&str], key: &[&str]) -> bool {
        match (pattern.split_first(), key.split_first()) {
            (None, None) => true,
            (Some((&"#", rest)), _) => (0..=key.len()).any(|skipped| words_match(rest, &key[skipped..])),
            (Some((&"*", pattern)), Some((_, key))) => words_match(pattern, key),
            (Some((word, pattern)), Some((other, key))) => word == other && words_match(pattern, key),
            (None, Some(_)) | (Some(_), None) => false,
        }
    }
    let pattern: Vec<&str> = pattern.split('.').collect();
    let key: Vec<&str> = key.split('.').collect();
    words_match(&pattern, &key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topic_patterns_match_words() {
        for (pattern, key, matches) in [
            ("order.confirmed", "order.confirmed", true),
            ("order.*", "order.confirmed", true),
            ("order.*", "order", false),
            ("order.*", "order.item.added", false),
            ("order.#", "order", true),
            ("order.#", "order.item.added", true),
            ("#", "anything.at.all", true),
            ("#.added", "order.item.added", true),
            ("#.added", "order.item.removed", false),
            ("*.*.added", "order.item.added", true),
            ("order.*", "orders.confirmed", false),
        ] {
            assert_eq!(topic_matches(pattern, key), matches, "{pattern} against {key}");
        }
    }
}
