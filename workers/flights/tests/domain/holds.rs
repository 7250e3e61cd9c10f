//! Holding, releasing, confirming and expiring seats, one after another.

use std::{sync::Arc, time::Duration};

use chrono::TimeDelta;
use contract::{
    FlightOfferId, Money, Outcome,
    flights::{
        AcceptedFlight, ConfirmSeats, HoldSeats, REFUSED_HOLD_EXISTS, REFUSED_HOLD_EXPIRED, REFUSED_HOLD_UNKNOWN,
        REFUSED_OFFER_ALTERED, REFUSED_OFFER_EXPIRED, REFUSED_OFFER_UNKNOWN, REFUSED_PRICE_CHANGED, REFUSED_SOLD_OUT,
        REFUSED_TRAVELLERS_MISMATCH, ReleaseSeats, SeatsHeld,
    },
};
use kit::clock::Clock;
use tokio_util::sync::CancellationToken;
use worker_flights::{Flights, Settings, domain};
use worker_runtime::{
    Holds, next_expiry, sweep_holds,
    testkit::{
        Harness, ManualClock, action_of_a_new_saga,
        lab::{at, code, euros, offer_keys, order},
    },
};

use crate::common::{Lab, assert_conserved, offer, people, put_on_sale};

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
}

#[tokio::test]
async fn a_hold_that_ran_out_is_given_back_once_and_until_then_it_is_confirmed_however_late_it_is() {
    let lab = Lab::with_seats("flights_expiry", &[5]).await;
    let offer = lab.offer(1, 2).await;
    assert_eq!(next_expiry::<Flights>(&lab.pool).await.unwrap(), None);
    lab.hold(2, order(1), std::slice::from_ref(&offer)).await;
    lab.hold(2, order(2), &[offer]).await;
    assert_eq!(next_expiry::<Flights>(&lab.pool).await.unwrap(), Some(at(20)));
    assert_eq!(Flights::expire_due(&lab.pool, at(19)).await.unwrap(), 0);
    // Its hour has come, though the sweeper has not: the seats are still there.
    assert_eq!(code(lab.confirm(order(1), 2, at(25)).await), "done");
    assert_eq!(lab.seats(1).await, (2, 2));
    assert_eq!(Flights::expire_due(&lab.pool, at(25)).await.unwrap(), 1);
    assert_eq!(Flights::expire_due(&lab.pool, at(25)).await.unwrap(), 0);
    lab.release(order(2)).await;
    assert_eq!(lab.seats(1).await, (0, 2));
    assert_eq!(next_expiry::<Flights>(&lab.pool).await.unwrap(), None);
}

#[tokio::test]
async fn seats_of_a_hold_that_ran_out_are_taken_again_while_they_are_free_at_their_price() {
    let mut lab = Lab::with_seats("flights_again", &[4, 4]).await;
    let both = [lab.offer(1, 2).await, lab.offer(2, 2).await];
    let expired = async |lab: &Lab, number| {
        assert_eq!(code(lab.hold(2, order(number), &both).await), "done");
        assert_eq!(Flights::expire_due(&lab.pool, at(20)).await.unwrap(), 1);
    };
    expired(&lab, 1).await;
    let Outcome::Done { reply } = lab.confirm(order(1), 2, at(25)).await else { panic!("refused") };
    assert_eq!(reply.tickets.len(), 4);
    assert_eq!(lab.confirm(order(1), 2, at(26)).await, Outcome::done(reply));
    assert_eq!((lab.seats(1).await, lab.seats(2).await), ((0, 2), (0, 2)));
    assert_eq!(Flights::expire_due(&lab.pool, at(100)).await.unwrap(), 0);

    expired(&lab, 2).await;
    assert_eq!(code(lab.confirm(order(2), 3, at(25)).await), REFUSED_TRAVELLERS_MISMATCH);
    for (spoil, mend) in [
        ("UPDATE cabin_inventory SET fare = fare + 1", "UPDATE cabin_inventory SET fare = fare - 1"),
        ("UPDATE flight SET active = false WHERE number = 2", "UPDATE flight SET active = true"),
        ("UPDATE cabin_inventory SET capacity = 3", "UPDATE cabin_inventory SET capacity = 4"),
    ] {
        sqlx::raw_sql(spoil).execute(&lab.pool).await.unwrap();
        assert_eq!(code(lab.confirm(order(2), 2, at(25)).await), REFUSED_HOLD_EXPIRED, "{spoil}");
        sqlx::raw_sql(mend).execute(&lab.pool).await.unwrap();
    }
    assert_eq!((lab.seats(1).await, lab.seats(2).await), ((0, 2), (0, 2)));
    assert_eq!(code(lab.confirm(order(2), 2, at(60 * 24 * 40)).await), REFUSED_HOLD_EXPIRED, "it has left");
    // Two want the last seats again: the first one of the set has them.
    lab.now = at(21);
    assert_eq!(code(lab.hold(2, order(3), &both).await), "done");
    assert_eq!(Flights::expire_due(&lab.pool, at(41)).await.unwrap(), 1);
    let confirm = |number| ConfirmSeats { order_id: order(number), travellers: people(2) };
    let outcomes = lab.run_set(vec![confirm(3), confirm(2), confirm(1), confirm(9)], at(45)).await;
    let codes: Vec<_> = outcomes.into_iter().map(code).collect();
    assert_eq!(codes, ["done", REFUSED_HOLD_EXPIRED, "done", REFUSED_HOLD_UNKNOWN]);
    assert_eq!((lab.seats(1).await, lab.seats(2).await), ((0, 4), (0, 4)));
    // A hold that was given back is not taken again.
    sqlx::raw_sql("UPDATE cabin_inventory SET capacity = 9").execute(&lab.pool).await.unwrap();
    assert_eq!(code(lab.hold(2, order(4), &both).await), "done");
    lab.release(order(4)).await;
    assert_eq!(code(lab.confirm(order(4), 2, at(45)).await), REFUSED_HOLD_UNKNOWN);
}

