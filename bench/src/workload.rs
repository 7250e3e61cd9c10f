//! The load that is measured: a saga of four command steps, each one transaction of an inbox row and one domain row,
//! with a 500-byte input; one saga in ten is declined at its third step and undone.
//!
//! The floor runs the same transactions, one saga at a time, without a broker, a journal or an orchestrator.

use std::time::Duration;

use contract::{
    command::{Command, Outcome, Route},
    saga::Cause,
};
use machine::{Builder, Definition, DefinitionError, Retry};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;
use worker_runtime::{Member, SetHandled, SetHandler};

/// The definition's name.
pub(crate) const SAGA: &str = "bench";
/// The name of the definition that waits for a person.
pub(crate) const SAGA_STUCK: &str = "bench-stuck";
/// The step of it at which it waits.
pub(crate) const STUCK_STEP: &str = "authorize-payment";
/// Of the start input, in bytes.
pub(crate) const PAYLOAD_BYTES: usize = 500;
/// One saga in so many is declined.
pub(crate) const DECLINED_EVERY: u64 = 10;
/// The code of a decline.
pub(crate) const DECLINED: &str = "card_declined";

/// Inserts a row in each of some sagas' names.
const INSERT_ROWS: &str = "INSERT INTO bench_row (saga_id, status, payload) \
                           SELECT saga_id, $2, payload FROM unnest($1::uuid[], $3::text[]) AS s (saga_id, payload)";
/// Changes the rows of some sagas.
const UPDATE_ROWS: &str = "UPDATE bench_row SET status = $2 WHERE saga_id = ANY($1)";

/// The start input, and the payload of the commands.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct BenchInput {
    pub(crate) row: Uuid,
    pub(crate) decline: bool,
    pub(crate) filler: String,
}

impl BenchInput {
    /// An input of [`PAYLOAD_BYTES`].
    pub(crate) fn new(row: Uuid, decline: bool) -> Self {
        // The JSON around the filler takes some 80 bytes.
        Self { row, decline, filler: "x".repeat(PAYLOAD_BYTES - 80) }
    }
}

macro_rules! command {
    ($(#[$doc:meta])* $name:ident, $wire:literal, $route:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Serialize, Deserialize)]
        #[serde(transparent)]
        pub(crate) struct $name(pub(crate) BenchInput);

        impl Command for $name {
            const NAME: &'static str = $wire;
            const VERSION: u16 = 1;
            const ROUTE: Route = Route::$route;
            type Reply = Answered;
        }
    };
}

/// The reply of every step.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Answered {}

command!(
    /// Step 1 inserts its row.
    CreateOrder, "order.create", Order
);
command!(
    /// Undoes step 1.
    RejectOrder, "order.reject", Order
);
command!(
    /// Step 2 inserts its row.
    HoldRoom, "accommodation.hold_rooms", Accommodation
);
command!(
    /// Undoes step 2.
    ReleaseRoom, "accommodation.release_rooms", Accommodation
);
command!(
    /// Step 3, which one saga in ten fails.
    Authorize, "payment.authorize", Payment
);
command!(
    /// Undoes step 3.
    Void, "payment.void", Payment
);
command!(
    /// Step 4, the pivot.
    ConfirmOrder, "order.confirm", Order
);

pub(crate) fn definition() -> Result<Definition, Vec<DefinitionError>> {
    let mut saga = Builder::<BenchInput>::new(SAGA, 1);
    let retry = Retry::exponential(Duration::from_millis(200));
    saga.before_pivot(retry.attempts_max(10)).must_succeed(retry);
    let create = saga
        .step("create-order")
        .command(|input, _| CreateOrder(input.clone()))
        .compensate(|input, _: &Cause| RejectOrder(input.clone()))
        .add();
    let hold = saga
        .step("hold-room")
        .after([create])
        .command(|input, _| HoldRoom(input.clone()))
        .compensate(|input, _: &Cause| ReleaseRoom(input.clone()))
        .add();
    let authorize = saga
        .step("authorize-payment")
        .after([hold])
        .command(|input, _| Authorize(input.clone()))
        .compensate(|input, _: &Cause| Void(input.clone()))
        .add();
    saga.step("confirm-order").after([authorize]).pivot().command(|input, _| ConfirmOrder(input.clone())).add();
    saga.build()
}

/// A saga that, when it is declined, is declined past its pivot: it sleeps until a person says how it goes on.
pub(crate) fn stuck_definition() -> Result<Definition, Vec<DefinitionError>> {
    let mut saga = Builder::<BenchInput>::new(SAGA_STUCK, 1);
    saga.must_succeed(Retry::exponential(Duration::from_millis(200)));
    let create = saga.step("create-order").pivot().command(|input, _| CreateOrder(input.clone())).add();
    let authorize = saga.step(STUCK_STEP).after([create]).retriable();
    let authorize = authorize.command(|input, _| Authorize(input.clone())).add();
    saga.step("confirm-order").after([authorize]).retriable().command(|input, _| ConfirmOrder(input.clone())).add();
    saga.build()
}

/// Carries out every step: one statement for all commands of a kind that arrive together.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Participant;

/// Inserts the rows of some sagas.
async fn insert(tx: &mut PgConnection, inputs: Vec<&BenchInput>, status: &str) -> Result<(), sqlx::Error> {
    let rows: Vec<Uuid> = inputs.iter().map(|input| input.row).collect();
    let fillers: Vec<&str> = inputs.iter().map(|input| input.filler.as_str()).collect();
    sqlx::query(INSERT_ROWS).bind(rows).bind(status).bind(fillers).execute(tx).await?;
    Ok(())
}

/// Changes the rows of some sagas.
async fn update(tx: &mut PgConnection, inputs: Vec<&BenchInput>, status: &str) -> Result<(), sqlx::Error> {
    let rows: Vec<Uuid> = inputs.iter().map(|input| input.row).collect();
    sqlx::query(UPDATE_ROWS).bind(rows).bind(status).execute(tx).await?;
    Ok(())
}

macro_rules! participant {
    ($($command:ident $write:ident $status:literal,)*) => {$(
        impl SetHandler<$command> for Participant {
            async fn handle_many(&self, tx: &mut PgConnection, set: &mut [Member<$command>]) -> SetHandled<Answered> {
                $write(tx, set.iter().map(|member| &member.command.0).collect(), $status).await?;
                Ok(set.iter().map(|_| Outcome::done(Answered {})).collect())
            }
        }
    )*};
}

participant! {
    CreateOrder insert "pending",
    RejectOrder update "rejected",
    HoldRoom insert "held",
    ReleaseRoom update "released",
    Void update "voided",
    ConfirmOrder update "confirmed",
}

impl SetHandler<Authorize> for Participant {
    async fn handle_many(&self, tx: &mut PgConnection, set: &mut [Member<Authorize>]) -> SetHandled<Answered> {
        let taken: Vec<_> = set.iter().map(|member| &member.command.0).filter(|input| !input.decline).collect();
        if !taken.is_empty() {
            insert(tx, taken, "authorized").await?;
        }
        let outcome = |member: &Member<Authorize>| match member.command.0.decline {
            true => Outcome::refused(DECLINED, "the card was declined"),
            false => Outcome::done(Answered {}),
        };
        Ok(set.iter().map(outcome).collect())
    }
}
