//! Holding and releasing rooms under the runtime's barrier: duplicates, undo first, overlaps, sticky refusals, batches.

use std::{cell::RefCell, sync::Arc};

use contract::{
    OrderId,
    accommodation::{AcceptedStay, ConfirmRooms, ExtendRooms, HoldRooms, REFUSED_SOLD_OUT, ReleaseRooms},
};
use worker_accommodation::{Settings, domain};
use worker_runtime::testkit::{
    Harness, ManualClock, Snapshot, action_of_a_new_saga,
    conformance::{check_pair, check_refusal, check_refusal_in_set},
    cross,
    lab::{at, offer_keys},
};

use crate::common::{assert_conserved, night, offer, put_on_sale};

async fn harness(name: &str, rooms: i32, villas: i32) -> Harness {
    let harness = worker(&private_servers::testing::database(name).await).await;
    put_on_sale(harness.pool(), rooms, villas).await;
    harness
}

/// A worker on a database.
async fn worker(database: &str) -> Harness {
    let clock = Arc::new(ManualClock::new(at(0)));
    Harness::open(domain(&Settings::default(), offer_keys(), false), database, clock).await
}

/// Everything that a hold which was undone must have left as it was.
fn rooms() -> Snapshot {
    Snapshot::new([
        "SELECT room_type_id, night, held, sold FROM room_night WHERE held > 0 OR sold > 0",
        "SELECT order_id FROM room_hold WHERE status IN ('held', 'confirmed')",
        "SELECT unit_id, stay FROM unit_stay",
    ])
}

fn hold(order_id: OrderId, offers: &[&AcceptedStay]) -> HoldRooms {
    HoldRooms { order_id, offers: offers.iter().map(|offer| (*offer).clone()).collect(), travellers: 2 }
}

#[tokio::test]
async fn holding_and_releasing_keep_every_promise_of_the_barrier() {
    let harness = harness("stays_barrier", 9, 9).await;
    let (room, villa) = (offer(1, 3, 8), offer(2, 8, 10));
    check_pair(&harness, &rooms(), || {
        let order_id = kit::ids::order_id();
        (hold(order_id, &[&villa, &room]), ReleaseRooms { order_id })
    })
    .await;
    assert_conserved(harness.pool()).await;
}

/// More holds than the conformance kit asks for pairs.
const HELD: usize = 32;

#[tokio::test]
async fn extending_and_releasing_keep_every_promise_of_the_barrier() {
    let database = private_servers::testing::database("stays_extend_barrier").await;
    let clock = Arc::new(ManualClock::new(at(0)));
    let harness =
        Harness::open(domain(&Settings::default(), offer_keys(), false), &database, Arc::<ManualClock>::clone(&clock))
            .await;
    put_on_sale(harness.pool(), 40, 1).await;
    let room = offer(1, 3, 5);
    let held = RefCell::new(Vec::new());
    for _ in 0..HELD {
        let held_room = hold(kit::ids::order_id(), &[&room]);
        harness.deliver(&action_of_a_new_saga("hold-rooms"), &held_room).await;
        held.borrow_mut().push(held_room);
    }
    clock.advance(chrono::TimeDelta::minutes(10));
    // What an extension has done, and a release has taken back.
    let extended = Snapshot::new([
        "SELECT order_id, expires_at FROM room_hold WHERE status = 'held' AND expires_at > to_timestamp(1800000000 + 25 * 60)",
    ]);
    check_pair(&harness, &extended, || {
        let HoldRooms { order_id, offers, .. } = held.borrow_mut().pop().expect("enough is held");
        (ExtendRooms { order_id, offers }, ReleaseRooms { order_id })
    })
    .await;
    assert_conserved(harness.pool()).await;
}

