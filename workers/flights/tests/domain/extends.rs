//! Extending holds: what is held as it was accepted lasts longer, what ran out is taken again, and nothing else.

use chrono::Duration;
use contract::{
    Outcome,
    flights::{
        ExtendSeats, REFUSED_HOLD_EXPIRED, REFUSED_HOLD_UNKNOWN, REFUSED_PRICE_CHANGED, REFUSED_SOLD_OUT, SeatsHeld, v2,
    },
};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use worker_flights::Flights;
use worker_runtime::{
    Holds,
    testkit::lab::{ExpiryRace, at, code, euros, order},
};

use crate::common::Lab;

#[tokio::test]
async fn a_hold_lasts_longer_from_each_extension_on() {
    let lab = Lab::with_seats("flights_extend", &[5, 5]).await;
    let offers = vec![lab.offer(1, 2).await, lab.offer(2, 2).await];
    assert_eq!(code(lab.hold(2, order(1), &offers).await), "done");
    let extend = || ExtendSeats { order_id: order(1), offers: offers.clone() };
    assert_eq!(lab.run(extend(), at(15)).await, Outcome::done(SeatsHeld { expires_at: at(35) }));
    assert_eq!(Flights::expire_due(&lab.pool, at(34)).await.unwrap(), 0);
    // Past its hour, and the sweeper has not come: it is held, and lasts on.
    assert_eq!(lab.run(extend(), at(36)).await, Outcome::done(SeatsHeld { expires_at: at(56) }));
    assert_eq!((lab.seats(1).await, lab.seats(2).await), ((2, 0), (2, 0)));
    assert_eq!(code(lab.confirm(order(1), 2, at(50)).await), "done");
    assert_eq!(code(lab.run(extend(), at(51)).await), REFUSED_HOLD_UNKNOWN, "it is sold");
    assert_eq!((lab.seats(1).await, lab.seats(2).await), ((0, 2), (0, 2)));
}

#[tokio::test]
async fn a_hold_lasts_as_long_as_it_is_asked_to_and_no_shorter_than_the_installations_time() {
    let lab = Lab::with_seats("flights_for_minutes", &[9]).await;
    let offers = vec![lab.offer(1, 1).await];
    let hold = |number, for_minutes| {
        let offers = offers.clone();
        lab.run(v2::HoldSeats { order_id: order(number), offers, travellers: 1, for_minutes }, at(0))
    };
    let until = |minute| Outcome::done(SeatsHeld { expires_at: at(minute) });
    assert_eq!(hold(1, 240).await, until(240));
    assert_eq!(hold(2, 1).await, until(20), "half of this time is for the confirmation");
    assert_eq!(hold(3, u16::MAX).await, until(24 * 60), "what is set aside is lost to all others");
    assert_eq!(Flights::expire_due(&lab.pool, at(239)).await.unwrap(), 1);

    let extend = |for_minutes| v2::ExtendSeats { order_id: order(1), offers: offers.clone(), for_minutes };
    assert_eq!(lab.run(extend(30), at(100)).await, until(240), "it is held for longer than that");
    assert_eq!(lab.run(extend(30), at(230)).await, until(260));
    let both = lab.run_set(vec![extend(60), extend(30)], at(250)).await;
    assert_eq!(both, [until(310), until(310)], "the longer one of the two counts");
    assert_eq!(Flights::expire_due(&lab.pool, at(309)).await.unwrap(), 0);
    assert_eq!(Flights::expire_due(&lab.pool, at(310)).await.unwrap(), 1);
    let again = lab.run_set(vec![extend(30), extend(90)], at(311)).await;
    assert_eq!(again, [until(401), until(401)], "it is taken again, and lasts on");
    assert_eq!(Flights::expire_due(&lab.pool, at(400)).await.unwrap(), 0);
    // What departs is held no longer than until then.
    sqlx::raw_sql("UPDATE flight SET departs_at = '2027-01-15 09:00Z', arrives_at = '2027-01-15 19:00Z'")
        .execute(&lab.pool)
        .await
        .unwrap();
    assert_eq!(hold(4, 240).await, until(60));
    assert_eq!(lab.seats(1).await, (3, 0));
}

