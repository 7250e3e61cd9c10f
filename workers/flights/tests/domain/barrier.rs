//! Holding and releasing seats under the runtime's barrier: duplicates, undo first, overlaps, sticky refusals, batches.

use std::{cell::RefCell, sync::Arc};

use contract::{
    OrderId, Outcome,
    envelope::CommandEnvelope,
    flights::{
        AcceptedFlight, ConfirmSeats, ExtendSeats, HoldSeats, REFUSED_SOLD_OUT, ReleaseSeats, SeatsConfirmed, v2,
    },
};
use worker_flights::{Settings, domain};
use worker_runtime::testkit::{
    Harness, ManualClock, Snapshot, action_of_a_new_saga,
    conformance::{check_pair, check_refusal, check_refusal_in_set},
    cross,
    lab::{at, offer_keys},
};

use crate::common::{assert_conserved, offer, people, put_on_sale};

async fn harness(name: &str, capacities: &[i32]) -> Harness {
    let harness = worker(&private_servers::testing::database(name).await).await;
    put_on_sale(harness.pool(), capacities).await;
    harness
}

/// A worker on a database.
async fn worker(database: &str) -> Harness {
    let clock = Arc::new(ManualClock::new(at(0)));
    Harness::open(domain(&Settings::default(), offer_keys(), false), database, clock).await
}

/// Everything that a hold which was undone must have left as it was.
fn seats() -> Snapshot {
    Snapshot::new([
        "SELECT flight_id, cabin, held, sold FROM cabin_inventory",
        "SELECT order_id FROM seat_hold WHERE status IN ('held', 'confirmed')",
    ])
}

fn hold(order_id: OrderId, travellers: u32, offers: &[&AcceptedFlight]) -> HoldSeats {
    HoldSeats { order_id, offers: offers.iter().map(|offer| (*offer).clone()).collect(), travellers }
}

#[tokio::test]
async fn holding_and_releasing_keep_every_promise_of_the_barrier() {
    let harness = harness("flights_barrier", &[9, 9]).await;
    let (one, two) = (offer(harness.pool(), 1, 2).await, offer(harness.pool(), 2, 2).await);
    check_pair(&harness, &seats(), || {
        let order_id = kit::ids::order_id();
        (hold(order_id, 2, &[&two, &one]), ReleaseSeats { order_id })
    })
    .await;
    check_pair(&harness, &seats(), || {
        let HoldSeats { order_id, offers, travellers } = hold(kit::ids::order_id(), 2, &[&two, &one]);
        (v2::HoldSeats { order_id, offers, travellers, for_minutes: 240 }, ReleaseSeats { order_id })
    })
    .await;
    assert_conserved(harness.pool()).await;
}

/// More holds than the conformance kit asks for pairs.
const HELD: usize = 64;

#[tokio::test]
async fn extending_and_releasing_keep_every_promise_of_the_barrier() {
    let database = private_servers::testing::database("flights_extend_barrier").await;
    let clock = Arc::new(ManualClock::new(at(0)));
    let harness =
        Harness::open(domain(&Settings::default(), offer_keys(), false), &database, Arc::<ManualClock>::clone(&clock))
            .await;
    put_on_sale(harness.pool(), &[70]).await;
    let one = offer(harness.pool(), 1, 1).await;
    let held = RefCell::new(Vec::new());
    for _ in 0..HELD {
        let held_seat = hold(kit::ids::order_id(), 1, &[&one]);
        harness.deliver(&action_of_a_new_saga("hold-seats"), &held_seat).await;
        held.borrow_mut().push(held_seat);
    }
    clock.advance(chrono::TimeDelta::minutes(10));
    // What an extension has done, and a release has taken back.
    let extended = Snapshot::new([
        "SELECT order_id, expires_at FROM seat_hold WHERE status = 'held' AND expires_at > to_timestamp(1800000000 + 25 * 60)",
    ]);
    check_pair(&harness, &extended, || {
        let HoldSeats { order_id, offers, .. } = held.borrow_mut().pop().expect("enough is held");
        (ExtendSeats { order_id, offers }, ReleaseSeats { order_id })
    })
    .await;
    check_pair(&harness, &extended, || {
        let HoldSeats { order_id, offers, .. } = held.borrow_mut().pop().expect("enough is held");
        (v2::ExtendSeats { order_id, offers, for_minutes: 30 }, ReleaseSeats { order_id })
    })
    .await;
    assert_conserved(harness.pool()).await;
}

#[tokio::test]
async fn a_refusal_as_sold_out_stays_when_a_seat_is_free_again() {
    let harness = harness("flights_sticky", &[2]).await;
    let (all, one) = (offer(harness.pool(), 1, 2).await, offer(harness.pool(), 1, 1).await);
    let first = hold(kit::ids::order_id(), 2, &[&all]);
    harness.deliver(&action_of_a_new_saga("hold-seats"), &first).await;
    let order_id = kit::ids::order_id();
    let late = (hold(order_id, 1, &[&one]), ReleaseSeats { order_id });
    check_refusal(&harness, &seats(), &late, REFUSED_SOLD_OUT, async || {
        let release = ReleaseSeats { order_id: first.order_id };
        harness.deliver(&action_of_a_new_saga("release"), &release).await;
    })
    .await;
    assert_conserved(harness.pool()).await;
}

