//! Holding, releasing, confirming and expiring seats, one after another.

use std::{sync::Arc, time::Duration};

use chrono::TimeDelta;
use contract::{
    FlightOfferId, Money, Outcome,
    flights::{
        REFUSED_HOLD_EXISTS, REFUSED_HOLD_EXPIRED, REFUSED_HOLD_UNKNOWN, REFUSED_OFFER_ALTERED, REFUSED_OFFER_EXPIRED,
        REFUSED_OFFER_UNKNOWN, REFUSED_PRICE_CHANGED, REFUSED_SOLD_OUT, REFUSED_TRAVELLERS_MISMATCH,
    },
};
use tokio_util::sync::CancellationToken;
use worker_flights::Flights;
use worker_runtime::{
    Holds, next_expiry, sweep_holds,
    testkit::{
        ManualClock,
        lab::{at, code, euros, order},
    },
};

use crate::common::{Lab, assert_conserved};

#[tokio::test]
async fn a_held_seat_becomes_a_ticket() {
    let lab = Lab::with_seats("flights_ticket", &[5, 5]).await;
    let offers = [lab.offer(1, 2).await, lab.offer(2, 2).await];
    let Outcome::Done { reply } = lab.hold(2, order(1), &offers).await else { panic!("refused") };
    assert_eq!(reply.expires_at, at(20));
    assert_eq!((lab.seats(1).await, lab.seats(2).await), ((2, 0), (2, 0)));

    let Outcome::Done { reply: confirmed } = lab.confirm(order(1), 2, at(19)).await else { panic!("refused") };
    assert_eq!((lab.seats(1).await, lab.seats(2).await), ((0, 2), (0, 2)));
    assert_eq!(confirmed.booking_reference.len(), 6);
    assert_eq!(confirmed.tickets.len(), 4);
    assert!(confirmed.tickets.iter().all(|ticket| ticket.len() == 13 && ticket.starts_with("901")));

    // The same order under another command gets the booking that it has, and nothing is sold twice.
    assert_eq!(lab.confirm(order(1), 2, at(25)).await, Outcome::done(confirmed));
    // A compensation of a confirmed order has nothing to release.
    lab.release(order(1)).await;
    assert_eq!(Flights::expire_due(&lab.pool, at(100)).await.unwrap(), 0);
    assert_eq!(lab.seats(1).await, (0, 2));
}

#[tokio::test]
async fn all_flights_are_held_or_none() {
    let lab = Lab::with_seats("flights_all_or_none", &[9, 1]).await;
    let offers = [lab.offer(1, 2).await, lab.offer(2, 2).await];
    assert_eq!(code(lab.hold(2, order(1), &offers).await), REFUSED_SOLD_OUT);
    assert_eq!((lab.seats(1).await, lab.seats(2).await), ((0, 0), (0, 0)));
    let twice = [offers[0].clone(), offers[0].clone()];
    assert_eq!(code(lab.hold(2, order(2), &twice).await), "done");
    assert_eq!(lab.seats(1).await, (4, 0));
    assert_eq!(code(lab.hold(2, order(2), &twice[..1]).await), REFUSED_HOLD_EXISTS);
    assert_eq!(lab.seats(1).await, (4, 0));
}

#[tokio::test]
async fn a_release_gives_back_once_even_when_the_flight_is_off_sale() {
    let lab = Lab::with_seats("flights_release", &[5]).await;
    let offer = lab.offer(1, 3).await;
    assert_eq!(code(lab.hold(3, order(1), std::slice::from_ref(&offer)).await), "done");
    // S12: off sale, dearer; what was held is given back all the same.
    sqlx::raw_sql("UPDATE flight SET active = false; UPDATE cabin_inventory SET fare = 9")
        .execute(&lab.pool)
        .await
        .unwrap();
    for _ in 0..3 {
        lab.release(order(1)).await;
        assert_eq!(lab.seats(1).await, (0, 0));
    }
    lab.release(order(99)).await;
    assert_eq!(code(lab.confirm(order(1), 3, at(1)).await), REFUSED_HOLD_UNKNOWN);
    assert_eq!(lab.seats(1).await, (0, 0));
}

