//! Holds that were never confirmed are given back at their hour; holds that ended long ago are removed.
//!
//! The sweeper sleeps until the next hold runs out. Holds made meanwhile, here or in another process, last at least as
//! long as a hold lasts; so looking once in that time misses none. Every domain that holds something gives back by its
//! own SQL, because what it holds is its own.

use std::{future::Future, time::Duration};

use chrono::{DateTime, Utc};
use kit::clock::Clock;
use sqlx::{AssertSqlSafe, PgPool};
use tokio_util::sync::CancellationToken;

use crate::{
    domain::{Domain, Resources},
    domain_error::DomainError,
    hold_settings::HoldMinutes,
    limits,
    retention::Retention,
    sweeper::run_sweeper,
};

/// Holds that one transaction gives back: few enough not to keep buyers of the same inventory waiting.
pub const HOLDS_PER_BATCH: i64 = 100;

/// A domain that sells by offers and holds what was ordered until it is confirmed, released or expired.
pub trait Holds: Send + Sync + 'static {
    /// The table of holds; it has `status`, which is `held` for a live one, and `expires_at`.
    const HOLD_TABLE: &'static str;
    /// Removes holds that had ended without a booking (released or expired) before `$1`, at most `$2` of them, with their
    /// lines; see [`Retention::delete`].
    const DELETE_ENDED_HOLDS: &'static str;
    /// The metric that counts holds which ran out.
    const METRIC_EXPIRED: &'static str;

    /// Gives back at most [`HOLDS_PER_BATCH`] holds that have run out by `now`; returns how many. A hold that is being
    /// confirmed or released is waited for and then left as it is: the transaction that has its inventory first decides
    /// (S22).
    fn expire_due(pool: &PgPool, now: DateTime<Utc>) -> impl Future<Output = Result<u64, DomainError>> + Send;
}

impl Domain {
    /// Sweeps the domain's holds beside its commands, and removes its ended holds. No hold is shorter than `hold_for`.
    #[must_use]
    pub fn holds<H: Holds>(self, hold_for: HoldMinutes) -> Self {
        self.keep(ended_holds::<H>()).background(move |Resources { pool, clock, token, .. }| async move {
            sweep_holds::<H>(&pool, clock.as_ref(), hold_for.duration(), token).await;
        })
    }
}

/// Ended holds are kept for as long as the inbox remembers the commands that made them, so that the two agree.
const fn ended_holds<H: Holds>() -> Retention {
    Retention {
        rows: "ended holds",
        kept_for: limits::INBOX_RETENTION,
        batch_rows_max: 1_000,
        delete: H::DELETE_ENDED_HOLDS,
    }
}

/// Gives back holds until the token is cancelled. No hold is shorter than `hold_for`.
pub async fn sweep_holds<H: Holds>(pool: &PgPool, clock: &dyn Clock, hold_for: Duration, token: CancellationToken) {
    run_sweeper(H::HOLD_TABLE, clock, hold_for, token, |now| sweep::<H>(pool, now)).await;
}

/// Gives back everything due at `now` and says when the next hold runs out.
async fn sweep<H: Holds>(pool: &PgPool, now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>, DomainError> {
    loop {
        let expired = H::expire_due(pool, now).await?;
        if expired == 0 {
            break;
        }
        metrics::counter!(H::METRIC_EXPIRED).increment(expired);
    }
    next_expiry::<H>(pool).await
}

/// When the next live hold runs out, if there is one.
///
/// # Errors
/// When the database fails.
pub async fn next_expiry<H: Holds>(pool: &PgPool) -> Result<Option<DateTime<Utc>>, DomainError> {
    let sql = format!("SELECT min(expires_at) FROM {} WHERE status = 'held'", H::HOLD_TABLE);
    let next = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(pool).await;
    next.map_err(DomainError::doing("looking for the next expiry"))
}
