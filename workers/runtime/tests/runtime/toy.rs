//! A small domain for the runtime's own tests: seats that are taken and given back, here and somewhere outside.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use axum::{
    Router,
    extract::State,
    routing::{get, post},
};
use contract::{
    Event, Outcome,
    command::{Command, Route},
};
use kit::http::ApiError;
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, PgPool, migrate::Migrator};
use tokio::sync::Semaphore;
use uuid::Uuid;
use worker_runtime::{
    Context, Decided, Domain, DomainError, Handled, Handler, HandlerError, Member, OutsideHandler, Prepare, Recording,
    SetHandled, SetHandler,
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
    /// Ends the connection of its transaction.
    KillConnection,
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
    const SUBSCRIBERS: &'static [Route] = &[Route::Feed];

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
            Mode::KillConnection => return Err(kill_connection(tx).await.into()),
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

/// The same seats, taken and given back for all commands of a batch at once.
struct SeatsInSets;

impl SetHandler<TakeSeat> for SeatsInSets {
    async fn handle_many(&self, tx: &mut PgConnection, set: &mut [Member<TakeSeat>]) -> SetHandled<SeatTaken> {
        if let Some(member) = set.iter().find(|member| member.command.mode != Mode::Well) {
            return match member.command.mode {
                Mode::Panic => panic!("the toy panics as it was told"),
                Mode::RefuseLate => Err(HandlerError::refused(SOLD_OUT, "no seat is left, as it turns out")),
                Mode::KillConnection => Err(kill_connection(tx).await.into()),
                _ => Err(HandlerError::fault("the toy fails as it was told")),
            };
        }
        let pools: BTreeSet<&str> = set.iter().map(|member| member.command.pool.as_str()).collect();
        let locked = sqlx::query_as::<_, (String, i32, i32)>(
            "SELECT pool, free, taken FROM seat_pool WHERE pool = ANY($1) ORDER BY pool FOR NO KEY UPDATE",
        );
        let locked = locked.bind(pools.into_iter().collect::<Vec<_>>()).fetch_all(&mut *tx).await?;
        let mut left: BTreeMap<String, (i32, i32)> =
            locked.into_iter().map(|(pool, free, taken)| (pool, (free, taken))).collect();
        let (mut outcomes, mut holders, mut pools) = (Vec::new(), Vec::new(), Vec::new());
        for Member { command, context } in set.iter_mut() {
            let Some((free, taken)) = left.get_mut(&command.pool).filter(|(free, _)| *free > 0) else {
                outcomes.push(Outcome::refused(SOLD_OUT, "no seat is left"));
                continue;
            };
            (*free, *taken) = (*free - 1, *taken + 1);
            holders.push(command.holder);
            pools.push(command.pool.clone());
            context.emit(&SeatWasTaken { holder: command.holder, number: *taken });
            outcomes.push(Outcome::done(SeatTaken { number: *taken }));
        }
        sqlx::query(
            "WITH new AS (INSERT INTO seat SELECT * FROM unnest($1::uuid[], $2::text[]) RETURNING pool)
             UPDATE seat_pool AS p SET free = free - n.many, taken = taken + n.many
             FROM (SELECT pool, count(*)::integer AS many FROM new GROUP BY pool) AS n WHERE p.pool = n.pool",
        )
        .bind(holders)
        .bind(pools)
        .execute(tx)
        .await?;
        Ok(outcomes)
    }
}

impl SetHandler<GiveSeat> for SeatsInSets {
    async fn handle_many(&self, tx: &mut PgConnection, set: &mut [Member<GiveSeat>]) -> SetHandled<SeatGiven> {
        let holders: Vec<Uuid> = set.iter().map(|member| member.command.holder).collect();
        sqlx::query(
            "WITH given AS (DELETE FROM seat WHERE holder = ANY($1) RETURNING pool)
             UPDATE seat_pool AS p SET free = free + g.many, taken = taken - g.many
             FROM (SELECT pool, count(*)::integer AS many FROM given GROUP BY pool) AS g WHERE p.pool = g.pool",
        )
        .bind(holders)
        .execute(tx)
        .await?;
        Ok(set.iter().map(|_| Outcome::done(SeatGiven {})).collect())
    }
}

/// Ends the very connection that a command is carried out on.
async fn kill_connection(tx: &mut PgConnection) -> sqlx::Error {
    let killed = sqlx::query("SELECT pg_terminate_backend(pg_backend_pid())").execute(tx).await;
    killed.expect_err("a connection does not survive that")
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

    async fn prepare_many(&self, _tx: &mut PgConnection, set: &mut [Member<AskOutside>]) -> Decided<Self, AskOutside> {
        let decide = |Member { command, context }: &Member<AskOutside>| match command.mode {
            Mode::RefuseLate => Prepare::Answer(Outcome::refused(SOLD_OUT, "not even asked")),
            mode => Prepare::Call(Asking { key: context.idempotency_key(), mode }),
        };
        Ok(set.iter().map(decide).collect())
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

    async fn record_many(
        &self,
        tx: &mut PgConnection,
        set: &mut [Recording<AskOutside, Asking, bool>],
    ) -> SetHandled<Granted> {
        let granted = || set.iter().filter(|recording| recording.answer);
        sqlx::query("INSERT INTO granted SELECT * FROM unnest($1::uuid[], $2::text[])")
            .bind(granted().map(|recording| recording.command.holder).collect::<Vec<_>>())
            .bind(granted().map(|recording| recording.prepared.key.as_str()).collect::<Vec<_>>())
            .execute(tx)
            .await?;
        let outcome = |recording: &Recording<AskOutside, Asking, bool>| match recording.answer {
            true => Outcome::done(Granted { key: recording.prepared.key.clone() }),
            false => Outcome::refused(SOLD_OUT, "the outside says no"),
        };
        Ok(set.iter().map(outcome).collect())
    }
}

impl OutsideHandler<TakeBack> for Outside {
    type Prepared = String;
    type Answer = ();

    async fn prepare_many(&self, tx: &mut PgConnection, set: &mut [Member<TakeBack>]) -> Decided<Self, TakeBack> {
        let holders: Vec<Uuid> = set.iter().map(|member| member.command.holder).collect();
        let keys = sqlx::query_as::<_, (Uuid, String)>("SELECT holder, key FROM granted WHERE holder = ANY($1)");
        let keys: BTreeMap<_, _> = keys.bind(holders).fetch_all(tx).await?.into_iter().collect();
        let decide = |Member { command, context }: &Member<TakeBack>| match &context.action_in_doubt {
            Some(action) => Prepare::Call(action.to_string()),
            None => match keys.get(&command.holder) {
                Some(key) => Prepare::Call(key.clone()),
                None => Prepare::Answer(Outcome::done(TakenBack {})),
            },
        };
        Ok(set.iter().map(decide).collect())
    }

    async fn call(&self, key: &String, _resumed: bool) -> Result<(), HandlerError> {
        Ok(self.end(key).await?)
    }

    async fn record_many(
        &self,
        tx: &mut PgConnection,
        set: &mut [Recording<TakeBack, String, ()>],
    ) -> SetHandled<TakenBack> {
        let holders: Vec<Uuid> = set.iter().map(|recording| recording.command.holder).collect();
        sqlx::query("DELETE FROM granted WHERE holder = ANY($1)").bind(holders).execute(tx).await?;
        Ok(set.iter().map(|_| Outcome::done(TakenBack {})).collect())
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
async fn visit(State(pool): State<PgPool>) -> Result<(), ApiError> {
    Ok(carry_out_visit(&pool).await.map_err(DomainError::doing("visiting"))?)
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

/// The same part, handled in sets.
pub(crate) fn set_domain() -> Domain {
    Domain::new(Route::Flights, &MIGRATOR)
        .action::<TakeSeat>(SeatsInSets)
        .compensation::<GiveSeat>(SeatsInSets, |_| SeatGiven {})
}

/// The toy on a fresh database.
pub(crate) struct Toy {
    pub(crate) harness: Harness,
    pub(crate) outside: Outside,
    pub(crate) clock: Arc<worker_runtime::testkit::ManualClock>,
    pub(crate) database_url: String,
    domain: fn(Outside) -> Domain,
}

impl Toy {
    pub(crate) async fn new() -> Self {
        Self::of(domain).await
    }

    /// Its seats, handled in sets.
    pub(crate) async fn in_sets() -> Self {
        Self::of(|_| set_domain()).await
    }

    async fn of(domain: fn(Outside) -> Domain) -> Self {
        let database_url = private_servers::testing::database("runtime").await;
        let outside = Outside::new(&database_url);
        let clock = Arc::new(worker_runtime::testkit::ManualClock::new(kit::clock::system().now()));
        let harness = Harness::open(domain(outside.clone()), &database_url, clock.clone()).await;
        Self { harness, outside, clock, database_url, domain }
    }

    /// A second worker on the same database.
    pub(crate) async fn replica(&self) -> Harness {
        Harness::open((self.domain)(self.outside.clone()), &self.database_url, self.clock.clone()).await
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