#[tokio::test]
async fn what_is_wrong_with_an_offer_is_named() {
    let mut lab = Lab::with_seats("flights_wrong_offers", &[2]).await;
    let offer = lab.offer(1, 1).await;

    let mut tampered = offer.clone();
    tampered.total = euros(1);
    assert_eq!(code(lab.hold(1, order(1), &[tampered.clone()]).await), REFUSED_PRICE_CHANGED);
    tampered.total = Money::from_parts(1000.into(), "JPY").unwrap();
    assert_eq!(code(lab.hold(1, order(1), &[tampered]).await), REFUSED_PRICE_CHANGED);

    let mut unknown = offer.clone();
    unknown.offer_id = FlightOfferId::new(offer.offer_id.uuid(), b"made up");
    assert_eq!(code(lab.hold(1, order(1), &[offer.clone(), unknown]).await), REFUSED_OFFER_UNKNOWN);
    let mut altered = offer.clone();
    altered.offer_id = FlightOfferId::new(kit::ids::uuid_v7(), &offer.offer_id.seal());
    assert_eq!(code(lab.hold(1, order(1), &[altered]).await), REFUSED_OFFER_ALTERED);
    assert_eq!(code(lab.hold(1, order(1), &[]).await), REFUSED_OFFER_UNKNOWN);

    lab.now = at(30);
    assert_eq!(code(lab.hold(1, order(1), std::slice::from_ref(&offer)).await), REFUSED_OFFER_EXPIRED);
    lab.now = at(29);
    sqlx::query("UPDATE flight SET departs_at = $1").bind(at(28)).execute(&lab.pool).await.unwrap();
    assert_eq!(code(lab.hold(1, order(1), std::slice::from_ref(&offer)).await), REFUSED_SOLD_OUT, "it has left");
    sqlx::query("UPDATE flight SET departs_at = $1").bind(at(90)).execute(&lab.pool).await.unwrap();
    sqlx::query("UPDATE flight SET active = false").execute(&lab.pool).await.unwrap();
    assert_eq!(code(lab.hold(1, order(1), &[offer]).await), REFUSED_SOLD_OUT);
    assert_eq!(lab.seats(1).await, (0, 0));
}

#[tokio::test]
async fn seats_are_held_for_as_many_travellers_as_they_were_offered_for() {
    let lab = Lab::with_seats("flights_travellers", &[20, 20]).await;
    let (out, back) = (lab.offer(1, 2).await, lab.offer(2, 2).await);
    let both = [out.clone(), back];
    for travellers in [0, 1, 3, 4] {
        assert_eq!(code(lab.hold(travellers, order(1), &both).await), REFUSED_TRAVELLERS_MISMATCH, "{travellers}");
    }
    let (alone, three) = (lab.offer(2, 1).await, lab.offer(2, 3).await);
    for other in [alone, three] {
        assert_eq!(code(lab.hold(2, order(1), &[out.clone(), other]).await), REFUSED_TRAVELLERS_MISMATCH);
    }
    assert_eq!((lab.seats(1).await, lab.seats(2).await), ((0, 0), (0, 0)));
    assert_eq!(code(lab.hold(2, order(1), &both).await), "done");
}

#[tokio::test]
async fn the_sweeper_gives_back_at_its_hour() {
    let lab = Lab::with_seats("flights_sweeper", &[5]).await;
    let offer = lab.offer(1, 2).await;
    assert_eq!(code(lab.hold(2, order(1), &[offer]).await), "done");
    let clock = Arc::new(ManualClock::new(lab.now));
    let token = CancellationToken::new();
    let (pool, its_clock, its_token) = (lab.pool.clone(), clock.clone(), token.clone());
    let sweeping = tokio::spawn(async move {
        sweep_holds::<Flights>(&pool, its_clock.as_ref(), Duration::from_millis(10), its_token).await;
    });
    clock.advance(TimeDelta::minutes(20));
    while lab.seats(1).await != (0, 0) {
        tokio::task::yield_now().await;
    }
    token.cancel();
    sweeping.await.unwrap();
    assert_eq!(code(lab.confirm(order(1), 2, at(1)).await), REFUSED_HOLD_EXPIRED);
}

