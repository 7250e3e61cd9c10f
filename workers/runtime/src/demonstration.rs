//! The demonstration's goods: put on sale before a domain takes commands, and again on every new day, so that a process
//! that runs for months sells as far ahead as a new one.

use std::{future::Future, time::Duration};

use chrono::NaiveDate;
use kit::settings::error_chain;
use sqlx::{PgPool, Postgres, Transaction};

use crate::{
    domain::{Domain, Resources},
    domain_error::DomainError,
    new_day::on_each_new_day,
};

/// How long the demonstration may sell without the last day that a new day brings.
const NEW_DAY_SEEN_WITHIN: Duration = Duration::from_secs(3600);

impl Domain {
    /// Puts goods on sale with `seed`, from the day that it is given on: before the domain takes commands, and on every
    /// new day. `what` names them in the log. `seed` adds what is missing and leaves alone what is there; when it
    /// fails the domain works with what it has.
    #[must_use]
    pub fn demonstration<F>(self, what: &'static str, seed: fn(PgPool, NaiveDate) -> F) -> Self
    where
        F: Future<Output = Result<(), DomainError>> + Send + 'static,
    {
        self.setup(move |Resources { pool, clock, .. }| async move {
            if let Err(error) = seed(pool, clock.now().date_naive()).await {
                tracing::error!(what, error = error_chain(&error), "the demonstration could not be put on sale");
            }
        })
        .background(move |Resources { pool, clock, token, .. }| async move {
            let seeded_for = clock.now().date_naive();
            let seed = |today| seed(pool.clone(), today);
            on_each_new_day(what, clock.as_ref(), seeded_for, NEW_DAY_SEEN_WITHIN, token, seed).await;
        })
    }
}

/// Begins a transaction that seeds. Two processes that start together take turns.
///
/// # Errors
/// When the database fails.
pub async fn begin_seed(pool: &PgPool) -> Result<Transaction<'static, Postgres>, DomainError> {
    let mut tx = pool.begin().await.map_err(DomainError::doing("starting to seed"))?;
    sqlx::query("SELECT pg_advisory_xact_lock(hashtext('seed'))")
        .execute(&mut *tx)
        .await
        .map_err(DomainError::doing("waiting to seed"))?;
    Ok(tx)
}
