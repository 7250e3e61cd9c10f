//! Events in the conformance kit: delivered to a domain without a broker, and the checks of what must hold of every
//! subscription (S26): an event takes effect once, with its effect or not at all.

use contract::event::{CloudEvent, Event};
use futures::future::join_all;

use super::{Harness, Snapshot};
use crate::{
    events::{
        outbox::Events,
        received::{Intake, ReceivedEvent},
    },
    side_effects::{Cause, NewEvent},
};

/// How many copies of an event are delivered side by side.
const COPIES: usize = 5;

/// The fate of an event that was delivered once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeliveredEvent {
    /// It took effect.
    Applied,
    /// It had taken effect before.
    Duplicate,
    /// It left no trace, and would be tried again, for this reason.
    Faulted(String),
    /// It goes to the dead letters for this reason.
    DeadLettered(String),
}

impl Harness {
    /// The message of an event as its own domain announces it; another message each time.
    ///
    /// # Panics
    /// When the event is not JSON.
    #[must_use]
    pub fn announce<E: Event>(&self, event: &E) -> CloudEvent {
        let event = NewEvent::of(event).expect("an event is JSON");
        Events::new(E::ROUTE).cloud_event(event, self.engine.clock.now(), Cause::default())
    }

    /// Delivers a message of an event, which may be wrong.
    pub async fn deliver_event(&self, event: &CloudEvent) -> DeliveredEvent {
        self.deliver_events(std::slice::from_ref(event)).await.remove(0)
    }

    /// Delivers events in one transaction, in this order; what cannot be read goes to the dead letters.
    ///
    /// # Panics
    /// When an event is not JSON.
    pub async fn deliver_events(&self, events: &[CloudEvent]) -> Vec<DeliveredEvent> {
        let mut delivered = Vec::with_capacity(events.len());
        let mut batch = Vec::with_capacity(events.len());
        for event in events {
            match self.receive(event) {
                Ok(received) => {
                    delivered.push(None);
                    batch.push(received);
                }
                Err(unreadable) => delivered.push(Some(DeliveredEvent::DeadLettered(unreadable))),
            }
        }
        let mut own = self.own_connection();
        let intakes = self.engine.take_in(&mut own, &batch).await.expect("nothing stops the harness");
        self.put_back(own);
        let mut intakes = intakes.into_iter();
        let mut next = || match intakes.next().expect("one event has one result") {
            Intake::Applied => DeliveredEvent::Applied,
            Intake::Duplicate => DeliveredEvent::Duplicate,
            Intake::Refused(why) => DeliveredEvent::DeadLettered(why),
            Intake::Faulted(why) => DeliveredEvent::Faulted(why),
        };
        delivered.into_iter().map(|delivered| delivered.unwrap_or_else(&mut next)).collect()
    }

    /// Takes an event in up to its commit, and then dies.
    ///
    /// # Panics
    /// When it does not get that far.
    pub async fn take_in_and_crash(&self, event: &CloudEvent) {
        let received = self.receive(event).unwrap_or_else(|unreadable| panic!("{unreadable}"));
        let mut tx = self.pool().begin().await.expect("a transaction");
        let handled = self.engine.handle_events(&mut tx, &[&received]).await;
        handled.unwrap_or_else(|failure| panic!("the event was not taken in: {failure:?}"));
        tx.rollback().await.expect("the database forgets");
    }

    fn receive(&self, event: &CloudEvent) -> Result<ReceivedEvent, String> {
        let body = serde_json::to_vec(event).expect("an event is JSON");
        let received = ReceivedEvent::read(&body, self.route.as_str(), &self.subscriptions);
        received.map_err(|unreadable| unreadable.to_string())
    }
}

/// Runs every check on a subscription. `fresh` makes a new event that has an effect, each time about another thing;
/// `snapshot` selects what the effect changes.
///
/// # Panics
/// With a sentence about what does not hold.
pub async fn check_subscription<E: Event>(harness: &Harness, snapshot: &Snapshot, fresh: impl Fn() -> E) {
    check_twice(harness, snapshot, &fresh()).await;
    check_crash(harness, snapshot, &fresh()).await;
    check_side_by_side(harness, snapshot, &fresh()).await;
    check_together(harness, snapshot, &fresh(), &fresh()).await;
}

/// All that an event may change: the domain's rows, and the number of events in the outbox.
async fn state(harness: &Harness, snapshot: &Snapshot) -> (Vec<String>, usize) {
    (snapshot.take(harness.pool()).await, harness.events().await.len())
}

/// An event twice, as after a crash between its commit and its acknowledgement: one effect.
async fn check_twice<E: Event>(harness: &Harness, snapshot: &Snapshot, event: &E) {
    let message = harness.announce(event);
    let before = state(harness, snapshot).await;
    assert_eq!(harness.deliver_event(&message).await, DeliveredEvent::Applied, "{}", E::NAME);
    let after = state(harness, snapshot).await;
    assert_ne!(before, after, "{} has no effect that the snapshot shows: choose another snapshot", E::NAME);
    assert_eq!(harness.deliver_event(&message).await, DeliveredEvent::Duplicate, "{}", E::NAME);
    assert_eq!(state(harness, snapshot).await, after, "{}: another effect the second time", E::NAME);
}

/// A crash before the commit: no effect, and the whole effect at the redelivery.
async fn check_crash<E: Event>(harness: &Harness, snapshot: &Snapshot, event: &E) {
    let message = harness.announce(event);
    let before = state(harness, snapshot).await;
    harness.take_in_and_crash(&message).await;
    assert_eq!(state(harness, snapshot).await, before, "{}: an effect of what did not commit", E::NAME);
    assert_eq!(harness.deliver_event(&message).await, DeliveredEvent::Applied, "{} is lost in a crash", E::NAME);
    assert_ne!(state(harness, snapshot).await, before, "{} is lost in a crash", E::NAME);
}

/// Copies of an event side by side: one takes effect, and the others know of it.
async fn check_side_by_side<E: Event>(harness: &Harness, snapshot: &Snapshot, event: &E) {
    let message = harness.announce(event);
    let delivered = join_all((0..COPIES).map(|_| harness.deliver_event(&message))).await;
    let applied = delivered.iter().filter(|delivered| **delivered == DeliveredEvent::Applied).count();
    let duplicates = delivered.iter().filter(|delivered| **delivered == DeliveredEvent::Duplicate).count();
    assert_eq!((applied, duplicates), (1, COPIES - 1), "{}: copies side by side: {delivered:?}", E::NAME);
    let after = state(harness, snapshot).await;
    assert_eq!(harness.deliver_event(&message).await, DeliveredEvent::Duplicate, "{}", E::NAME);
    assert_eq!(state(harness, snapshot).await, after, "{}: another effect after the copies", E::NAME);
}

/// Two events and a copy of the first in one transaction: two effects.
async fn check_together<E: Event>(harness: &Harness, snapshot: &Snapshot, first: &E, second: &E) {
    let (first, second) = (harness.announce(first), harness.announce(second));
    let delivered = harness.deliver_events(&[first.clone(), second.clone(), first.clone()]).await;
    let expected = [DeliveredEvent::Applied, DeliveredEvent::Applied, DeliveredEvent::Duplicate];
    assert_eq!(delivered, expected, "{}: copies within one transaction", E::NAME);
    let after = state(harness, snapshot).await;
    let again = harness.deliver_events(&[second, first]).await;
    assert_eq!(again, [DeliveredEvent::Duplicate, DeliveredEvent::Duplicate], "{}", E::NAME);
    assert_eq!(state(harness, snapshot).await, after, "{}: another effect of the copies", E::NAME);
}