#[tokio::test]
async fn a_set_is_held_released_and_confirmed_each_member_by_itself() {
    let lab = Lab::with_seats("flights_sets", &[3]).await;
    let (one, two) = (lab.offer(1, 1).await, lab.offer(1, 2).await);
    let hold = |number, travellers, offer: &AcceptedFlight| HoldSeats {
        order_id: order(number),
        offers: vec![offer.clone()],
        travellers,
    };
    let codes = |outcomes: Vec<Outcome<SeatsHeld>>| outcomes.into_iter().map(code).collect::<Vec<_>>();
    let set = vec![hold(1, 2, &two), hold(2, 2, &two), hold(3, 9, &one), hold(1, 1, &one), hold(4, 1, &one)];
    let held = codes(lab.run_set(set, at(0)).await);
    assert_eq!(held, ["done", REFUSED_SOLD_OUT, REFUSED_TRAVELLERS_MISMATCH, REFUSED_HOLD_EXISTS, "done"]);
    assert_eq!(lab.seats(1).await, (3, 0));
    // The order has a hold by now: the others go on.
    let held = codes(lab.run_set(vec![hold(4, 1, &one), hold(5, 1, &one)], at(0)).await);
    assert_eq!(held, [REFUSED_HOLD_EXISTS, REFUSED_SOLD_OUT]);
    let release = |number| ReleaseSeats { order_id: order(number) };
    lab.run_set(vec![release(1), release(99), release(2)], at(1)).await;
    assert_eq!(lab.seats(1).await, (1, 0));
    let confirm = |number, travellers| ConfirmSeats { order_id: order(number), travellers: people(travellers) };
    let outcomes = lab.run_set(vec![confirm(1, 2), confirm(4, 2), confirm(99, 1)], at(1)).await;
    let confirmed: Vec<_> = outcomes.into_iter().map(code).collect();
    assert_eq!(confirmed, [REFUSED_HOLD_UNKNOWN, REFUSED_TRAVELLERS_MISMATCH, REFUSED_HOLD_UNKNOWN]);
    assert_eq!(code(lab.confirm(order(4), 1, at(1)).await), "done");
    assert_eq!(lab.seats(1).await, (0, 1));
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

#[tokio::test]
async fn flights_that_left_a_month_ago_are_removed_and_booked_ones_when_their_sale_is_forgotten() {
    let database = private_servers::testing::database("flights_past").await;
    let clock = Arc::new(ManualClock::new(at(0)));
    let harness = Harness::open(domain(&Settings::default(), offer_keys(), false), &database, clock.clone()).await;
    put_on_sale(harness.pool(), &[5, 5, 5]).await;
    // Flight 3 leaves a month after the others, and somebody flies on 2 and on 3.
    let later =
        "UPDATE flight SET departs_at = departs_at + interval '30 days', arrives_at = arrives_at + interval '30 days'
                 WHERE number = 3";
    sqlx::raw_sql(later).execute(harness.pool()).await.unwrap();
    let offers = vec![offer(harness.pool(), 2, 1).await, offer(harness.pool(), 3, 1).await];
    let hold = HoldSeats { order_id: order(1), offers, travellers: 1 };
    harness.deliver(&action_of_a_new_saga("hold-seats"), &hold).await;
    let confirm = ConfirmSeats { order_id: order(1), travellers: people(1) };
    harness.deliver(&action_of_a_new_saga("confirm-seats"), &confirm).await;
    let left = async || {
        let tables = "SELECT ARRAY[(SELECT count(*) FROM flight), (SELECT count(*) FROM seat_hold_line),
                                   (SELECT count(*) FROM ticket), (SELECT count(*) FROM flight_booking),
                                   (SELECT count(*) FROM seat_hold)]";
        assert_conserved(harness.pool()).await;
        sqlx::query_scalar::<_, Vec<i64>>(tables).fetch_one(harness.pool()).await.unwrap()
    };
    // They leave after 30 days.
    for (days, expected) in [
        (59, [3, 2, 2, 1, 1]),
        (61, [2, 2, 2, 1, 1]),
        (3_682, [2, 2, 2, 1, 1]),
        (3_684, [1, 1, 1, 1, 1]),
        (3_714, [0, 0, 0, 0, 0]),
    ] {
        clock.advance(at(0) + TimeDelta::days(days) - clock.now());
        harness.prune().await;
        assert_eq!(left().await, expected, "after {days} days");
    }
}
