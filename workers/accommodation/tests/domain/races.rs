//! Many at once: buyers of the last room, the sweeper against a confirmation, and long random histories.

use std::sync::Arc;

use contract::{
    OrderId,
    accommodation::{AcceptedStay, ConfirmRooms, HoldRooms, REFUSED_SOLD_OUT, ReleaseRooms},
};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use worker_accommodation::Accommodation;
use worker_runtime::{
    Handler, Holds,
    testkit::lab::{ExpiryRace, at, code, context, order, run},
};

use crate::common::{Lab, assert_conserved};

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_buyers_of_the_last_room_leave_one_owner() {
    let lab = Arc::new(Lab::with_rooms("stays_last_room", 1, 1).await);
    let buyers = (0..200_u128).map(|number| {
        let lab = Arc::clone(&lab);
        tokio::spawn(async move {
            // Different stays that all need night 5.
            let offer = lab.offer(1, u64::try_from(number % 6).unwrap(), 6 + u64::try_from(number % 5).unwrap());
            code(lab.hold(order(number), &[offer]).await)
        })
    });
    let mut codes = Vec::new();
    for buyer in buyers.collect::<Vec<_>>() {
        codes.push(buyer.await.unwrap());
    }
    assert_eq!(codes.iter().filter(|code| *code == "done").count(), 1);
    assert_eq!(codes.iter().filter(|code| *code == REFUSED_SOLD_OUT).count(), 199);
    assert_conserved(&lab.pool).await;
}

/// Two replicas carry out sets over the same nights, one in the opposite order of the other, beside the sweeper: a
/// deadlock would fail one of the transactions.
#[tokio::test(flavor = "multi_thread")]
async fn sets_of_two_replicas_and_the_sweeper_never_deadlock() {
    const STAYS: usize = 6;
    let lab = Arc::new(Lab::with_rooms("stays_replicas", 5000, 1).await);
    let replica = |number: u128| {
        let lab = Arc::clone(&lab);
        tokio::spawn(async move {
            for round in 0..40_u128 {
                let mut orders: Vec<_> =
                    (0..STAYS).map(|index| (order(number * 1000 + round * 10 + index as u128), index as u64)).collect();
                if number == 1 {
                    orders.reverse();
                }
                let hold = |(order_id, index): &(OrderId, u64)| {
                    let mut offers = vec![lab.offer(1, *index, index + 4), lab.offer(1, index + 4, index + 6)];
                    if number == 1 {
                        offers.reverse();
                    }
                    HoldRooms { order_id: *order_id, offers, travellers: 2 }
                };
                let held = lab.run_set(orders.iter().map(hold).collect(), at(0)).await;
                assert!(held.into_iter().all(|outcome| code(outcome) == "done"));
                let (some, others) = orders.split_at(STAYS / 2);
                let confirm =
                    |(order_id, _): &(OrderId, u64)| ConfirmRooms { order_id: *order_id, guest_name: "Ada".into() };
                let sold = lab.run_set(some.iter().map(confirm).collect(), at(1)).await;
                assert!(sold.into_iter().all(|outcome| code(outcome) == "done"));
                let release = |(order_id, _): &(OrderId, u64)| ReleaseRooms { order_id: *order_id };
                lab.run_set(others.iter().map(release).collect(), at(1)).await;
            }
        })
    };
    let replicas = [replica(0), replica(1)];
    while replicas.iter().any(|replica| !replica.is_finished()) {
        Accommodation::expire_due(&lab.pool, at(30)).await.unwrap();
    }
    for replica in replicas {
        replica.await.unwrap();
    }
    // Three of six stays each time, of six nights.
    assert_eq!(lab.rooms(1).await, (0, 2 * 40 * 3 * 6));
}

