//! Handlers without the runtime around them: one command in a transaction of its own, at a time that the test chooses.
//! For races and histories, where the test itself begins, holds back and commits.

use axum::{Router, body::Body, http::Request};
use chrono::{DateTime, TimeDelta, Utc};
use contract::{Command, CommandId, Money, Op, OrderId, Outcome, SagaId, StepName};
use rust_decimal::Decimal;
use serde_json::Value;
use sqlx::{PgPool, migrate::Migrator, postgres::PgPoolOptions};
use tokio::task::JoinHandle;
use tower::ServiceExt as _;
use uuid::Uuid;

use crate::{Context, DEVELOPMENT_OFFER_KEY, Handled, Handler, Holds, OfferKeys};

/// Enough for many buyers side by side.
const CONNECTIONS_MAX: u32 = 24;

/// The longest answer of a read, in bytes: a page of two hundred offers.
const BODY_BYTES_MAX: usize = 1 << 20;

/// The database of `database_url` with the domain's tables, and none of the runtime's.
///
/// # Panics
/// When the database does not do it.
pub async fn migrated(database_url: &str, migrator: &Migrator) -> PgPool {
    let pool = PgPoolOptions::new().max_connections(CONNECTIONS_MAX).connect(database_url).await;
    let pool = pool.unwrap_or_else(|error| panic!("no connection to {database_url}: {error}"));
    migrator.run(&pool).await.unwrap_or_else(|error| panic!("the tables cannot be made: {error}"));
    pool
}

/// A minute of the test's own time, which begins on 15 January 2027 at 8 o'clock.
#[must_use]
pub fn at(minute: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(1_800_000_000) + TimeDelta::minutes(minute)
}

/// The order with this number.
#[must_use]
pub fn order(number: u128) -> OrderId {
    OrderId::from_uuid(Uuid::from_u128(number))
}

/// An amount in euros.
///
/// # Panics
/// When it is none.
#[must_use]
pub fn euros(amount: i64) -> Money {
    Money::from_parts(Decimal::from(amount), "EUR").expect("whole euros are money")
}

/// The keys of development.
///
/// # Panics
/// When they are too short.
#[must_use]
pub fn offer_keys() -> OfferKeys {
    OfferKeys::new(&[DEVELOPMENT_OFFER_KEY.into()], false).expect("the development key is a key")
}

/// The surroundings of a command at `now`.
#[must_use]
pub fn context(now: DateTime<Utc>) -> Context {
    let step = StepName::new("step").unwrap_or_else(|_| unreachable!("`step` is a step's name"));
    let saga = SagaId::from_uuid(Uuid::from_u128(1));
    Context::new(CommandId { saga, step, op: Op::Action, generation: 1 }, 1, now)
}

/// Carries out one command at `now` in a transaction of its own; an error rolls it back.
///
/// # Errors
/// The handler's, or the database's.
pub async fn run<C: Command>(
    pool: &PgPool,
    handlers: &impl Handler<C>,
    command: C,
    now: DateTime<Utc>,
) -> Handled<C::Reply> {
    let mut tx = pool.begin().await?;
    let outcome = handlers.handle(&mut tx, command, &mut context(now)).await?;
    tx.commit().await?;
    Ok(outcome)
}

/// Returns once the task waits for a lock in this database, or is done.
///
/// # Panics
/// When the database cannot be asked.
pub async fn until_waiting<T>(pool: &PgPool, task: &JoinHandle<T>) {
    while !task.is_finished() {
        let waiting: bool = sqlx::query_scalar(
            "SELECT EXISTS (
                 SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')",
        )
        .fetch_one(pool)
        .await
        .expect("the database tells what waits");
        if waiting {
            break;
        }
    }
}

/// The word for an outcome: `done`, or the refusal's code.
///
/// # Panics
/// When it is a fault.
pub fn code<R>(outcome: Outcome<R>) -> String {
    match outcome {
        Outcome::Done { .. } => "done".to_owned(),
        Outcome::Refused(refusal) => refusal.code,
        Outcome::Faulted(fault) => panic!("faulted: {fault:?}"),
    }
}

/// A confirmation and the sweeper at the same hold, each in a transaction of its own and with a clock of its own (S22).
#[derive(Debug, Clone, Copy)]
pub struct ExpiryRace {
    /// The time of the confirmation.
    pub confirm_at: DateTime<Utc>,
    /// The time of the sweep.
    pub sweep_at: DateTime<Utc>,
    /// Whether the confirmation has done its work, and only not committed, when the sweep begins.
    pub confirm_first: bool,
}

impl ExpiryRace {
    /// Runs the race; answers how many holds were given back.
    ///
    /// # Panics
    /// When one of the two fails, or a hold is both confirmed and given back.
    pub async fn run<H: Holds + Handler<C>, C: Command>(self, pool: &PgPool, handlers: &H, confirm: C) -> u64 {
        let (sweeper, sweep_at) = (pool.clone(), self.sweep_at);
        let sweep = async move { H::expire_due(&sweeper, sweep_at).await.expect("the sweep works") };
        let (outcome, swept) = if self.confirm_first {
            let mut tx = pool.begin().await.expect("a transaction");
            let outcome = handlers.handle(&mut tx, confirm, &mut context(self.confirm_at)).await;
            // The confirmation has everything and has not committed: the sweeper waits for it, then looks again.
            let sweep = tokio::spawn(sweep);
            until_waiting(pool, &sweep).await;
            tx.commit().await.expect("the confirmation commits");
            (outcome, sweep.await)
        } else {
            let sweep = tokio::spawn(sweep);
            (run(pool, handlers, confirm, self.confirm_at).await, sweep.await)
        };
        let (outcome, swept) = (code(outcome.expect("the confirmation works")), swept.expect("the sweep ends"));
        assert!(!(outcome == "done" && swept > 0), "confirmed and expired: {self:?}");
        swept
    }
}

/// Asks a domain's reads; answers the status and the JSON of the body.
///
/// # Panics
/// When the answer is no JSON.
pub async fn get(reads: &Router, path_and_query: &str) -> (u16, Value) {
    let request = Request::get(path_and_query).body(Body::empty()).expect("an address");
    let response = reads.clone().oneshot(request).await.unwrap_or_else(|never| match never {});
    let status = response.status().as_u16();
    let body = axum::body::to_bytes(response.into_body(), BODY_BYTES_MAX).await.expect("a body");
    (status, serde_json::from_slice(&body).expect("a body of JSON"))
}
