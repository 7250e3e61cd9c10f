//! Holding, releasing, confirming and expiring rooms, one after another.

use std::{sync::Arc, time::Duration};

use chrono::TimeDelta;
use contract::{
    Money, Outcome, StayOfferId,
    accommodation::{
        AcceptedStay, ConfirmRooms, HoldRooms, REFUSED_HOLD_EXISTS, REFUSED_HOLD_EXPIRED, REFUSED_HOLD_UNKNOWN,
        REFUSED_OFFER_ALTERED, REFUSED_OFFER_EXPIRED, REFUSED_OFFER_UNKNOWN, REFUSED_PRICE_CHANGED, REFUSED_SOLD_OUT,
        REFUSED_TRAVELLERS_MISMATCH, ReleaseRooms, RoomsHeld,
    },
};
use kit::clock::Clock;
use tokio_util::sync::CancellationToken;
use worker_accommodation::{Accommodation, Settings, domain};
use worker_runtime::{
    Holds, next_expiry, sweep_holds,
    testkit::{
        Harness, ManualClock, action_of_a_new_saga,
        lab::{at, code, euros, offer_keys, order},
    },
};

use crate::common::{Lab, assert_conserved, night, offer, put_on_sale};

#[tokio::test]
async fn a_held_room_becomes_a_booking() {
    let lab = Lab::with_rooms("stays_booking", 2, 1).await;
    let offers = [lab.offer(1, 3, 6), lab.offer(1, 6, 8)];
    let Outcome::Done { reply } = lab.hold(order(1), &offers).await else { panic!("refused") };
    assert_eq!(reply.expires_at, at(20));
    assert_eq!(lab.rooms(1).await, (5, 0));
    let Outcome::Done { reply: confirmed } = lab.confirm(order(1), at(19)).await else { panic!("refused") };
    assert_eq!(confirmed.confirmation.len(), 8);
    assert_eq!(lab.rooms(1).await, (0, 5));
    // The same order under another command gets the booking that it has, and nothing is sold twice.
    assert_eq!(lab.confirm(order(1), at(25)).await, Outcome::done(confirmed));
    lab.release(order(1)).await;
    assert_eq!(Accommodation::expire_due(&lab.pool, at(100)).await.unwrap(), 0);
    assert_eq!(lab.rooms(1).await, (0, 5));
}

#[tokio::test]
async fn all_nights_of_all_stays_are_held_or_none() {
    let lab = Lab::with_rooms("stays_all_or_none", 1, 1).await;
    let long = lab.offer(1, 0, 10);
    let inside = lab.offer(1, 4, 5);
    assert_eq!(code(lab.hold(order(1), &[long.clone(), inside.clone()]).await), REFUSED_SOLD_OUT);
    assert_eq!(lab.rooms(1).await, (0, 0));
    assert_eq!(code(lab.hold(order(1), std::slice::from_ref(&inside)).await), "done");
    assert_eq!(code(lab.hold(order(2), &[long]).await), REFUSED_SOLD_OUT);
    // Arrival on the day of another guest's departure, and departure on the day of another guest's arrival.
    assert_eq!(code(lab.hold(order(3), &[lab.offer(1, 5, 7), lab.offer(1, 2, 4)]).await), "done");
    assert_eq!(lab.rooms(1).await, (5, 0));
    assert_eq!(code(lab.hold(order(3), &[lab.offer(1, 20, 21)]).await), REFUSED_HOLD_EXISTS);
    // Beyond the nights that are on sale.
    assert_eq!(code(lab.hold(order(4), &[lab.offer(1, 58, 62)]).await), REFUSED_SOLD_OUT);
    assert_eq!(lab.rooms(1).await, (5, 0));
}

