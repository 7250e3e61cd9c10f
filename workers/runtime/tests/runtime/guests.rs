//! A small subscriber for the runtime's own tests: it greets guests who have arrived, and says so in turn.

use contract::{command::Route, event::Event};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;
use worker_runtime::{Domain, EventContext, EventHandler, HandlerError, testkit::Snapshot};

use crate::toy::{MIGRATOR, Mode, Outside};

/// A guest whose greeting fails this often before it works, with [`Mode::LoseFirst`].
pub(crate) const FAULTS_AT_FIRST: i64 = 2;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct GuestArrived {
    pub(crate) guest: Uuid,
    #[serde(default)]
    pub(crate) mode: Mode,
}

impl Event for GuestArrived {
    const NAME: &'static str = "guest.arrived";
    const VERSION: u16 = 1;
    const ROUTE: Route = Route::Accommodation;
    const SUBSCRIBERS: &'static [Route] = &[Route::Flights, Route::Feed];

    fn subject(&self) -> String {
        self.guest.to_string()
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct GuestGreeted {
    pub(crate) guest: Uuid,
}

impl Event for GuestGreeted {
    const NAME: &'static str = "guest.greeted";
    const VERSION: u16 = 1;
    const ROUTE: Route = Route::Flights;
    const SUBSCRIBERS: &'static [Route] = &[Route::Feed];

    fn subject(&self) -> String {
        self.guest.to_string()
    }
}

struct Greeter(Outside);

impl EventHandler<GuestArrived> for Greeter {
    async fn handle(
        &self,
        tx: &mut PgConnection,
        event: GuestArrived,
        context: &mut EventContext,
    ) -> Result<(), HandlerError> {
        sqlx::query("INSERT INTO greeting VALUES ($1)").bind(event.guest).execute(&mut *tx).await?;
        context.emit(&GuestGreeted { guest: event.guest });
        match event.mode {
            Mode::Well => Ok(()),
            Mode::Panic => panic!("the greeter panics as it was told"),
            Mode::RefuseLate => Err(HandlerError::refused("guest_unwelcome", "this guest is never greeted")),
            Mode::BreakCheck => {
                sqlx::query("UPDATE seat_pool SET free = -1").execute(tx).await?;
                Ok(())
            }
            Mode::LoseFirst if self.0.tries_of(event.guest).await? > FAULTS_AT_FIRST => Ok(()),
            Mode::Wait => {
                self.0.gate.acquire().await.expect("the gate stays").forget();
                Ok(())
            }
            Mode::Fault | Mode::LoseFirst | Mode::LoseAll | Mode::KillConnection => {
                Err(HandlerError::fault("the greeter fails as it was told"))
            }
        }
    }
}

/// A domain that greets, under any name.
pub(crate) fn greeter(route: Route, outside: Outside) -> Domain {
    Domain::new(route, &MIGRATOR).on::<GuestArrived>(Greeter(outside))
}

/// Everything that an arrival changes.
pub(crate) fn greetings() -> Snapshot {
    Snapshot::new(["SELECT guest FROM greeting"])
}

pub(crate) fn arrival() -> GuestArrived {
    GuestArrived { guest: kit::ids::uuid_random(), mode: Mode::Well }
}