#[tokio::test]
async fn a_refusal_within_a_set_keeps_no_other_order_from_its_seats() {
    let harness = harness("flights_refusal_in_set", &[9, 1]).await;
    let (one, two) = (offer(harness.pool(), 1, 1).await, offer(harness.pool(), 2, 2).await);
    let order_id = kit::ids::order_id();
    let refused = (hold(order_id, 2, &[&two]), ReleaseSeats { order_id });
    let fresh = || {
        let order_id = kit::ids::order_id();
        (hold(order_id, 1, &[&one]), ReleaseSeats { order_id })
    };
    check_refusal_in_set(&harness, &seats(), fresh, &refused, REFUSED_SOLD_OUT).await;
    assert_conserved(harness.pool()).await;
}

#[tokio::test]
async fn a_batch_of_buyers_shares_what_is_left_and_confirms_together() {
    let harness = harness("flights_batch", &[5]).await;
    let one = offer(harness.pool(), 1, 1).await;
    let buyers: Vec<_> =
        (0..8).map(|_| (action_of_a_new_saga("hold-seats"), hold(kit::ids::order_id(), 1, &[&one]))).collect();
    let replies = harness.deliver_together(&buyers).await;
    let held = |reply: &String| reply.starts_with(r#"{"outcome":"done""#);
    assert_eq!(replies.iter().filter(|reply| held(reply)).count(), 5);
    assert!(replies.iter().filter(|reply| !held(reply)).all(|reply| reply.contains(REFUSED_SOLD_OUT)));

    let winners = buyers.iter().zip(&replies).filter(|(_, reply)| held(reply)).map(|((_, hold), _)| hold.order_id);
    let confirm = |order_id| ConfirmSeats { order_id, travellers: people(1) };
    let confirmations: Vec<_> =
        winners.map(|order_id| (action_of_a_new_saga("confirm-seats"), confirm(order_id))).collect();
    let first = harness.deliver_together(&confirmations).await;
    assert_eq!(harness.deliver_together(&confirmations).await, first, "the same tickets the second time");
    let mut tickets = Vec::new();
    for reply in first {
        match serde_json::from_str::<Outcome<SeatsConfirmed>>(&reply).unwrap() {
            Outcome::Done { reply } => tickets.extend(reply.tickets),
            other => panic!("{other:?}"),
        }
    }
    tickets.sort();
    tickets.dedup();
    assert_eq!(tickets.len(), 5);
    assert_conserved(harness.pool()).await;
}

#[tokio::test]
async fn batches_of_several_kinds_that_cross_do_not_deadlock() {
    let (workers, batches) = crossing("flights_crossing").await;
    let crossed = cross(workers, batches, FIRST_FLIGHT).await;
    assert_eq!(crossed.deadlocks, 0);
    let done = crossed.texts.iter().flatten().all(|text| text.starts_with(r#"{"outcome":"done""#));
    assert!(done, "{crossed:?}");
}

#[tokio::test]
async fn without_an_order_of_locks_they_would_deadlock() {
    let (mut workers, batches) = crossing("flights_deadlock").await;
    workers.iter_mut().for_each(Harness::mutate_into_locks_by_kind);
    // The batch that was felled may meet the other one once more.
    assert!(cross(workers, batches, FIRST_FLIGHT).await.deadlocks >= 1);
}

/// The cabin that both batches of a crossing want first.
const FIRST_FLIGHT: &str =
    "SELECT FROM cabin_inventory WHERE flight_id = (SELECT flight_id FROM flight WHERE number = 1)";

/// Two workers, and a batch for each that releases seats on one flight and holds some on flight 1 and on another: the one
/// that the other batch releases seats on.
async fn crossing(name: &str) -> ([Harness; 2], [Vec<CommandEnvelope>; 2]) {
    let database = private_servers::testing::database(name).await;
    let workers = [worker(&database).await, worker(&database).await];
    let pool = workers[0].pool().clone();
    put_on_sale(&pool, &[9, 9, 9]).await;
    let offers = [offer(&pool, 1, 1).await, offer(&pool, 2, 1).await, offer(&pool, 3, 1).await];
    let mut batches = [Vec::new(), Vec::new()];
    for (batch, mine, theirs) in [(0, 1, 2), (1, 2, 1)] {
        let held = hold(kit::ids::order_id(), 1, &[&offers[mine]]);
        workers[0].deliver(&action_of_a_new_saga("hold-seats"), &held).await;
        let release = ReleaseSeats { order_id: held.order_id };
        let next = hold(kit::ids::order_id(), 1, &[&offers[0], &offers[theirs]]);
        batches[batch] = vec![
            workers[0].envelope(&action_of_a_new_saga("release-seats"), &release),
            workers[0].envelope(&action_of_a_new_saga("hold-seats"), &next),
        ];
    }
    (workers, batches)
}