#[tokio::test]
async fn a_release_gives_back_once_even_when_the_property_has_closed() {
    let lab = Lab::with_rooms("stays_release", 2, 1).await;
    let offer = lab.offer(1, 0, 4);
    assert_eq!(code(lab.hold(order(1), &[offer]).await), "done");
    // S12: closed, dearer; what was held is given back all the same.
    sqlx::raw_sql(
        "UPDATE property SET active = false; UPDATE room_type SET active = false; UPDATE rate SET nightly = 9",
    )
    .execute(&lab.pool)
    .await
    .unwrap();
    for _ in 0..3 {
        lab.release(order(1)).await;
        assert_eq!(lab.rooms(1).await, (0, 0));
    }
    lab.release(order(99)).await;
    assert_eq!(code(lab.confirm(order(1), at(1)).await), REFUSED_HOLD_UNKNOWN);
    assert_eq!(code(lab.confirm(order(99), at(1)).await), REFUSED_HOLD_UNKNOWN);
}

#[tokio::test]
async fn what_is_wrong_with_an_offer_is_named() {
    let mut lab = Lab::with_rooms("stays_wrong_offers", 2, 1).await;
    let offer = lab.offer(1, 3, 5);
    let mut tampered = offer.clone();
    tampered.total = euros(1);
    assert_eq!(code(lab.hold(order(1), &[tampered.clone()]).await), REFUSED_PRICE_CHANGED);
    tampered.total = Money::from_parts(200.into(), "JPY").unwrap();
    assert_eq!(code(lab.hold(order(1), &[tampered]).await), REFUSED_PRICE_CHANGED);
    let mut unknown = offer.clone();
    unknown.offer_id = StayOfferId::new(offer.offer_id.uuid(), b"made up");
    assert_eq!(code(lab.hold(order(1), &[offer.clone(), unknown]).await), REFUSED_OFFER_UNKNOWN);
    let mut altered = offer.clone();
    altered.offer_id = StayOfferId::new(kit::ids::uuid_v7(), &offer.offer_id.seal());
    assert_eq!(code(lab.hold(order(1), &[altered]).await), REFUSED_OFFER_ALTERED);
    assert_eq!(code(lab.hold(order(1), &[]).await), REFUSED_OFFER_UNKNOWN);
    lab.now = at(30);
    assert_eq!(code(lab.hold(order(1), std::slice::from_ref(&offer)).await), REFUSED_OFFER_EXPIRED);
    lab.now = at(29);
    sqlx::query("INSERT INTO restriction VALUES (1, daterange($1, $2), 'stop_sell', NULL)")
        .bind(night(4))
        .bind(night(5))
        .execute(&lab.pool)
        .await
        .unwrap();
    assert_eq!(code(lab.hold(order(1), &[offer]).await), REFUSED_SOLD_OUT);
    assert_eq!(lab.rooms(1).await, (0, 0));
}

#[tokio::test]
async fn rooms_are_held_for_as_many_travellers_as_they_were_offered_for() {
    let lab = Lab::with_rooms("stays_travellers", 9, 1).await;
    let (first, second) = (lab.offer(1, 3, 5), lab.offer(1, 3, 5));
    for travellers in [0, 3, 9] {
        let refused = lab.hold_for(travellers, order(1), std::slice::from_ref(&first)).await;
        assert_eq!(code(refused), REFUSED_TRAVELLERS_MISMATCH, "{travellers}");
    }
    assert_eq!(lab.rooms(1).await, (0, 0));
    assert_eq!(code(lab.hold_for(1, order(1), std::slice::from_ref(&first)).await), "done");
    assert_eq!(code(lab.hold_for(4, order(2), &[first, second]).await), "done");
    let longer = [lab.offer(1, 3, 5), lab.offer(1, 3, 6)];
    assert_eq!(code(lab.hold_for(4, order(3), &longer).await), REFUSED_TRAVELLERS_MISMATCH);
    assert_eq!(lab.rooms(1).await, (6, 0));
}

#[tokio::test]
async fn the_sweeper_gives_back_at_its_hour() {
    let lab = Lab::with_rooms("stays_sweeper", 2, 1).await;
    let offer = lab.offer(1, 0, 3);
    assert_eq!(code(lab.hold(order(1), &[offer]).await), "done");
    let clock = Arc::new(ManualClock::new(lab.now));
    let token = CancellationToken::new();
    let (pool, its_clock, its_token) = (lab.pool.clone(), clock.clone(), token.clone());
    let sweeping = tokio::spawn(async move {
        sweep_holds::<Accommodation>(&pool, its_clock.as_ref(), Duration::from_millis(10), its_token).await;
    });
    clock.advance(TimeDelta::minutes(20));
    while lab.rooms(1).await != (0, 0) {
        tokio::task::yield_now().await;
    }
    token.cancel();
    sweeping.await.unwrap();
}

