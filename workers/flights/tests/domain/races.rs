//! Many at once: buyers of the last seat, the sweeper against a confirmation, and long random histories.

use std::sync::Arc;

use contract::{
    OrderId,
    flights::{AcceptedFlight, ConfirmSeats, HoldSeats, REFUSED_SOLD_OUT, ReleaseSeats},
};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use worker_flights::Flights;
use worker_runtime::{
    Handler, Holds,
    testkit::lab::{ExpiryRace, at, code, context, order, run},
};

use crate::common::{Lab, assert_conserved, people};

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_buyers_of_the_last_seat_leave_one_owner() {
    let lab = Arc::new(Lab::with_seats("flights_last_seat", &[1]).await);
    let offer = lab.offer(1, 1).await;
    let buyers = (0..200).map(|number| {
        let (lab, offer) = (Arc::clone(&lab), offer.clone());
        tokio::spawn(async move { code(lab.hold(1, order(number), &[offer]).await) })
    });
    let mut codes = Vec::new();
    for buyer in buyers.collect::<Vec<_>>() {
        codes.push(buyer.await.unwrap());
    }
    assert_eq!(codes.iter().filter(|code| *code == "done").count(), 1);
    assert_eq!(codes.iter().filter(|code| *code == REFUSED_SOLD_OUT).count(), 199);
    assert_eq!(lab.seats(1).await, (1, 0));
}

/// Orders that want the same flights in opposite directions would deadlock if each locked in its own order.
#[tokio::test(flavor = "multi_thread")]
async fn orders_over_the_same_flights_never_deadlock() {
    let lab = Arc::new(Lab::with_seats("flights_lock_order", &[500, 500, 500]).await);
    let offers = [lab.offer(1, 1).await, lab.offer(2, 1).await, lab.offer(3, 1).await];
    let orders = (0..120_u128).map(|number| {
        let lab = Arc::clone(&lab);
        let mut offers = offers.to_vec();
        offers.rotate_left(usize::try_from(number % 3).unwrap());
        if number % 2 == 0 {
            offers.reverse();
        }
        tokio::spawn(async move {
            assert_eq!(code(lab.hold(1, order(number), &offers).await), "done");
            match number % 3 {
                0 => lab.release(order(number)).await,
                1 => assert_eq!(code(lab.confirm(order(number), 1, at(1)).await), "done"),
                _ => {}
            }
        })
    });
    for order in orders.collect::<Vec<_>>() {
        order.await.unwrap();
    }
    while Flights::expire_due(&lab.pool, at(60)).await.unwrap() > 0 {}
    for flight in 1..=3 {
        assert_eq!(lab.seats(flight).await, (0, 40));
    }
}

/// Two replicas carry out sets over the same flights, one in the opposite order of the other, beside the sweeper: a
/// deadlock would fail one of the transactions.
#[tokio::test(flavor = "multi_thread")]
async fn sets_of_two_replicas_and_the_sweeper_never_deadlock() {
    const FLIGHTS: usize = 6;
    let lab = Arc::new(Lab::with_seats("flights_replicas", &[5000; FLIGHTS]).await);
    let mut offers = Vec::new();
    for flight in 1..=FLIGHTS {
        offers.push(lab.offer(i16::try_from(flight).unwrap(), 1).await);
    }
    let replica = |number: u128| {
        let (lab, offers) = (Arc::clone(&lab), offers.clone());
        tokio::spawn(async move {
            for round in 0..40_u128 {
                let orders = (0..FLIGHTS).map(|index| (order(number * 1000 + round * 10 + index as u128), index));
                let mut orders: Vec<_> = orders.collect();
                if number == 1 {
                    orders.reverse();
                }
                let hold = |(order_id, index): &(OrderId, usize)| {
                    let mut offers = vec![offers[*index].clone(), offers[(index + 1) % FLIGHTS].clone()];
                    if number == 1 {
                        offers.reverse();
                    }
                    HoldSeats { order_id: *order_id, offers, travellers: 1 }
                };
                let held = lab.run_set(orders.iter().map(hold).collect(), at(0)).await;
                assert!(held.into_iter().all(|outcome| code(outcome) == "done"));
                let (some, others) = orders.split_at(FLIGHTS / 2);
                let confirm =
                    |(order_id, _): &(OrderId, usize)| ConfirmSeats { order_id: *order_id, travellers: people(1) };
                let sold = lab.run_set(some.iter().map(confirm).collect(), at(1)).await;
                assert!(sold.into_iter().all(|outcome| code(outcome) == "done"));
                let release = |(order_id, _): &(OrderId, usize)| ReleaseSeats { order_id: *order_id };
                lab.run_set(others.iter().map(release).collect(), at(1)).await;
            }
        })
    };
    let replicas = [replica(0), replica(1)];
    while replicas.iter().any(|replica| !replica.is_finished()) {
        Flights::expire_due(&lab.pool, at(30)).await.unwrap();
    }
    for replica in replicas {
        replica.await.unwrap();
    }
    for flight in 1..=FLIGHTS {
        assert_eq!(lab.seats(i16::try_from(flight).unwrap()).await, (0, 80), "flight {flight}");
    }
}

