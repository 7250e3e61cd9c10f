//! Deliveries that are not handed out as they came, but replaced in their queue first.
//!
//! - **A message that comes back from a queue that does not count.** A quorum queue tells with a message how often it came
//!   back. A classic queue only says that it did, and would hand out a message that kills its consumers for ever. A copy
//!   that tells the count takes its place, or one in the dead letters once it is over the limit.
//! - **A parcel that comes back, or lies in the dead letters.** Its members take its place one by one: the one that is to
//!   blame is found, and a consumer that does not unpack parcels gets what it knows.

use std::sync::Arc;

use crate::{
    message::{DeadLetter, Delivery, Outgoing, headers},
    rabbitmq::{
        acks::AckTracker,
        convert::{Arrived, counted},
        parcel,
    },
    subscription::AckDriver,
};

/// Whether a delivery is to be replaced instead of handed out.
pub(super) fn is_due(arrived: &Arrived) -> bool {
    let delivery = &arrived.delivery;
    let comes_back = delivery.redelivered || delivery.dead_letter().is_some();
    !arrived.is_counted || (comes_back && parcel::unpack(&delivery.message).is_some())
}

/// Replaces these deliveries. Returns those that have to be handed out after all, because what replaces them was not
/// taken (a full queue must not keep its consumers from emptying it) or has no way back.
pub(super) async fn fall_back(acks: Arc<AckTracker>, deliveries: Vec<Delivery>, limit: u32) -> Vec<Delivery> {
    let (dead, living): (Vec<_>, Vec<_>) = deliveries.into_iter().partition(|delivery| delivery.delivery_count > limit);
    let (mut replaced, mut handed_out) = (Vec::new(), Vec::new());
    for delivery in living {
        match copies(&delivery) {
            Some(copies) => replaced.push((delivery, copies)),
            None => handed_out.push(delivery),
        }
    }
    handed_out.extend(acks.replace(replaced).await);
    for delivery in &dead {
        acks.dead_letter(delivery, headers::REASON_DELIVERY_LIMIT).await;
    }
    handed_out
}

/// The messages that take the place of a delivery; `None` when it came from an exchange that is not ours, and so has no way back.
fn copies(delivery: &Delivery) -> Option<Vec<Outgoing>> {
    let key = &delivery.routing_key;
    match (parcel::unpack(&delivery.message), delivery.dead_letter()) {
        (Some(members), Some(DeadLetter { source_exchange, .. })) => {
            let exchange = source_exchange?;
            Some(members.into_iter().map(|member| Outgoing::to(exchange, key, member)).collect())
        }
        (Some(members), None) => {
            let exchange = delivery.exchange?;
            let count = delivery.delivery_count;
            Some(members.into_iter().map(|member| Outgoing::to(exchange, key, counted(member, count))).collect())
        }
        (None, _) => {
            let copy = counted(delivery.message.clone(), delivery.delivery_count);
            Some(vec![Outgoing::to(delivery.exchange?, key, copy)])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        message::{DeliveryTag, Message},
        topology::{Exchange, QueueName},
    };

    fn parcel_of_two() -> Message {
        let two = ["1", "2"].map(|id| Outgoing::command("flights", Message::new(id, "k", "{}")).to_unpacker(true));
        let mut sent = parcel::put_together(&two, 0..2);
        sent.remove(0).parcel.unwrap().message
    }

    fn came_back(message: Message, exchange: Exchange) -> Delivery {
        Delivery {
            message,
            exchange: Some(exchange),
            routing_key: "flights".to_owned(),
            queue: QueueName::commands("flights"),
            redelivered: true,
            delivery_count: 3,
            tag: DeliveryTag { epoch: 1, number: 1 },
        }
    }

    fn ids(copies: &[Outgoing]) -> Vec<&str> {
        copies.iter().map(|copy| copy.message.message_id.as_str()).collect()
    }

    #[test]
    fn a_parcel_falls_back_to_its_members_and_each_keeps_the_count() {
        let copies = copies(&came_back(parcel_of_two(), Exchange::Commands)).unwrap();
        assert_eq!(ids(&copies), ["1", "2"]);
        for copy in &copies {
            assert!(copy.exchange == Exchange::Commands && !copy.receiver_unpacks, "{copy:?}");
            assert_eq!(copy.message, counted(Message::new(copy.message.message_id.clone(), "k", "{}"), 3));
        }
    }

    #[test]
    fn the_members_of_a_dead_parcel_go_back_to_where_it_died() {
        let letter = came_back(parcel_of_two(), Exchange::Commands).to_dead_letter("not one message");
        let copies = copies(&came_back(letter.message, Exchange::DeadLetters)).unwrap();
        assert_eq!(ids(&copies), ["1", "2"]);
        assert!(copies.iter().all(|copy| copy.exchange == Exchange::Commands && copy.message.headers.is_empty()));
    }

    #[test]
    fn what_came_from_a_strangers_exchange_has_no_way_back() {
        let mut strange = came_back(parcel_of_two(), Exchange::Commands);
        strange.exchange = None;
        assert_eq!(copies(&strange), None);
        strange.message = Message::new("m", "k", "{}");
        assert_eq!(copies(&strange), None);
    }
}
