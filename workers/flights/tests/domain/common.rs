//! A flights database with a few flights, and the handlers as the runtime would call them.

use chrono::{DateTime, Utc};
use contract::{
    Command, OrderId, Outcome,
    flights::{AcceptedFlight, Cabin, ConfirmSeats, HoldSeats, ReleaseSeats, SeatsConfirmed, SeatsHeld},
    order::Traveller,
};
use rust_decimal::Decimal;
use sqlx::PgPool;
use worker_flights::{FlightTerms, Flights, MIGRATOR};
use worker_runtime::{
    Handler, HoldMinutes, Member, SetHandler,
    testkit::lab::{self, at, context, euros, offer_keys},
};

/// The fare of every seat here, in euros.
pub(crate) const FARE: i64 = 1000;

/// One flights domain of a test's own.
pub(crate) struct Lab {
    pub(crate) pool: PgPool,
    pub(crate) flights: Flights,
    /// The time that the handlers are given.
    pub(crate) now: DateTime<Utc>,
}

pub(crate) async fn empty(name: &str) -> PgPool {
    lab::migrated(&private_servers::testing::database(name).await, &MIGRATOR).await
}

impl Lab {
    /// Flights 1, 2, ... from LHR to MLE, each with the given number of business seats.
    pub(crate) async fn with_seats(name: &str, capacities: &[i32]) -> Self {
        let pool = empty(name).await;
        put_on_sale(&pool, capacities).await;
        Self { pool, flights: Flights { hold_for: HoldMinutes::default(), offer_keys: offer_keys() }, now: at(0) }
    }

    /// An offer of `passengers` seats on the flight with this number, made at minute 0 and good for 30.
    pub(crate) async fn offer(&self, flight: i16, passengers: u32) -> AcceptedFlight {
        offer(&self.pool, flight, passengers).await
    }

    /// Runs a set of commands in a transaction of its own, as the runtime does.
    pub(crate) async fn run_set<C: Command>(&self, commands: Vec<C>, now: DateTime<Utc>) -> Vec<Outcome<C::Reply>>
    where
        Flights: SetHandler<C>,
    {
        let member = |command| Member { command, context: context(now) };
        let mut set: Vec<_> = commands.into_iter().map(member).collect();
        let mut tx = self.pool.begin().await.unwrap();
        let outcomes = self.flights.handle_many(&mut tx, &mut set).await.unwrap();
        tx.commit().await.unwrap();
        outcomes
    }

    /// Runs one command in a transaction of its own, as the runtime does; a refusal's writes are undone.
    pub(crate) async fn run<C: Command>(&self, command: C, now: DateTime<Utc>) -> Outcome<C::Reply>
    where
        Flights: Handler<C>,
    {
        lab::run(&self.pool, &self.flights, command, now).await.unwrap()
    }

    pub(crate) async fn hold(
        &self,
        travellers: u32,
        order_id: OrderId,
        offers: &[AcceptedFlight],
    ) -> Outcome<SeatsHeld> {
        self.run(HoldSeats { order_id, offers: offers.to_vec(), travellers }, self.now).await
    }

    pub(crate) async fn release(&self, order_id: OrderId) {
        let released = self.run(ReleaseSeats { order_id }, self.now).await;
        assert!(matches!(released, Outcome::Done { .. }), "{released:?}");
    }

    pub(crate) async fn confirm(
        &self,
        order_id: OrderId,
        travellers: usize,
        now: DateTime<Utc>,
    ) -> Outcome<SeatsConfirmed> {
        self.run(ConfirmSeats { order_id, travellers: people(travellers) }, now).await
    }

    /// Held and sold seats of a flight; checks conservation everywhere on the way.
    pub(crate) async fn seats(&self, flight: i16) -> (i32, i32) {
        assert_conserved(&self.pool).await;
        sqlx::query_as("SELECT held, sold FROM cabin_inventory JOIN flight USING (flight_id) WHERE number = $1")
            .bind(flight)
            .fetch_one(&self.pool)
            .await
            .unwrap()
    }
}

/// Flights 1, 2, ... from LHR to MLE, each with the given number of business seats.
pub(crate) async fn put_on_sale(pool: &PgPool, capacities: &[i32]) {
    sqlx::raw_sql(
        "INSERT INTO airport VALUES ('LHR', 'EGLL', 'A', 'London', 'GB', 'Europe/London', 51, 0),
                                    ('MLE', 'VRMM', 'B', 'Male', 'MV', 'Indian/Maldives', 4, 73);
         INSERT INTO carrier VALUES ('Q0', 'Aurelane Airways', '901');
         INSERT INTO schedule VALUES (1, 'Q0', 1, 'LHR', 'MLE', '1234567', '21:00', 600);",
    )
    .execute(pool)
    .await
    .unwrap();
    for (index, capacity) in capacities.iter().enumerate() {
        sqlx::query(
            "WITH made AS (
                 INSERT INTO flight (schedule_id, carrier, number, origin, destination, departs_on, departs_at, arrives_at,
                                     departs_local, arrives_local)
                 VALUES (1, 'Q0', $1, 'LHR', 'MLE', $2::date, $2, $2 + interval '10 hours', $2, $2)
                 RETURNING flight_id)
             INSERT INTO cabin_inventory (flight_id, cabin, capacity, fare, currency)
             SELECT flight_id, 'business', $3, $4, 'EUR' FROM made",
        )
        .bind(i16::try_from(index + 1).unwrap())
        .bind(at(60 * 24 * 30))
        .bind(capacity)
        .bind(Decimal::from(FARE))
        .execute(pool)
        .await
        .unwrap();
    }
}

/// An offer of `passengers` seats on the flight with this number, made at minute 0 and good for 30.
pub(crate) async fn offer(pool: &PgPool, flight: i16, passengers: u32) -> AcceptedFlight {
    let flight_id =
        sqlx::query_scalar("SELECT flight_id FROM flight WHERE number = $1").bind(flight).fetch_one(pool).await;
    let total = euros(FARE * i64::from(passengers));
    let terms = FlightTerms { flight_id: flight_id.unwrap(), cabin: Cabin::Business, passengers, total };
    let offer_id = terms.seal(&offer_keys(), kit::ids::uuid_v7(), at(30));
    AcceptedFlight { offer_id, total }
}

pub(crate) async fn assert_conserved(pool: &PgPool) {
    let broken: Vec<(i64, String)> =
        sqlx::query_as("SELECT flight_id, cabin FROM inventory_conservation WHERE NOT conserved")
            .fetch_all(pool)
            .await
            .unwrap();
    assert_eq!(broken, [], "seats appeared or vanished");
}

pub(crate) fn people(count: usize) -> Vec<Traveller> {
    let traveller = |index: usize| Traveller {
        given_name: format!("Ada {index}").parse().unwrap(),
        family_name: "Lovelace".parse().unwrap(),
        born_on: "1985-12-10".parse().unwrap(),
        email: "ada@example.com".parse().unwrap(),
    };
    (0..count).map(traveller).collect()
}
