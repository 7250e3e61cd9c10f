//! An accommodation database with one property, and the handlers as the runtime would call them.

use chrono::{DateTime, Days, NaiveDate, Utc};
use contract::{
    Command, OrderId, Outcome,
    accommodation::{AcceptedStay, ConfirmRooms, HoldRooms, ReleaseRooms, RoomsConfirmed, RoomsHeld},
};
use sqlx::PgPool;
use worker_accommodation::{Accommodation, MIGRATOR, StayTerms};
use worker_runtime::{
    Handler, HoldMinutes, Member, SetHandler,
    testkit::lab::{self, at, context, euros, offer_keys},
};

/// A night of every room here, in euros.
pub(crate) const NIGHTLY: i64 = 100;

/// One accommodation domain of a test's own.
pub(crate) struct Lab {
    pub(crate) pool: PgPool,
    pub(crate) domain: Accommodation,
    /// The time that the handlers are given.
    pub(crate) now: DateTime<Utc>,
}

/// A night of the test's own calendar.
pub(crate) fn night(number: u64) -> NaiveDate {
    at(0).date_naive() + Days::new(number)
}

pub(crate) async fn empty(name: &str) -> PgPool {
    lab::migrated(&private_servers::testing::database(name).await, &MIGRATOR).await
}

impl Lab {
    /// Room type 1 with `rooms` rooms that are alike, and room type 2 with `villas` named villas, for 60 nights.
    pub(crate) async fn with_rooms(name: &str, rooms: i32, villas: i32) -> Self {
        let pool = empty(name).await;
        put_on_sale(&pool, rooms, villas).await;
        Self { pool, domain: Accommodation { hold_for: HoldMinutes::default(), offer_keys: offer_keys() }, now: at(0) }
    }

    /// An offer of room type 1 (rooms) or 2 (villas), made at minute 0 and good for 30.
    pub(crate) fn offer(&self, room_type_id: i32, from: u64, until: u64) -> AcceptedStay {
        offer(room_type_id, from, until)
    }

    /// Runs a set of commands in a transaction of its own, as the runtime does.
    pub(crate) async fn run_set<C: Command>(&self, commands: Vec<C>, now: DateTime<Utc>) -> Vec<Outcome<C::Reply>>
    where
        Accommodation: SetHandler<C>,
    {
        let member = |command| Member { command, context: context(now) };
        let mut set: Vec<_> = commands.into_iter().map(member).collect();
        let mut tx = self.pool.begin().await.unwrap();
        let outcomes = self.domain.handle_many(&mut tx, &mut set).await.unwrap();
        tx.commit().await.unwrap();
        outcomes
    }

    /// Runs one command in a transaction of its own, as the runtime does.
    pub(crate) async fn run<C: Command>(&self, command: C, now: DateTime<Utc>) -> Outcome<C::Reply>
    where
        Accommodation: Handler<C>,
    {
        lab::run(&self.pool, &self.domain, command, now).await.unwrap()
    }

    /// Holds for two travellers: every offer here is for two guests.
    pub(crate) async fn hold(&self, order_id: OrderId, offers: &[AcceptedStay]) -> Outcome<RoomsHeld> {
        self.hold_for(2, order_id, offers).await
    }

    pub(crate) async fn hold_for(
        &self,
        travellers: u32,
        order_id: OrderId,
        offers: &[AcceptedStay],
    ) -> Outcome<RoomsHeld> {
        self.run(HoldRooms { order_id, offers: offers.to_vec(), travellers }, self.now).await
    }

    pub(crate) async fn release(&self, order_id: OrderId) {
        let released = self.run(ReleaseRooms { order_id }, self.now).await;
        assert!(matches!(released, Outcome::Done { .. }), "{released:?}");
    }

    pub(crate) async fn confirm(&self, order_id: OrderId, now: DateTime<Utc>) -> Outcome<RoomsConfirmed> {
        self.run(ConfirmRooms { order_id, guest_name: "Ada Lovelace".into() }, now).await
    }

    /// Held and sold rooms of all nights together; checks conservation everywhere on the way.
    pub(crate) async fn rooms(&self, room_type_id: i32) -> (i64, i64) {
        assert_conserved(&self.pool).await;
        sqlx::query_as("SELECT sum(held), sum(sold) FROM room_night WHERE room_type_id = $1")
            .bind(room_type_id)
            .fetch_one(&self.pool)
            .await
            .unwrap()
    }
}

/// Room type 1 with `rooms` rooms that are alike, and room type 2 with `villas` named villas, for 60 nights.
pub(crate) async fn put_on_sale(pool: &PgPool, rooms: i32, villas: i32) {
    sqlx::raw_sql(
        "INSERT INTO property VALUES (1, 'Test House', 'Here', 'MV', 'UTC', 0, 0, 5, 'EUR', 'none', 'test house');
         INSERT INTO room_type VALUES (1, 1, 'Room', 'room', 3, 1, 100), (2, 1, 'Villa', 'unit', 3, 1, 100);
         INSERT INTO rate SELECT room_type_id, daterange('2020-01-01', '2040-01-01'), 100 FROM room_type;",
    )
    .execute(pool)
    .await
    .unwrap();
    sqlx::query("INSERT INTO unit (room_type_id, name) SELECT 2, 'Villa ' || n FROM generate_series(1, $1) n")
        .bind(villas)
        .execute(pool)
        .await
        .unwrap();
    sqlx::query(
        "INSERT INTO room_night (room_type_id, night, capacity)
         SELECT t.id, $1 + n, t.capacity FROM generate_series(0, 59) n, (VALUES (1, $2), (2, $3)) t (id, capacity)",
    )
    .bind(night(0))
    .bind(rooms)
    .bind(villas)
    .execute(pool)
    .await
    .unwrap();
}

/// An offer of room type 1 (rooms) or 2 (villas), made at minute 0 and good for 30.
pub(crate) fn offer(room_type_id: i32, from: u64, until: u64) -> AcceptedStay {
    let total = euros(NIGHTLY * i64::try_from(until - from).unwrap());
    let terms = StayTerms { room_type_id, check_in: night(from), check_out: night(until), guests: 2, total };
    let offer_id = terms.seal(&offer_keys(), kit::ids::uuid_v7(), at(30));
    AcceptedStay { offer_id, total }
}

pub(crate) async fn assert_conserved(pool: &PgPool) {
    let broken: Vec<(i32, NaiveDate)> =
        sqlx::query_as("SELECT room_type_id, night FROM inventory_conservation WHERE NOT conserved")
            .fetch_all(pool)
            .await
            .unwrap();
    assert_eq!(broken, [], "rooms appeared or vanished");
    let (homeless,): (i64,) =
        sqlx::query_as("SELECT count(*) FROM unit_conservation WHERE NOT conserved").fetch_one(pool).await.unwrap();
    assert_eq!(homeless, 0, "stays without their villa, or villas without their stay");
}
