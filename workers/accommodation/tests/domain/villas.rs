//! Named villas: assigned at confirmation, never to two parties at once, and always found when the counters say so.

use std::{collections::BTreeMap, sync::Arc};

use contract::accommodation::ConfirmRooms;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use uuid::Uuid;
use worker_runtime::{
    Handler,
    testkit::lab::{at, code, context, order},
};

use crate::common::{Lab, night};

async fn villas(lab: &Lab) -> BTreeMap<u128, i32> {
    let rows: Vec<(Uuid, i32)> =
        sqlx::query_as("SELECT order_id, unit_id FROM unit_stay").fetch_all(&lab.pool).await.unwrap();
    rows.into_iter().map(|(order, unit)| (order.as_u128(), unit)).collect()
}

async fn book(lab: &Lab, number: u128, from: u64, until: u64) {
    let offer = lab.offer(2, from, until);
    assert_eq!(code(lab.hold(order(number), &[offer]).await), "done", "{number}");
    assert_eq!(code(lab.confirm(order(number), at(1)).await), "done", "{number}");
}

#[tokio::test]
async fn two_stays_in_one_villa_can_touch_but_never_overlap() {
    let lab = Lab::with_rooms("villas_exclusion", 1, 1).await;
    book(&lab, 1, 3, 6).await;
    book(&lab, 2, 6, 9).await;
    assert_eq!(villas(&lab).await.len(), 2);
    // A program that tries it all the same meets the constraint.
    let overlap = sqlx::query("UPDATE unit_stay SET stay = daterange($1, $2) WHERE order_id = $3")
        .bind(night(5))
        .bind(night(7))
        .bind(order(2).uuid())
        .execute(&lab.pool)
        .await
        .unwrap_err();
    assert_eq!(overlap.as_database_error().unwrap().code().unwrap(), "23P01");
    lab.rooms(2).await;
}

#[tokio::test]
async fn guests_move_before_their_arrival_so_that_every_sold_stay_has_a_villa() {
    let lab = Lab::with_rooms("villas_moved", 1, 2).await;
    book(&lab, 1, 10, 16).await;
    book(&lab, 2, 10, 13).await;
    book(&lab, 3, 13, 16).await;
    let before = villas(&lab).await;
    assert_ne!(before[&1], before[&2]);
    // Leaves 2 and 3 in different villas, as an operator might: neither villa is free for all of 10 to 16.
    sqlx::raw_sql("DELETE FROM unit_stay").execute(&lab.pool).await.unwrap();
    for (number, unit, from, until) in [(2_u128, before[&2], 10, 13), (3, before[&1], 13, 16)] {
        sqlx::query("INSERT INTO unit_stay VALUES ($1, 1, $2, daterange($3, $4))")
            .bind(order(number).uuid())
            .bind(unit)
            .bind(night(from))
            .bind(night(until))
            .execute(&lab.pool)
            .await
            .unwrap();
    }
    sqlx::raw_sql(
        "DELETE FROM stay_booking WHERE order_id = '00000000-0000-0000-0000-000000000001';
         UPDATE room_hold SET status = 'held', closed_at = NULL
             WHERE order_id = '00000000-0000-0000-0000-000000000001';
         UPDATE room_night SET held = 1, sold = sold - 1 WHERE room_type_id = 2 AND sold > 0",
    )
    .execute(&lab.pool)
    .await
    .unwrap();
    assert_eq!(code(lab.confirm(order(1), at(2)).await), "done");
    let after = villas(&lab).await;
    assert_eq!(after[&2], after[&3]);
    assert_ne!(after[&1], after[&2]);
    lab.rooms(2).await;
}

#[tokio::test]
async fn no_villa_beyond_the_counters_is_ever_sold() {
    let lab = Lab::with_rooms("villas_promise", 1, 2).await;
    sqlx::raw_sql("DELETE FROM unit WHERE name = 'Villa 2'").execute(&lab.pool).await.unwrap();
    book(&lab, 1, 0, 3).await;
    let offer = lab.offer(2, 1, 2);
    assert_eq!(code(lab.hold(order(2), &[offer]).await), "done");
    // A villa was taken out of service without its nights: a fault for people to look at, and nothing changed.
    let mut tx = lab.pool.begin().await.unwrap();
    let confirm = ConfirmRooms { order_id: order(2), guest_name: "Ada".into() };
    let failed = lab.domain.handle(&mut tx, confirm, &mut context(at(1))).await;
    assert!(failed.unwrap_err().to_string().contains("more stays than its 1 villas"));
    tx.rollback().await.unwrap();
    assert_eq!(lab.rooms(2).await, (1, 3));
}

/// Many confirm at once, in random order, on nights that are nearly full: every confirmation finds its villa.
#[tokio::test(flavor = "multi_thread")]
async fn parallel_confirmations_share_out_the_villas() {
    let lab = Arc::new(Lab::with_rooms("villas_parallel", 1, 4).await);
    let mut random = StdRng::seed_from_u64(7);
    let mut held = Vec::new();
    for number in 0..120_u128 {
        let from = random.random_range(1..40);
        let offer = lab.offer(2, from, from + random.random_range(1..8));
        if code(lab.hold(order(number), &[offer]).await) == "done" {
            held.push(number);
        }
    }
    assert!(held.len() > 30, "the nights fill up: {}", held.len());
    let confirmations = held.iter().map(|number| {
        let (lab, number) = (Arc::clone(&lab), *number);
        tokio::spawn(async move { code(lab.confirm(order(number), at(1)).await) })
    });
    for confirmation in confirmations.collect::<Vec<_>>() {
        assert_eq!(confirmation.await.unwrap(), "done");
    }
    assert_eq!(villas(&lab).await.len(), held.len());
    assert_eq!(lab.rooms(2).await.0, 0);
}