#[tokio::test]
async fn a_hold_that_ran_out_is_given_back_once_and_until_then_it_is_confirmed_however_late_it_is() {
    let lab = Lab::with_rooms("stays_expiry", 2, 1).await;
    let offer = lab.offer(1, 0, 3);
    assert_eq!(next_expiry::<Accommodation>(&lab.pool).await.unwrap(), None);
    lab.hold(order(1), std::slice::from_ref(&offer)).await;
    lab.hold(order(2), &[offer]).await;
    assert_eq!(next_expiry::<Accommodation>(&lab.pool).await.unwrap(), Some(at(20)));
    assert_eq!(Accommodation::expire_due(&lab.pool, at(19)).await.unwrap(), 0);
    // Its hour has come, though the sweeper has not: the room is still there.
    assert_eq!(code(lab.confirm(order(1), at(25)).await), "done");
    assert_eq!(lab.rooms(1).await, (3, 3));
    assert_eq!(Accommodation::expire_due(&lab.pool, at(25)).await.unwrap(), 1);
    assert_eq!(Accommodation::expire_due(&lab.pool, at(25)).await.unwrap(), 0);
    lab.release(order(2)).await;
    assert_eq!(lab.rooms(1).await, (0, 3));
    assert_eq!(next_expiry::<Accommodation>(&lab.pool).await.unwrap(), None);
}

#[tokio::test]
async fn rooms_of_a_hold_that_ran_out_are_taken_again_while_they_are_free_at_their_price() {
    let mut lab = Lab::with_rooms("stays_again", 2, 1).await;
    // A room for some nights and the villa for others.
    let both = [lab.offer(1, 2, 5), lab.offer(2, 5, 7)];
    let expired = async |lab: &Lab, number, offers: &[AcceptedStay]| {
        assert_eq!(code(lab.hold(order(number), offers).await), "done");
        assert_eq!(Accommodation::expire_due(&lab.pool, lab.now + TimeDelta::minutes(20)).await.unwrap(), 1);
    };
    expired(&lab, 1, &both).await;
    let Outcome::Done { reply } = lab.confirm(order(1), at(25)).await else { panic!("refused") };
    assert_eq!(lab.confirm(order(1), at(26)).await, Outcome::done(reply));
    assert_eq!((lab.rooms(1).await, lab.rooms(2).await), ((0, 3), (0, 2)));
    assert_eq!(Accommodation::expire_due(&lab.pool, at(100)).await.unwrap(), 0);

    expired(&lab, 2, &both[..1]).await;
    for (spoil, mend) in [
        ("UPDATE rate SET nightly = nightly + 1", "UPDATE rate SET nightly = nightly - 1"),
        ("UPDATE room_type SET active = false", "UPDATE room_type SET active = true"),
        ("UPDATE property SET active = false", "UPDATE property SET active = true"),
        (
            "UPDATE room_night SET capacity = 1 WHERE room_type_id = 1",
            "UPDATE room_night SET capacity = 2 WHERE room_type_id = 1",
        ),
        (
            "INSERT INTO restriction VALUES (1, daterange('2020-01-01', '2040-01-01'), 'stop_sell', NULL)",
            "DELETE FROM restriction",
        ),
    ] {
        sqlx::raw_sql(spoil).execute(&lab.pool).await.unwrap();
        assert_eq!(code(lab.confirm(order(2), at(25)).await), REFUSED_HOLD_EXPIRED, "{spoil}");
        sqlx::raw_sql(mend).execute(&lab.pool).await.unwrap();
    }
    assert_eq!(lab.rooms(1).await, (0, 3));
    // Two want the last room again: the first one of the set has it.
    lab.now = at(5);
    expired(&lab, 3, &both[..1]).await;
    let confirm = |number| ConfirmRooms { order_id: order(number), guest_name: "Ada".into() };
    let outcomes = lab.run_set(vec![confirm(3), confirm(2), confirm(1), confirm(9)], at(45)).await;
    let codes: Vec<_> = outcomes.into_iter().map(code).collect();
    assert_eq!(codes, ["done", REFUSED_HOLD_EXPIRED, "done", REFUSED_HOLD_UNKNOWN]);
    assert_eq!((lab.rooms(1).await, lab.rooms(2).await), ((0, 6), (0, 2)));
    // A hold that was given back is not taken again.
    let free = [lab.offer(1, 20, 22)];
    assert_eq!(code(lab.hold(order(4), &free).await), "done");
    lab.release(order(4)).await;
    assert_eq!(code(lab.confirm(order(4), at(45)).await), REFUSED_HOLD_UNKNOWN);
}