/// S22. A seed decides who starts first, who commits first, and on which side of the hour each one's clock stands.
#[tokio::test(flavor = "multi_thread")]
async fn a_hold_is_confirmed_or_expired_and_never_both() {
    let lab = Lab::with_rooms("stays_expiry_race", 1000, 1).await;
    let mut random = StdRng::seed_from_u64(22);
    let (mut confirmed, mut expired) = (0_i64, 0_i64);
    // Dearer since the offers: what has run out is not taken again.
    sqlx::raw_sql("UPDATE rate SET nightly = nightly + 1").execute(&lab.pool).await.unwrap();
    for round in 0..1000_u128 {
        let offer = lab.offer(1, 4, 6);
        assert_eq!(code(lab.hold(order(round), &[offer]).await), "done");
        // Clocks of two machines differ: either may think that the hour has come.
        let confirm_at = at(20) - chrono::Duration::microseconds(random.random_range(0..3));
        let sweep_at = at(20) - chrono::Duration::microseconds(random.random_range(-1..2));
        let race = ExpiryRace { confirm_at, sweep_at, confirm_first: random.random_bool(0.5) };
        let confirm = ConfirmRooms { order_id: order(round), guest_name: "Ada".into() };
        let swept = race.run(&lab.pool, &lab.domain, confirm).await;
        let (status,): (String,) = sqlx::query_as("SELECT status FROM room_hold WHERE order_id = $1")
            .bind(order(round).uuid())
            .fetch_one(&lab.pool)
            .await
            .unwrap();
        match status.as_str() {
            "confirmed" => {
                confirmed += 1;
                assert_eq!(swept, 0, "round {round}");
            }
            "expired" => expired += 1,
            other => panic!("round {round}: {other}"),
        }
        assert_eq!(lab.rooms(1).await, (0, 2 * confirmed), "round {round}");
    }
    assert!(confirmed > 30 && expired > 30, "the seed explores both ends: {confirmed} and {expired}");
}

/// S21 over random histories: several clients hold, release, confirm and sweep at random, with crashes before commit.
#[tokio::test(flavor = "multi_thread")]
async fn rooms_are_conserved_over_random_histories() {
    let lab = Arc::new(Lab::with_rooms("stays_histories", 3, 2).await);
    let mut offers = Vec::new();
    for from in 1..7 {
        for nights in 1..4 {
            offers.push(lab.offer(1, from, from + nights));
            offers.push(lab.offer(2, from, from + nights));
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
    while Accommodation::expire_due(&lab.pool, at(1000)).await.unwrap() > 0 {}
    assert_eq!((lab.rooms(1).await.0, lab.rooms(2).await.0), (0, 0), "nothing is held once everything has run out");
}

async fn live(lab: &Lab, offers: &[AcceptedStay], client: u64) {
    let mut random = StdRng::seed_from_u64(client);
    for _ in 0..60 {
        let order_id = order(u128::from(random.random_range(0..60_u64)));
        let now = at(random.random_range(0..28));
        match random.random_range(0..10) {
            0..4 => {
                let count = random.random_range(1..4);
                let some = (0..count).map(|_| offers[random.random_range(0..offers.len())].clone()).collect();
                run(&lab.pool, &lab.domain, HoldRooms { order_id, offers: some, travellers: 2 }, now).await.unwrap();
            }
            4..6 => {
                run(&lab.pool, &lab.domain, ReleaseRooms { order_id }, now).await.unwrap();
            }
            6..8 => {
                let guest_name = "Ada".to_owned();
                run(&lab.pool, &lab.domain, ConfirmRooms { order_id, guest_name }, now).await.unwrap();
            }
            8 => {
                Accommodation::expire_due(&lab.pool, now).await.unwrap();
            }
            _ => {
                // A crash after the work and before the commit.
                let mut tx = lab.pool.begin().await.unwrap();
                lab.domain.handle(&mut tx, ReleaseRooms { order_id }, &mut context(now)).await.unwrap();
                tx.rollback().await.unwrap();
            }
        }
    }
}