#[tokio::test]
async fn what_is_held_otherwise_than_it_was_accepted_is_not_extended() {
    let lab = Lab::with_seats("flights_extend_price", &[5, 5]).await;
    let (one, two) = (lab.offer(1, 2).await, lab.offer(2, 2).await);
    assert_eq!(code(lab.hold(2, order(1), &[one.clone(), two.clone()]).await), "done");
    let mut cheaper = two.clone();
    cheaper.total = euros(1);
    for offers in [vec![one.clone(), cheaper], vec![one.clone()], vec![two.clone(), one.clone()], vec![]] {
        let extend = ExtendSeats { order_id: order(1), offers };
        assert_eq!(code(lab.run(extend, at(5)).await), REFUSED_PRICE_CHANGED);
    }
    let extend = ExtendSeats { order_id: order(9), offers: vec![one, two] };
    assert_eq!(code(lab.run(extend, at(5)).await), REFUSED_HOLD_UNKNOWN);
    assert_eq!(Flights::expire_due(&lab.pool, at(20)).await.unwrap(), 1, "it was not extended");
}

#[tokio::test]
async fn seats_that_ran_out_are_taken_again_at_their_price_or_not_at_all() {
    let mut lab = Lab::with_seats("flights_extend_again", &[2]).await;
    let offers = vec![lab.offer(1, 2).await];
    let extend = |number| ExtendSeats { order_id: order(number), offers: offers.clone() };
    assert_eq!(code(lab.hold(2, order(1), &offers).await), "done");
    assert_eq!(Flights::expire_due(&lab.pool, at(20)).await.unwrap(), 1);
    sqlx::raw_sql("UPDATE cabin_inventory SET fare = fare + 1").execute(&lab.pool).await.unwrap();
    assert_eq!(code(lab.run(extend(1), at(25)).await), REFUSED_HOLD_EXPIRED, "it is dearer now");
    sqlx::raw_sql("UPDATE cabin_inventory SET fare = fare - 1").execute(&lab.pool).await.unwrap();
    assert_eq!(lab.run(extend(1), at(25)).await, Outcome::done(SeatsHeld { expires_at: at(45) }));
    assert_eq!(lab.seats(1).await, (2, 0));
    // The next one finds nothing, and takes it when it is free; then the first one finds it sold out.
    lab.now = at(26);
    assert_eq!(code(lab.hold(2, order(2), &offers).await), REFUSED_SOLD_OUT);
    lab.release(order(1)).await;
    assert_eq!(code(lab.run(extend(1), at(27)).await), REFUSED_HOLD_UNKNOWN, "what was given back stays so");
    assert_eq!(code(lab.hold(2, order(3), &offers).await), "done");
    assert_eq!(Flights::expire_due(&lab.pool, at(46)).await.unwrap(), 1);
    let both = lab.run_set(vec![extend(3), extend(3), extend(1)], at(47)).await;
    let codes: Vec<_> = both.into_iter().map(code).collect();
    assert_eq!(codes, ["done", "done", REFUSED_HOLD_UNKNOWN]);
    assert_eq!(lab.seats(1).await, (2, 0));
}

/// S22. A seed decides who starts first, who commits first, and on which side of the hour each one's clock stands.
#[tokio::test(flavor = "multi_thread")]
async fn a_hold_is_extended_or_expired_and_never_both() {
    let lab = Lab::with_seats("flights_extend_race", &[1000]).await;
    let offer = lab.offer(1, 1).await;
    let mut random = StdRng::seed_from_u64(25);
    let (mut extended, mut expired) = (0, 0);
    // Dearer since the offer: what has run out is not taken again.
    sqlx::raw_sql("UPDATE cabin_inventory SET fare = fare + 1").execute(&lab.pool).await.unwrap();
    for round in 0..300_u128 {
        assert_eq!(code(lab.hold(1, order(round), std::slice::from_ref(&offer)).await), "done");
        let confirm_at = at(20) - Duration::microseconds(random.random_range(0..3));
        let sweep_at = at(20) - Duration::microseconds(random.random_range(-1..2));
        let race = ExpiryRace { confirm_at, sweep_at, confirm_first: random.random_bool(0.5) };
        let extend = ExtendSeats { order_id: order(round), offers: vec![offer.clone()] };
        let swept = race.run(&lab.pool, &lab.flights, extend).await;
        let status: String = sqlx::query_scalar("SELECT status FROM seat_hold WHERE order_id = $1")
            .bind(order(round).uuid())
            .fetch_one(&lab.pool)
            .await
            .unwrap();
        match status.as_str() {
            "held" => {
                extended += 1;
                assert_eq!((swept, lab.seats(1).await), (0, (1, 0)), "round {round}");
                lab.release(order(round)).await;
            }
            "expired" => expired += 1,
            other => panic!("round {round}: {other}"),
        }
        assert_eq!(lab.seats(1).await, (0, 0), "round {round}");
    }
    assert!(extended > 20 && expired > 20, "the seed explores both ends: {extended} and {expired}");
}