#[tokio::test]
async fn a_set_is_held_released_and_confirmed_each_member_by_itself() {
    let lab = Lab::with_rooms("stays_sets", 1, 2).await;
    let hold = |number, travellers, offers: &[AcceptedStay]| HoldRooms {
        order_id: order(number),
        offers: offers.to_vec(),
        travellers,
    };
    let (early, late, over) = (lab.offer(1, 0, 3), lab.offer(1, 3, 5), lab.offer(1, 2, 4));
    let villa = lab.offer(2, 0, 3);
    let codes = |outcomes: Vec<Outcome<RoomsHeld>>| outcomes.into_iter().map(code).collect::<Vec<_>>();
    let set = vec![
        hold(1, 2, &[early, villa.clone()]),
        hold(2, 2, &[over]),
        hold(3, 9, std::slice::from_ref(&late)),
        hold(1, 2, std::slice::from_ref(&villa)),
        hold(4, 2, &[late]),
        hold(5, 2, &[villa]),
    ];
    let held = codes(lab.run_set(set, at(0)).await);
    assert_eq!(held, ["done", REFUSED_SOLD_OUT, REFUSED_TRAVELLERS_MISMATCH, REFUSED_HOLD_EXISTS, "done", "done"]);
    assert_eq!((lab.rooms(1).await, lab.rooms(2).await), ((5, 0), (6, 0)));
    let release = |number| ReleaseRooms { order_id: order(number) };
    lab.run_set(vec![release(4), release(99), release(2)], at(1)).await;
    assert_eq!(lab.rooms(1).await, (3, 0));
    let confirm = |number| ConfirmRooms { order_id: order(number), guest_name: format!("Ada {number}") };
    let outcomes = lab.run_set(vec![confirm(5), confirm(4), confirm(1)], at(1)).await;
    let confirmed: Vec<_> = outcomes.into_iter().map(code).collect();
    assert_eq!(confirmed, ["done", REFUSED_HOLD_UNKNOWN, "done"]);
    assert_eq!((lab.rooms(1).await, lab.rooms(2).await), ((0, 3), (0, 6)));
    let names: Vec<String> =
        sqlx::query_scalar("SELECT guest_name FROM stay_booking ORDER BY order_id").fetch_all(&lab.pool).await.unwrap();
    assert_eq!(names, ["Ada 1", "Ada 5"]);
}

#[tokio::test]
async fn holds_that_ended_without_a_booking_are_removed_with_their_lines_and_no_others() {
    let lab = Lab::with_rooms("stays_ended", 4, 1).await;
    let offer = lab.offer(1, 0, 1);
    for number in 1..=4 {
        assert_eq!(code(lab.hold(order(number), std::slice::from_ref(&offer)).await), "done");
    }
    assert_eq!(code(lab.confirm(order(1), at(1)).await), "done");
    lab.release(order(2)).await;
    assert_eq!(Accommodation::expire_due(&lab.pool, at(20)).await.unwrap(), 2);
    let remove = |ended_before, rows_max: i64| {
        sqlx::query(Accommodation::DELETE_ENDED_HOLDS).bind(ended_before).bind(rows_max).execute(&lab.pool)
    };
    assert_eq!(remove(lab.now, 10).await.unwrap().rows_affected(), 0);
    assert_eq!(remove(at(21), 2).await.unwrap().rows_affected(), 2);
    assert_eq!(remove(at(21), 2).await.unwrap().rows_affected(), 1);
    assert_eq!(remove(at(21), 2).await.unwrap().rows_affected(), 0);
    let left = "SELECT (SELECT count(*) FROM room_hold), (SELECT count(*) FROM room_hold_line)";
    assert_eq!(sqlx::query_as::<_, (i64, i64)>(left).fetch_one(&lab.pool).await.unwrap(), (1, 1));
    assert_conserved(&lab.pool).await;
}

