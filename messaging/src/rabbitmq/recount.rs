//! The delivery count, and its limit, for queues that keep none.
//!
//! A quorum queue tells with a message how often it came back. A classic queue only says that it did, and would hand out
//! a message that kills its consumers for ever. So what such a queue hands out again does not reach the subscription:
//! a copy that tells the count takes its place in the queue, or in the dead letters once it is over the limit.

use std::sync::Arc;

use crate::{
    message::{Delivery, Outgoing, headers},
    rabbitmq::{acks::AckTracker, convert::counted_copy},
    subscription::AckDriver,
};

/// Puts counted copies in the place of these deliveries. Returns those that have to be handed out as they are, because
/// their copy was not taken (a full queue must not keep its consumers from emptying it) or has no way back.
pub(super) async fn recount(acks: Arc<AckTracker>, deliveries: Vec<Delivery>, limit: u32) -> Vec<Delivery> {
    let (dead, living): (Vec<_>, Vec<_>) = deliveries.into_iter().partition(|delivery| delivery.delivery_count > limit);
    let (mut counted, mut copies, mut uncounted) = (Vec::new(), Vec::<Outgoing>::new(), Vec::new());
    for delivery in living {
        match counted_copy(&delivery) {
            Some(copy) => {
                copies.push(copy);
                counted.push(delivery);
            }
            None => uncounted.push(delivery),
        }
    }
    if !copies.is_empty() {
        uncounted.extend(acks.replace(counted, copies).await);
    }
    for delivery in &dead {
        acks.dead_letter(delivery, headers::REASON_DELIVERY_LIMIT).await;
    }
    uncounted
}
