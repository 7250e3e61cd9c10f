//! The visa desk: the domain that carries out the commands of the visa's sagas, and writes down what it did.

use contract::{Outcome, Route};
use sqlx::{PgConnection, migrate::Migrator};
use worker_runtime::{Context, Domain, DomainError, Handled, Handler};

use super::visa::{
    BookSlot, CancelPolicy, CancelSlot, CollectPassport, Noted, OfVisa, PayCourier, RefundCourier, WritePolicy,
};

/// Makes the table of the work.
static MIGRATOR: Migrator = sqlx::migrate!("tests/browser/own_definition/migrations");

/// Carries out all commands.
#[derive(Clone, Copy)]
struct Desk;

/// The domain as a worker runs it.
pub(crate) fn domain() -> Domain {
    Domain::new(Route::Order, &MIGRATOR)
        .action::<BookSlot>(Desk)
        .compensation::<CancelSlot>(Desk, |_| Noted {})
        .action::<PayCourier>(Desk)
        .compensation::<RefundCourier>(Desk, |_| Noted {})
        .action::<WritePolicy>(Desk)
        .compensation::<CancelPolicy>(Desk, |_| Noted {})
        .action::<CollectPassport>(Desk)
}

/// Lets the desk handle commands, each by noting it.
macro_rules! handled {
    ($($command:ty),* $(,)?) => {$(
        impl Handler<$command> for Desk {
            async fn handle(&self, tx: &mut PgConnection, command: $command, _: &mut Context) -> Handled<Noted> {
                note(tx, &command).await
            }
        }
    )*};
}

handled!(BookSlot, CancelSlot, PayCourier, RefundCourier, WritePolicy, CancelPolicy, CollectPassport);

async fn note<C: OfVisa>(tx: &mut PgConnection, command: &C) -> Handled<Noted> {
    sqlx::query("INSERT INTO visa_work (visa, work) VALUES ($1, $2)")
        .bind(command.visa())
        .bind(C::NAME)
        .execute(tx)
        .await
        .map_err(DomainError::doing("noting the work"))?;
    Ok(Outcome::done(Noted {}))
}