#[tokio::test]
async fn the_tables_refuse_what_the_program_must_not_do() {
    let lab = Lab::with_rooms("stays_constraints", 1, 1).await;
    let offer = lab.offer(1, 0, 2);
    lab.hold(order(1), &[offer]).await;
    for wrong in [
        "UPDATE room_night SET held = held + 1 WHERE held = 1",
        "UPDATE room_night SET held = -1",
        "UPDATE room_night SET sold = sold + 2",
        "UPDATE room_night SET capacity = 0",
        "UPDATE room_hold_line SET check_out = check_out + 1",
        "UPDATE room_hold SET status = 'confirmed'",
        "DELETE FROM room_hold",
        "INSERT INTO rate VALUES (1, daterange('2026-01-01', '2026-02-01'), 1)",
    ] {
        assert!(sqlx::raw_sql(wrong).execute(&lab.pool).await.is_err(), "{wrong}");
    }
    let (count, right): (i64, bool) = sqlx::query_as(
        "SELECT count(DISTINCT code), bool_and(code ~ '^[A-HJ-NP-Z2-9]{8}$')
         FROM (SELECT confirmation_code(n) AS code FROM generate_series(1, 10000) n
               UNION ALL SELECT confirmation_code(1099511627775 - n) FROM generate_series(0, 9999) n) l",
    )
    .fetch_one(&lab.pool)
    .await
    .unwrap();
    assert_eq!((count, right), (20_000, true));
}

#[tokio::test]
async fn nights_of_a_month_ago_are_removed() {
    let database = private_servers::testing::database("stays_past").await;
    let clock = Arc::new(ManualClock::new(at(0)));
    let harness = Harness::open(domain(&Settings::default(), offer_keys(), false), &database, clock.clone()).await;
    put_on_sale(harness.pool(), 2, 1).await;
    clock.advance(TimeDelta::days(30));
    assert_eq!(harness.prune().await, 0);
    clock.advance(TimeDelta::days(10));
    // Two room types.
    assert_eq!(harness.prune().await, 20);
    assert_eq!(harness.prune().await, 0);
    assert_conserved(harness.pool()).await;
}

#[tokio::test]
async fn stays_are_removed_when_their_sale_is_forgotten() {
    let database = private_servers::testing::database("stays_forgotten").await;
    let clock = Arc::new(ManualClock::new(at(0)));
    let harness = Harness::open(domain(&Settings::default(), offer_keys(), false), &database, clock.clone()).await;
    put_on_sale(harness.pool(), 2, 1).await;
    let offers = vec![offer(1, 2, 4), offer(2, 4, 10)];
    let hold = HoldRooms { order_id: order(1), offers, travellers: 2 };
    harness.deliver(&action_of_a_new_saga("hold-rooms"), &hold).await;
    let confirm = ConfirmRooms { order_id: order(1), guest_name: "Ada Lovelace".into() };
    harness.deliver(&action_of_a_new_saga("confirm-rooms"), &confirm).await;
    for (days, expected) in [(3_663, [1, 2, 1, 1]), (3_664, [0, 0, 0, 0])] {
        clock.advance(at(0) + TimeDelta::days(days) - clock.now());
        harness.prune().await;
        let tables = "SELECT ARRAY[(SELECT count(*) FROM room_hold), (SELECT count(*) FROM room_hold_line),
                                   (SELECT count(*) FROM stay_booking), (SELECT count(*) FROM unit_stay)]";
        let left: Vec<i64> = sqlx::query_scalar(tables).fetch_one(harness.pool()).await.unwrap();
        assert_eq!(left, expected, "after {days} days");
        assert_conserved(harness.pool()).await;
    }
}
