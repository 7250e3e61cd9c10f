//! The loop of one subscriber: takes the events that have arrived, has them taken in, and acknowledges them.
//!
//! ```text
//!  next_batch --> read --> take_in (one transaction) --> applied, duplicate: ack
//!      ^            |               |
//!      |            v               v
//!      |      dead letters <-- refused, or faulted too often
//!      '----- a pause <------- faulted
//! ```
//!
//! An event that waits for another try holds up no other. It stays unacknowledged, so a crash loses neither it nor,
//! thanks to the broker's own count of deliveries, the bound on its tries.

use std::{sync::Arc, time::Duration};

use futures::{StreamExt, stream::FuturesUnordered};
use messaging::{Acker, Broker, Delivery, QueueName};
use tokio_util::sync::CancellationToken;

use super::{
    handler::Subscriptions,
    received::{Intake, ReceivedEvent},
};
use crate::{
    engine::{Engine, Stopped},
    limits, observe,
    own_connection::OwnConnection,
};

/// One domain's subscriber to events.
pub(crate) struct Subscriber {
    pub(crate) engine: Arc<Engine>,
    pub(crate) subscriptions: Subscriptions,
    pub(crate) broker: Arc<dyn Broker>,
    pub(crate) event_tries_max: u32,
    /// Cancelled when nothing more is to be taken.
    pub(crate) drain: CancellationToken,
}

/// An event in the hands of the subscriber.
struct Held {
    received: ReceivedEvent,
    delivery: Delivery,
    tries: u32,
}

impl Subscriber {
    /// Consumes until told to drain, or until the client of the broker is closed.
    pub(crate) async fn run(&self) {
        let queue = QueueName::events(self.engine.domain);
        let subscribed = self.broker.subscribe_with_retry(&queue, limits::PREFETCH_EVENTS);
        let Some(Some(mut subscription)) = self.drain.run_until_cancelled(subscribed).await else { return };
        let acker = subscription.acker();
        let mut own = self.engine.bulkheads.consumer();
        let mut paused = FuturesUnordered::new();
        loop {
            let batch = tokio::select! {
                biased;
                () = self.drain.cancelled() => break,
                Some(held) = paused.next() => vec![held],
                taken = subscription.next_batch(limits::BATCH_EVENTS_MAX) => match taken {
                    Some(deliveries) => self.read(deliveries, &acker).await,
                    None => break,
                },
            };
            let Ok(faulted) = self.take_in(&mut own, batch, &acker).await else { break };
            paused.extend(faulted.into_iter().map(after_a_pause));
        }
        subscription.cancel().await;
        own.close().await;
    }

    /// Reads what was taken; what cannot be read goes to the dead letters, with the reason, and nothing else happens.
    async fn read(&self, deliveries: Vec<Delivery>, acker: &Acker) -> Vec<Held> {
        let mut batch = Vec::with_capacity(deliveries.len());
        for delivery in deliveries {
            match ReceivedEvent::taken(&delivery.message, self.engine.domain, &self.subscriptions) {
                Ok(received) => batch.push(Held { received, delivery, tries: 0 }),
                Err(unreadable) => self.bury(&delivery, acker, &unreadable).await,
            }
        }
        batch
    }

    /// Takes events in and settles their deliveries, but for those that are to be tried again.
    async fn take_in(&self, own: &mut OwnConnection, batch: Vec<Held>, acker: &Acker) -> Result<Vec<Held>, Stopped> {
        let (received, rest): (Vec<_>, Vec<_>) =
            batch.into_iter().map(|held| (held.received, (held.delivery, held.tries + 1))).unzip();
        if received.is_empty() {
            return Ok(Vec::new());
        }
        let intakes = self.engine.take_in(own, &received).await?;
        let mut done = Vec::with_capacity(received.len());
        let mut faulted = Vec::new();
        for ((received, (delivery, tries)), intake) in received.into_iter().zip(rest).zip(intakes) {
            observe::event(self.engine.domain, &received, tries, &intake);
            match intake {
                Intake::Applied | Intake::Duplicate => done.push(delivery),
                Intake::Refused(why) => self.bury(&delivery, acker, &why).await,
                Intake::Faulted(why) if tries >= self.event_tries_max => {
                    self.bury(&delivery, acker, &format!("{tries} tries failed, the last with: {why}")).await;
                }
                Intake::Faulted(_) => faulted.push(Held { received, delivery, tries }),
            }
        }
        acker.ack(&done).await;
        Ok(faulted)
    }

    async fn bury(&self, delivery: &Delivery, acker: &Acker, why: &(impl ToString + ?Sized)) {
        let reason = why.to_string();
        observe::dead_letter(self.engine.domain, &delivery.message.message_id, &reason);
        acker.dead_letter(delivery, &reason).await;
    }
}

async fn after_a_pause(held: Held) -> Held {
    tokio::time::sleep(pause_after(held.tries)).await;
    held
}

/// The pause after so many tries: doubled each time.
fn pause_after(tries: u32) -> Duration {
    let doubled = 2_u32.saturating_pow(tries.saturating_sub(1));
    limits::EVENT_RETRY_PAUSE_MIN.saturating_mul(doubled).min(limits::EVENT_RETRY_PAUSE_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_that_keeps_failing_is_tried_for_minutes_and_not_for_hours() {
        let waited: Duration = (1..limits::EVENT_TRIES_MAX).map(pause_after).sum();
        assert!(waited > Duration::from_secs(2 * 60) && waited < Duration::from_secs(30 * 60), "{waited:?}");
        assert_eq!(pause_after(1), limits::EVENT_RETRY_PAUSE_MIN);
        assert_eq!(pause_after(u32::MAX), limits::EVENT_RETRY_PAUSE_MAX);
    }
}
