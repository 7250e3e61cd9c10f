//! Extending holds: what is held as it was accepted lasts longer, what ran out is taken again, and nothing else.

use chrono::Duration;
use contract::{
    Outcome,
    accommodation::{
        ExtendRooms, REFUSED_HOLD_EXPIRED, REFUSED_HOLD_UNKNOWN, REFUSED_PRICE_CHANGED, REFUSED_SOLD_OUT, RoomsHeld,
    },
};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use worker_accommodation::Accommodation;
use worker_runtime::{
    Holds,
    testkit::lab::{ExpiryRace, at, code, euros, order},
};

use crate::common::Lab;

#[tokio::test]
async fn a_hold_lasts_longer_from_each_extension_on() {
    let lab = Lab::with_rooms("stays_extend", 2, 1).await;
    let offers = vec![lab.offer(1, 2, 5), lab.offer(2, 5, 7)];
    assert_eq!(code(lab.hold(order(1), &offers).await), "done");
    let extend = || ExtendRooms { order_id: order(1), offers: offers.clone() };
    assert_eq!(lab.run(extend(), at(15)).await, Outcome::done(RoomsHeld { expires_at: at(35) }));
    assert_eq!(Accommodation::expire_due(&lab.pool, at(34)).await.unwrap(), 0);
    // Past its hour, and the sweeper has not come: it is held, and lasts on.
    assert_eq!(lab.run(extend(), at(36)).await, Outcome::done(RoomsHeld { expires_at: at(56) }));
    assert_eq!((lab.rooms(1).await, lab.rooms(2).await), ((3, 0), (2, 0)));
    assert_eq!(code(lab.confirm(order(1), at(50)).await), "done");
    assert_eq!(code(lab.run(extend(), at(51)).await), REFUSED_HOLD_UNKNOWN, "it is sold");
    assert_eq!((lab.rooms(1).await, lab.rooms(2).await), ((0, 3), (0, 2)));
}

#[tokio::test]
async fn what_is_held_otherwise_than_it_was_accepted_is_not_extended() {
    let lab = Lab::with_rooms("stays_extend_price", 2, 1).await;
    let (one, two) = (lab.offer(1, 2, 5), lab.offer(2, 5, 7));
    assert_eq!(code(lab.hold(order(1), &[one.clone(), two.clone()]).await), "done");
    let mut cheaper = two.clone();
    cheaper.total = euros(1);
    for offers in [vec![one.clone(), cheaper], vec![one.clone()], vec![two.clone(), one.clone()], vec![]] {
        let extend = ExtendRooms { order_id: order(1), offers };
        assert_eq!(code(lab.run(extend, at(5)).await), REFUSED_PRICE_CHANGED);
    }
    let extend = ExtendRooms { order_id: order(9), offers: vec![one, two] };
    assert_eq!(code(lab.run(extend, at(5)).await), REFUSED_HOLD_UNKNOWN);
    assert_eq!(Accommodation::expire_due(&lab.pool, at(20)).await.unwrap(), 1, "it was not extended");
}

#[tokio::test]
async fn rooms_that_ran_out_are_taken_again_at_their_price_or_not_at_all() {
    let mut lab = Lab::with_rooms("stays_extend_again", 1, 1).await;
    let offers = vec![lab.offer(1, 2, 5)];
    let extend = |number| ExtendRooms { order_id: order(number), offers: offers.clone() };
    assert_eq!(code(lab.hold(order(1), &offers).await), "done");
    assert_eq!(Accommodation::expire_due(&lab.pool, at(20)).await.unwrap(), 1);
    sqlx::raw_sql("UPDATE rate SET nightly = nightly + 1").execute(&lab.pool).await.unwrap();
    assert_eq!(code(lab.run(extend(1), at(25)).await), REFUSED_HOLD_EXPIRED, "it is dearer now");
    sqlx::raw_sql("UPDATE rate SET nightly = nightly - 1").execute(&lab.pool).await.unwrap();
    assert_eq!(lab.run(extend(1), at(25)).await, Outcome::done(RoomsHeld { expires_at: at(45) }));
    assert_eq!(lab.rooms(1).await, (3, 0));
    lab.now = at(26);
    assert_eq!(code(lab.hold(order(2), &offers).await), REFUSED_SOLD_OUT);
    lab.release(order(1)).await;
    assert_eq!(code(lab.run(extend(1), at(27)).await), REFUSED_HOLD_UNKNOWN, "what was given back stays so");
    assert_eq!(code(lab.hold(order(3), &offers).await), "done");
    assert_eq!(Accommodation::expire_due(&lab.pool, at(46)).await.unwrap(), 1);
    let both = lab.run_set(vec![extend(3), extend(3), extend(1)], at(47)).await;
    let codes: Vec<_> = both.into_iter().map(code).collect();
    assert_eq!(codes, ["done", "done", REFUSED_HOLD_UNKNOWN]);
    assert_eq!(lab.rooms(1).await, (3, 0));
}

/// S22. A seed decides who starts first, who commits first, and on which side of the hour each one's clock stands.
#[tokio::test(flavor = "multi_thread")]
async fn a_hold_is_extended_or_expired_and_never_both() {
    let lab = Lab::with_rooms("stays_extend_race", 9, 1).await;
    let mut random = StdRng::seed_from_u64(25);
    let (mut extended, mut expired) = (0, 0);
    // Dearer since the offers: what has run out is not taken again.
    sqlx::raw_sql("UPDATE rate SET nightly = nightly + 1").execute(&lab.pool).await.unwrap();
    for round in 0..300_u128 {
        let offer = lab.offer(1, 4, 6);
        assert_eq!(code(lab.hold(order(round), std::slice::from_ref(&offer)).await), "done");
        let confirm_at = at(20) - Duration::microseconds(random.random_range(0..3));
        let sweep_at = at(20) - Duration::microseconds(random.random_range(-1..2));
        let race = ExpiryRace { confirm_at, sweep_at, confirm_first: random.random_bool(0.5) };
        let extend = ExtendRooms { order_id: order(round), offers: vec![offer] };
        let swept = race.run(&lab.pool, &lab.domain, extend).await;
        let status: String = sqlx::query_scalar("SELECT status FROM room_hold WHERE order_id = $1")
            .bind(order(round).uuid())
            .fetch_one(&lab.pool)
            .await
            .unwrap();
        match status.as_str() {
            "held" => {
                extended += 1;
                assert_eq!((swept, lab.rooms(1).await), (0, (2, 0)), "round {round}");
                lab.release(order(round)).await;
            }
            "expired" => expired += 1,
            other => panic!("round {round}: {other}"),
        }
        assert_eq!(lab.rooms(1).await, (0, 0), "round {round}");
    }
    assert!(extended > 20 && expired > 20, "the seed explores both ends: {extended} and {expired}");
}
