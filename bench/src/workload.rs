//! The load that is measured: a saga of four command steps, each one transaction of an inbox row and one domain row,
//! with a 500-byte input; one saga in ten is declined at its third step and undone.
//!
//! The floor runs the very same statements without a broker, a journal or an orchestrator.

use std::time::Duration;

use contract::{
    command::{Command, Outcome, Route},
    saga::Cause,
};
use machine::{Builder, Definition, DefinitionError, Retry};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;
use worker_runtime::{Context, Handled, Handler};

/// The definition's name.
pub(crate) const SAGA: &str = "bench";
/// Of the start input, in bytes.
pub(crate) const PAYLOAD_BYTES: usize = 500;
/// One saga in so many is declined.
pub(crate) const DECLINED_EVERY: u64 = 10;
/// The code of a decline.
pub(crate) const DECLINED: &str = "card_declined";

/// Inserts the domain's row.
pub(crate) const INSERT_ROW: &str = "INSERT INTO bench_row (saga_id, status, payload) VALUES ($1, $2, $3)";
/// Changes the domain's row.
pub(crate) const UPDATE_ROW: &str = "UPDATE bench_row SET status = $2 WHERE saga_id = $1";

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
    let retry = Retry::exponential(Duration::from_millis(200)).attempts_max(10);
    saga.before_pivot(retry).must_succeed(retry);
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

/// Carries out every step: one statement each.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Participant;

async fn insert(tx: &mut PgConnection, input: BenchInput, status: &str) -> Handled<Answered> {
    sqlx::query(INSERT_ROW).bind(input.row).bind(status).bind(input.filler).execute(tx).await?;
    Ok(Outcome::done(Answered {}))
}

async fn update(tx: &mut PgConnection, input: BenchInput, status: &str) -> Handled<Answered> {
    sqlx::query(UPDATE_ROW).bind(input.row).bind(status).execute(tx).await?;
    Ok(Outcome::done(Answered {}))
}

impl Handler<CreateOrder> for Participant {
    async fn handle(&self, tx: &mut PgConnection, command: CreateOrder, _: &mut Context) -> Handled<Answered> {
        insert(tx, command.0, "pending").await
    }
}

impl Handler<RejectOrder> for Participant {
    async fn handle(&self, tx: &mut PgConnection, command: RejectOrder, _: &mut Context) -> Handled<Answered> {
        update(tx, command.0, "rejected").await
    }
}

impl Handler<HoldRoom> for Participant {
    async fn handle(&self, tx: &mut PgConnection, command: HoldRoom, _: &mut Context) -> Handled<Answered> {
        insert(tx, command.0, "held").await
    }
}

impl Handler<ReleaseRoom> for Participant {
    async fn handle(&self, tx: &mut PgConnection, command: ReleaseRoom, _: &mut Context) -> Handled<Answered> {
        update(tx, command.0, "released").await
    }
}

impl Handler<Authorize> for Participant {
    async fn handle(&self, tx: &mut PgConnection, command: Authorize, _: &mut Context) -> Handled<Answered> {
        if command.0.decline {
            return Ok(Outcome::refused(DECLINED, "the card was declined"));
        }
        insert(tx, command.0, "authorized").await
    }
}

impl Handler<Void> for Participant {
    async fn handle(&self, tx: &mut PgConnection, command: Void, _: &mut Context) -> Handled<Answered> {
        update(tx, command.0, "voided").await
    }
}

impl Handler<ConfirmOrder> for Participant {
    async fn handle(&self, tx: &mut PgConnection, command: ConfirmOrder, _: &mut Context) -> Handled<Answered> {
        update(tx, command.0, "confirmed").await
    }
}
