//! The tutorial's participant: what a real saga would add to a domain in `workers`.

use contract::{Outcome, Route};
use sqlx::{PgConnection, migrate::Migrator};
use worker_runtime::{Context, Domain, DomainError, Handled, Handler};

use crate::messages::{GiveSuite, HoldSuite, REFUSED_SUITE_TAKEN, ReleaseSuite, SuiteGiven, SuiteHeld, SuiteReleased};

/// Makes the table of upgrades.
static MIGRATOR: Migrator = sqlx::migrate!("tests/tutorial/migrations");

/// Carries out the three commands.
#[derive(Clone, Copy)]
struct Upgrades;

/// The domain as a worker runs it.
pub(crate) fn domain() -> Domain {
    Domain::new(Route::Accommodation, &MIGRATOR)
        .action::<HoldSuite>(Upgrades)
        .compensation::<ReleaseSuite>(Upgrades, |_| SuiteReleased {})
        .action::<GiveSuite>(Upgrades)
}

impl Handler<HoldSuite> for Upgrades {
    async fn handle(&self, tx: &mut PgConnection, hold: HoldSuite, _: &mut Context) -> Handled<SuiteHeld> {
        let held =
            sqlx::query("INSERT INTO upgrade (booking, suite, status) VALUES ($1, $2, 'held') ON CONFLICT DO NOTHING")
                .bind(&hold.booking)
                .bind(&hold.suite)
                .execute(tx)
                .await
                .map_err(DomainError::doing("holding a suite"))?;
        if held.rows_affected() == 0 {
            let message = format!("the suite {} is taken", hold.suite);
            return Ok(Outcome::refused(REFUSED_SUITE_TAKEN, message));
        }
        Ok(Outcome::done(SuiteHeld {}))
    }
}

impl Handler<ReleaseSuite> for Upgrades {
    async fn handle(&self, tx: &mut PgConnection, release: ReleaseSuite, _: &mut Context) -> Handled<SuiteReleased> {
        sqlx::query("DELETE FROM upgrade WHERE booking = $1 AND status = 'held'")
            .bind(&release.booking)
            .execute(tx)
            .await
            .map_err(DomainError::doing("releasing a suite"))?;
        Ok(Outcome::done(SuiteReleased {}))
    }
}

impl Handler<GiveSuite> for Upgrades {
    async fn handle(&self, tx: &mut PgConnection, give: GiveSuite, _: &mut Context) -> Handled<SuiteGiven> {
        sqlx::query("UPDATE upgrade SET status = 'given' WHERE booking = $1")
            .bind(&give.booking)
            .execute(tx)
            .await
            .map_err(DomainError::doing("giving a suite"))?;
        Ok(Outcome::done(SuiteGiven {}))
    }
}