#[tokio::test]
async fn a_hold_that_ran_out_is_given_back_once_and_never_confirmed() {
    let lab = Lab::with_seats("flights_expiry", &[5]).await;
    let offer = lab.offer(1, 2).await;
    assert_eq!(next_expiry::<Flights>(&lab.pool).await.unwrap(), None);
    lab.hold(2, order(1), &[offer]).await;
    assert_eq!(next_expiry::<Flights>(&lab.pool).await.unwrap(), Some(at(20)));
    assert_eq!(Flights::expire_due(&lab.pool, at(19)).await.unwrap(), 0);

    // Its hour has come, though the sweeper has not: too late all the same.
    assert_eq!(code(lab.confirm(order(1), 2, at(20)).await), REFUSED_HOLD_EXPIRED);
    assert_eq!(lab.seats(1).await, (2, 0));
    assert_eq!(Flights::expire_due(&lab.pool, at(20)).await.unwrap(), 1);
    assert_eq!(Flights::expire_due(&lab.pool, at(20)).await.unwrap(), 0);
    assert_eq!(code(lab.confirm(order(1), 2, at(19)).await), REFUSED_HOLD_EXPIRED);
    lab.release(order(1)).await;
    assert_eq!(lab.seats(1).await, (0, 0));
    assert_eq!(next_expiry::<Flights>(&lab.pool).await.unwrap(), None);
}

#[tokio::test]
async fn a_ticket_needs_a_name_and_a_name_a_seat() {
    let lab = Lab::with_seats("flights_names", &[5]).await;
    let offer = lab.offer(1, 2).await;
    lab.hold(2, order(1), &[offer]).await;
    for travellers in [0, 1, 3] {
        assert_eq!(code(lab.confirm(order(1), travellers, at(1)).await), REFUSED_TRAVELLERS_MISMATCH);
    }
    assert_eq!(lab.seats(1).await, (2, 0));
    assert_eq!(code(lab.confirm(order(1), 2, at(1)).await), "done");
    assert_eq!(code(lab.confirm(order(7), 2, at(1)).await), REFUSED_HOLD_UNKNOWN);
}

#[tokio::test]
async fn holds_that_ended_without_a_booking_are_removed_with_their_lines_and_no_others() {
    let lab = Lab::with_seats("flights_ended", &[8]).await;
    let offer = lab.offer(1, 2).await;
    for number in 1..=4 {
        assert_eq!(code(lab.hold(2, order(number), std::slice::from_ref(&offer)).await), "done");
    }
    assert_eq!(code(lab.confirm(order(1), 2, at(1)).await), "done");
    lab.release(order(2)).await;
    assert_eq!(Flights::expire_due(&lab.pool, at(20)).await.unwrap(), 2);
    let remove = |ended_before, rows_max: i64| {
        sqlx::query(Flights::DELETE_ENDED_HOLDS).bind(ended_before).bind(rows_max).execute(&lab.pool)
    };
    assert_eq!(remove(lab.now, 10).await.unwrap().rows_affected(), 0);
    assert_eq!(remove(at(21), 2).await.unwrap().rows_affected(), 2);
    assert_eq!(remove(at(21), 2).await.unwrap().rows_affected(), 1);
    assert_eq!(remove(at(21), 2).await.unwrap().rows_affected(), 0);
    let left = "SELECT (SELECT count(*) FROM seat_hold), (SELECT count(*) FROM seat_hold_line)";
    assert_eq!(sqlx::query_as::<_, (i64, i64)>(left).fetch_one(&lab.pool).await.unwrap(), (1, 1));
    assert_conserved(&lab.pool).await;
}

#[tokio::test]
async fn the_tables_refuse_what_the_program_must_not_do() {
    let lab = Lab::with_seats("flights_constraints", &[2]).await;
    let offer = lab.offer(1, 2).await;
    lab.hold(2, order(1), &[offer]).await;
    for wrong in [
        "UPDATE cabin_inventory SET held = held + 1",
        "UPDATE cabin_inventory SET held = -1",
        "UPDATE cabin_inventory SET sold = sold + 1",
        "UPDATE cabin_inventory SET capacity = 1",
        "UPDATE seat_hold_line SET seats = 1",
        "UPDATE seat_hold SET status = 'confirmed'",
        "DELETE FROM seat_hold",
    ] {
        assert!(sqlx::raw_sql(wrong).execute(&lab.pool).await.is_err(), "{wrong}");
    }
    assert_eq!(lab.seats(1).await, (2, 0));
}

#[tokio::test]
async fn ten_thousand_record_locators_are_all_different() {
    let lab = Lab::with_seats("flights_locators", &[1]).await;
    let (count, right): (i64, bool) = sqlx::query_as(
        "SELECT count(DISTINCT locator), bool_and(locator ~ '^[A-HJ-NP-Z2-9]{6}$')
         FROM (SELECT record_locator(n) AS locator FROM generate_series(1, 10000) n
               UNION ALL SELECT record_locator(1073741823 - n) FROM generate_series(0, 9999) n) l",
    )
    .fetch_one(&lab.pool)
    .await
    .unwrap();
    assert_eq!((count, right), (20_000, true));
}