/// S22. A seed decides who starts first, who commits first, and on which side of the hour each one's clock stands.
#[tokio::test(flavor = "multi_thread")]
async fn a_hold_is_confirmed_or_expired_and_never_both() {
    let lab = Lab::with_seats("flights_expiry_race", &[2]).await;
    let mut random = StdRng::seed_from_u64(22);
    let (mut confirmed, mut expired) = (0, 0);
    // Dearer since the offers: what has run out is not taken again.
    sqlx::raw_sql("UPDATE cabin_inventory SET fare = fare + 1").execute(&lab.pool).await.unwrap();
    for round in 0..1000_u128 {
        let offer = lab.offer(1, 1).await;
        assert_eq!(code(lab.hold(1, order(round), &[offer]).await), "done");
        // Clocks of two machines differ: either may think that the hour has come.
        let confirm_at = at(20) - chrono::Duration::microseconds(random.random_range(0..3));
        let sweep_at = at(20) - chrono::Duration::microseconds(random.random_range(-1..2));
        let race = ExpiryRace { confirm_at, sweep_at, confirm_first: random.random_bool(0.5) };
        let confirm = ConfirmSeats { order_id: order(round), travellers: people(1) };
        let swept = race.run(&lab.pool, &lab.flights, confirm).await;
        let (status,): (String,) = sqlx::query_as("SELECT status FROM seat_hold WHERE order_id = $1")
            .bind(order(round).uuid())
            .fetch_one(&lab.pool)
            .await
            .unwrap();
        match status.as_str() {
            "confirmed" => {
                confirmed += 1;
                assert_eq!(swept, 0, "round {round}");
                assert_eq!(lab.seats(1).await, (0, 1), "round {round}");
                // Room for the next round.
                sqlx::raw_sql(
                    "DELETE FROM ticket; DELETE FROM flight_booking; DELETE FROM seat_hold_line; DELETE FROM seat_hold;
                     UPDATE cabin_inventory SET sold = 0",
                )
                .execute(&lab.pool)
                .await
                .unwrap();
            }
            "expired" => {
                expired += 1;
                assert_eq!(lab.seats(1).await, (0, 0), "round {round}");
            }
            other => panic!("round {round}: {other}"),
        }
    }
    assert!(confirmed > 30 && expired > 30, "the seed explores both ends: {confirmed} and {expired}");
}

/// S21 over random histories: several clients hold, release, confirm and sweep at random, with crashes before commit.
#[tokio::test(flavor = "multi_thread")]
async fn seats_are_conserved_over_random_histories() {
    let lab = Arc::new(Lab::with_seats("flights_histories", &[3, 4, 40]).await);
    // Of every flight, for one traveller and for two.
    let mut offers = [Vec::new(), Vec::new()];
    for (travellers, offers) in (1..).zip(&mut offers) {
        for flight in 1..=3 {
            offers.push(lab.offer(flight, travellers).await);
        }
    }
    let clients = (0..8_u64).map(|client| {
        let (lab, offers) = (Arc::clone(&lab), offers.clone());
        tokio::spawn(async move { live(&lab, &offers, client).await })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await.unwrap();
        assert_conserved(&lab.pool).await;
    }
    while Flights::expire_due(&lab.pool, at(1000)).await.unwrap() > 0 {}
    for flight in 1..=3 {
        assert_eq!(lab.seats(flight).await.0, 0, "nothing is held once everything has run out");
    }
}

async fn live(lab: &Lab, offers: &[Vec<AcceptedFlight>; 2], client: u64) {
    let mut random = StdRng::seed_from_u64(client);
    for _ in 0..60 {
        let order_id = order(u128::from(random.random_range(0..40_u64)));
        let now = at(random.random_range(0..28));
        match random.random_range(0..10) {
            0..4 => {
                let travellers = random.random_range(1..3);
                let offers = &offers[travellers - 1];
                let count = random.random_range(1..4);
                let some = (0..count).map(|_| offers[random.random_range(0..offers.len())].clone()).collect();
                let travellers = u32::try_from(travellers).unwrap();
                run(&lab.pool, &lab.flights, HoldSeats { order_id, offers: some, travellers }, now).await.unwrap();
            }
            4..6 => {
                run(&lab.pool, &lab.flights, ReleaseSeats { order_id }, now).await.unwrap();
            }
            6..8 => {
                let travellers = people(random.random_range(1..3));
                run(&lab.pool, &lab.flights, ConfirmSeats { order_id, travellers }, now).await.unwrap();
            }
            8 => {
                Flights::expire_due(&lab.pool, now).await.unwrap();
            }
            _ => {
                // A crash after the work and before the commit.
                let mut tx = lab.pool.begin().await.unwrap();
                lab.flights.handle(&mut tx, ReleaseSeats { order_id }, &mut context(now)).await.unwrap();
                tx.rollback().await.unwrap();
            }
        }
    }
}
