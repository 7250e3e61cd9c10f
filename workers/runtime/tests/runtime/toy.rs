//! A small domain for the runtime's own tests: seats that are taken and given back, here and somewhere outside.

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    http::StatusCode,
    routing::{get, post},
};
use contract::{
    Event, Outcome,
    command::{Command, Route},
};
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, PgPool, migrate::Migrator};
use tokio::sync::Semaphore;
use uuid::Uuid;
use worker_runtime::{
    Context, Domain, Handled, Handler, HandlerError, OutsideHandler, Prepare,
    testkit::{Harness, Snapshot},
};

pub(crate) static MIGRATOR: Migrator = sqlx::migrate!("tests/runtime/migrations");

/// The refusal of the toy.
pub(crate) const SOLD_OUT: &str = "sold_out";

/// How a command goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Mode {
    #[default]
    Well,
    /// Writes, then notices that it must refuse.
    RefuseLate,
    /// Violates a CHECK.
    BreakCheck,
    Panic,
    Fault,
    /// The first answer of the outside is lost.
    LoseFirst,
    /// No answer of the outside ever comes.
    LoseAll,
    /// The outside answers when the test lets it.
    Wait,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct TakeSeat {
    pub(crate) pool: String,
    pub(crate) holder: Uuid,
    #[serde(default)]
    pub(crate) mode: Mode,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct SeatTaken {
    pub(crate) number: i32,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct GiveSeat {
    pub(crate) holder: Uuid,
    #[serde(default)]
    pub(crate) mode: Mode,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct SeatGiven {}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct AskOutside {
    pub(crate) holder: Uuid,
    #[serde(default)]
    pub(crate) mode: Mode,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Granted {
    pub(crate) key: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct TakeBack {
    pub(crate) holder: Uuid,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct TakenBack {}

macro_rules! command {
    ($command:ty, $name:literal, $reply:ty) => {
        impl Command for $command {
            const NAME: &'static str = $name;
            const VERSION: u16 = 1;
            const ROUTE: Route = Route::Flights;
            type Reply = $reply;
        }
    };
}
command!(TakeSeat, "toy.take_seat", SeatTaken);
command!(GiveSeat, "toy.give_seat", SeatGiven);
command!(AskOutside, "toy.ask_outside", Granted);
command!(TakeBack, "toy.take_back", TakenBack);

#[derive(Debug, Serialize, Deserialize)]
struct SeatWasTaken {
    holder: Uuid,
    number: i32,
}

impl Event for SeatWasTaken {
    const NAME: &'static str = "seat.taken";
    const VERSION: u16 = 1;
    const ROUTE: Route = Route::Flights;

    fn subject(&self) -> String {
        self.holder.to_string()
    }
}

struct Seats;

impl Handler<TakeSeat> for Seats {
    async fn handle(&self, tx: &mut PgConnection, command: TakeSeat, context: &mut Context) -> Handled<SeatTaken> {
        match command.mode {
            Mode::Panic => panic!("the toy panics as it was told"),
            Mode::Fault => return Err(HandlerError::fault("the toy fails as it was told")),
            Mode::BreakCheck => {
                sqlx::query("UPDATE seat_pool SET free = -1 WHERE pool = $1").bind(&command.pool).execute(tx).await?;
                return Err(HandlerError::fault("the check did not hold"));
            }
            _ => {}
        }
        let taken = sqlx::query_scalar::<_, i32>(
            "UPDATE seat_pool SET free = free - 1, taken = taken + 1 WHERE pool = $1 AND free > 0 RETURNING taken",
        )
        .bind(&command.pool)
        .fetch_optional(&mut *tx)
        .await?;
        let Some(number) = taken else { return Ok(Outcome::refused(SOLD_OUT, "no seat is left")) };
        sqlx::query("INSERT INTO seat (holder, pool) VALUES ($1, $2)")
            .bind(command.holder)
            .bind(&command.pool)
            .execute(tx)
            .await?;
        context.emit(&SeatWasTaken { holder: command.holder, number });
        if command.mode == Mode::RefuseLate {
            return Err(HandlerError::refused(SOLD_OUT, "no seat is left, as it turns out"));
        }
        Ok(Outcome::done(SeatTaken { number }))
    }
}

impl Handler<GiveSeat> for Seats {
    async fn handle(&self, tx: &mut PgConnection, command: GiveSeat, _context: &mut Context) -> Handled<SeatGiven> {
        if command.mode == Mode::RefuseLate {
            return Ok(Outcome::refused("too_late", "a compensation must never say this"));
        }
        sqlx::query(
            "WITH given AS (DELETE FROM seat WHERE holder = $1 RETURNING pool)
             UPDATE seat_pool AS p SET free = free + 1, taken = taken - 1 FROM given WHERE p.pool = given.pool",
        )
        .bind(command.holder)
        .execute(tx)
        .await?;
        Ok(Outcome::done(SeatGiven {}))
    }
}

/// Somebody outside: remembers every key for ever, and counts how often it is called.
#[derive(Clone)]
pub(crate) struct Outside {
    pool: PgPool,
    /// A permit for each call of [`Mode::Wait`] that may be answered.
    pub(crate) gate: Arc<Semaphore>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Asking {
    key: String,
    mode: Mode,
}

impl Outside {
    pub(crate) fn new(database_url: &str) -> Self {
        let pool = PgPool::connect_lazy(database_url).expect("a database's address");
        Self { pool, gate: Arc::new(Semaphore::new(0)) }
    }

    pub(crate) async fn calls(&self) -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM outside.call").fetch_one(&self.pool).await.unwrap()
    }

    /// Notes a try for a guest, which no rollback takes back; answers how many there were.
    pub(crate) async fn tries_of(&self, guest: Uuid) -> Result<i64, sqlx::Error> {
        let key = guest.to_string();
        sqlx::query("INSERT INTO outside.call VALUES ($1)").bind(&key).execute(&self.pool).await?;
        sqlx::query_scalar("SELECT count(*) FROM outside.call WHERE key = $1").bind(&key).fetch_one(&self.pool).await
    }

    async fn granted(&self, key: &str) -> Result<bool, sqlx::Error> {
        sqlx::query("INSERT INTO outside.call VALUES ($1)").bind(key).execute(&self.pool).await?;
        sqlx::query("INSERT INTO outside.grant_of VALUES ($1, true) ON CONFLICT DO NOTHING")
            .bind(key)
            .execute(&self.pool)
            .await?;
        sqlx::query_scalar("SELECT live FROM outside.grant_of WHERE key = $1").bind(key).fetch_one(&self.pool).await
    }

    async fn end(&self, key: &str) -> Result<(), sqlx::Error> {
        sqlx::query("INSERT INTO outside.grant_of VALUES ($1, false) ON CONFLICT (key) DO UPDATE SET live = false")
            .bind(key)
            .execute(&self.pool)
            .await?;
        Ok(())
    }
}

impl OutsideHandler<AskOutside> for Outside {
    type Prepared = Asking;
    type Answer = bool;

    async fn prepare(
        &self,
        _tx: &mut PgConnection,
        command: &AskOutside,
        context: &mut Context,
    ) -> Result<Prepare<Asking, Granted>, HandlerError> {
        match command.mode {
            Mode::RefuseLate => Ok(Prepare::Answer(Outcome::refused(SOLD_OUT, "not even asked"))),
            mode => Ok(Prepare::Call(Asking { key: context.idempotency_key(), mode })),
        }
    }

    async fn call(&self, asking: &Asking, resumed: bool) -> Result<bool, HandlerError> {
        match asking.mode {
            Mode::Panic => panic!("the outside panics as it was told"),
            Mode::Fault => return Err(HandlerError::fault("the outside surely did nothing")),
            Mode::Wait => self.gate.acquire().await.expect("the gate stays").forget(),
            _ => {}
        }
        let granted = self.granted(&asking.key).await?;
        let lost = asking.mode == Mode::LoseAll || (asking.mode == Mode::LoseFirst && !resumed);
        if lost { Err(HandlerError::unclear("the answer was lost")) } else { Ok(granted) }
    }

    async fn record(
        &self,
        tx: &mut PgConnection,
        command: AskOutside,
        asking: Asking,
        granted: bool,
        _context: &mut Context,
    ) -> Handled<Granted> {
        if !granted {
            return Ok(Outcome::refused(SOLD_OUT, "the outside says no"));
        }
        sqlx::query("INSERT INTO granted VALUES ($1, $2)").bind(command.holder).bind(&asking.key).execute(tx).await?;
        Ok(Outcome::done(Granted { key: asking.key }))
    }
}

impl OutsideHandler<TakeBack> for Outside {
    type Prepared = String;
    type Answer = ();

    async fn prepare(
        &self,
        tx: &mut PgConnection,
        command: &TakeBack,
        context: &mut Context,
    ) -> Result<Prepare<String, TakenBack>, HandlerError> {
        if let Some(action) = &context.action_in_doubt {
            return Ok(Prepare::Call(action.to_string()));
        }
        let key = sqlx::query_scalar("SELECT key FROM granted WHERE holder = $1").bind(command.holder);
        Ok(match key.fetch_optional(tx).await? {
            Some(key) => Prepare::Call(key),
            None => Prepare::Answer(Outcome::done(TakenBack {})),
        })
    }

    async fn call(&self, key: &String, _resumed: bool) -> Result<(), HandlerError> {
        Ok(self.end(key).await?)
    }

    async fn record(
        &self,
        tx: &mut PgConnection,
        command: TakeBack,
        _key: String,
        (): (),
        _context: &mut Context,
    ) -> Handled<TakenBack> {
        sqlx::query("DELETE FROM granted WHERE holder = $1").bind(command.holder).execute(tx).await?;
        Ok(Outcome::done(TakenBack {}))
    }
}

/// The toy domain.
pub(crate) fn domain(outside: Outside) -> Domain {
    Domain::new(Route::Flights, &MIGRATOR)
        .action::<TakeSeat>(Seats)
        .compensation::<GiveSeat>(Seats, |_| SeatGiven {})
        .outside_action::<AskOutside>(outside.clone())
        .outside_compensation::<TakeBack>(outside, |_| TakenBack {})
        .http(|resources| {
            let visits = Router::new().route("/visits", post(visit)).with_state(resources.pool.clone());
            Router::new().route("/seats", get(async || "seats")).merge(visits)
        })
}

/// A call that comes over HTTP: it begins on one connection and is carried out in a transaction on another.
async fn visit(State(pool): State<PgPool>) -> Result<(), StatusCode> {
    carry_out_visit(&pool).await.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)
}

async fn carry_out_visit(pool: &PgPool) -> Result<(), sqlx::Error> {
    let visit = kit::ids::uuid_v7();
    sqlx::query("INSERT INTO visit VALUES ($1)").bind(visit).execute(pool).await?;
    let mut tx = pool.begin().await?;
    sqlx::query("UPDATE visit SET ended_at = now() WHERE visit_id = $1").bind(visit).execute(&mut *tx).await?;
    tx.commit().await
}

/// The part of the toy that makes no calls.
pub(crate) fn local_domain() -> Domain {
    Domain::new(Route::Flights, &MIGRATOR).action::<TakeSeat>(Seats).compensation::<GiveSeat>(Seats, |_| SeatGiven {})
}

/// The toy on a fresh database.
pub(crate) struct Toy {
    pub(crate) harness: Harness,
    pub(crate) outside: Outside,
    pub(crate) clock: Arc<worker_runtime::testkit::ManualClock>,
    pub(crate) database_url: String,
}

impl Toy {
    pub(crate) async fn new() -> Self {
        let database_url = private_servers::testing::database("runtime").await;
        let outside = Outside::new(&database_url);
        let clock = Arc::new(worker_runtime::testkit::ManualClock::new(kit::clock::system().now()));
        let harness = Harness::open(domain(outside.clone()), &database_url, clock.clone()).await;
        Self { harness, outside, clock, database_url }
    }

    /// A second worker on the same database.
    pub(crate) async fn replica(&self) -> Harness {
        Harness::open(domain(self.outside.clone()), &self.database_url, self.clock.clone()).await
    }

    pub(crate) async fn count(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(self.harness.pool()).await.unwrap()
    }
}

/// Everything that a command of the toy changes.
pub(crate) fn snapshot() -> Snapshot {
    Snapshot::new([
        "SELECT pool, free, taken FROM seat_pool",
        "SELECT holder FROM seat",
        "SELECT holder FROM granted",
        "SELECT key FROM outside.grant_of WHERE live",
    ])
}

pub(crate) fn take(pool: &str) -> TakeSeat {
    TakeSeat { pool: pool.to_owned(), holder: kit::ids::uuid_random(), mode: Mode::Well }
}

pub(crate) fn seat_pair() -> (TakeSeat, GiveSeat) {
    let take = take("wide");
    let give = GiveSeat { holder: take.holder, mode: Mode::Well };
    (take, give)
}

pub(crate) fn outside_pair() -> (AskOutside, TakeBack) {
    let holder = kit::ids::uuid_random();
    (AskOutside { holder, mode: Mode::Well }, TakeBack { holder })
}