#[tokio::test]
async fn a_refusal_as_sold_out_stays_when_a_room_is_free_again() {
    let harness = harness("stays_sticky", 1, 1).await;
    let (long, short) = (offer(1, 0, 9), offer(1, 8, 10));
    let first = hold(kit::ids::order_id(), &[&long]);
    harness.deliver(&action_of_a_new_saga("hold-rooms"), &first).await;
    let order_id = kit::ids::order_id();
    let late = (hold(order_id, &[&short]), ReleaseRooms { order_id });
    check_refusal(&harness, &rooms(), &late, REFUSED_SOLD_OUT, async || {
        let release = ReleaseRooms { order_id: first.order_id };
        harness.deliver(&action_of_a_new_saga("release"), &release).await;
    })
    .await;
    assert_conserved(harness.pool()).await;
}

#[tokio::test]
async fn a_refusal_within_a_set_keeps_no_other_order_from_its_rooms() {
    let harness = harness("stays_refusal_in_set", 9, 1).await;
    let (room, villa, same_villa) = (offer(1, 3, 8), offer(2, 8, 10), offer(2, 9, 11));
    let order_id = kit::ids::order_id();
    let refused = (hold(order_id, &[&villa, &same_villa]), ReleaseRooms { order_id });
    let fresh = || {
        let order_id = kit::ids::order_id();
        (hold(order_id, &[&room]), ReleaseRooms { order_id })
    };
    check_refusal_in_set(&harness, &rooms(), fresh, &refused, REFUSED_SOLD_OUT).await;
    assert_conserved(harness.pool()).await;
}

#[tokio::test]
async fn a_batch_of_guests_shares_the_villas_and_gets_the_same_ones_when_asked_again() {
    let harness = harness("stays_batch", 1, 3).await;
    let villa = offer(2, 2, 5);
    let guests: Vec<_> =
        (0..5).map(|_| (action_of_a_new_saga("hold-rooms"), hold(kit::ids::order_id(), &[&villa]))).collect();
    let replies = harness.deliver_together(&guests).await;
    let held = |reply: &String| reply.starts_with(r#"{"outcome":"done""#);
    assert_eq!(replies.iter().filter(|reply| held(reply)).count(), 3);
    let winners = guests.iter().zip(&replies).filter(|(_, reply)| held(reply)).map(|((_, hold), _)| hold.order_id);
    let confirm = |order_id| ConfirmRooms { order_id, guest_name: "Ada Lovelace".into() };
    let confirmations: Vec<_> =
        winners.map(|order_id| (action_of_a_new_saga("confirm-rooms"), confirm(order_id))).collect();
    let first = harness.deliver_together(&confirmations).await;
    assert!(first.iter().all(held), "{first:?}");
    assert_eq!(harness.deliver_together(&confirmations).await, first);
    assert_conserved(harness.pool()).await;
}

#[tokio::test]
async fn batches_of_several_kinds_that_cross_do_not_deadlock() {
    let database = private_servers::testing::database("stays_crossing").await;
    let workers = [worker(&database).await, worker(&database).await];
    put_on_sale(workers[0].pool(), 9, 9).await;
    let mut batches = [Vec::new(), Vec::new()];
    for (batch, mine, theirs) in [(0, 5, 8), (1, 8, 5)] {
        let held = hold(kit::ids::order_id(), &[&offer(1, mine, mine + 2)]);
        workers[0].deliver(&action_of_a_new_saga("hold-rooms"), &held).await;
        let confirm = ConfirmRooms { order_id: held.order_id, guest_name: "Ada Lovelace".into() };
        let next = hold(kit::ids::order_id(), &[&offer(1, 0, 1), &offer(1, theirs, theirs + 2)]);
        batches[batch] = vec![
            workers[0].envelope(&action_of_a_new_saga("confirm-rooms"), &confirm),
            workers[0].envelope(&action_of_a_new_saga("hold-rooms"), &next),
        ];
    }
    let hold_up = format!("SELECT FROM room_night WHERE room_type_id = 1 AND night = '{}'", night(0));
    let crossed = cross(workers, batches, &hold_up).await;
    assert_eq!(crossed.deadlocks, 0);
    let texts = crossed.texts;
    assert!(texts.iter().flatten().all(|text| text.starts_with(r#"{"outcome":"done""#)), "{texts:?}");
}
