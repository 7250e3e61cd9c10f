//! Holds that were never confirmed are given back at their hour, and offers that have long expired are forgotten.
//!
//! The sweeper sleeps until the next hold runs out. Holds made meanwhile, here or in another process, last at least as
//! long as a hold lasts; so looking once in that time misses none. Every domain that holds something gives back by its
//! own SQL, because what it holds is its own.

use std::{future::Future, time::Duration};

use chrono::{DateTime, Utc};
use kit::{clock::Clock, ids};
use sqlx::{AssertSqlSafe, PgPool};
use tokio_util::sync::CancellationToken;

use crate::{
    domain::{Domain, Resources},
    domain_error::DomainError,
    hold_settings::HoldMinutes,
    sweeper::run_sweeper,
};

/// Holds that one transaction gives back: few enough not to keep buyers of the same inventory waiting.
pub const HOLDS_PER_BATCH: i64 = 100;
/// Offers that one statement deletes.
const OFFERS_PER_BATCH: i64 = 5_000;
/// How long expired offers are kept, so that a client who comes late hears "expired" and not "unknown".
const OFFERS_KEPT_FOR: Duration = Duration::from_secs(24 * 3600);

/// A domain that sells by offers and holds what was ordered until it is confirmed, released or expired.
pub trait Holds: Send + Sync + 'static {
    /// The table of holds; it has `status`, which is `held` for a live one, and `expires_at`.
    const HOLD_TABLE: &'static str;
    /// The table of offers; it has `offer_id`, a UUIDv7, and `expires_at`.
    const OFFER_TABLE: &'static str;
    /// The metric that counts holds which ran out.
    const METRIC_EXPIRED: &'static str;

    /// Gives back at most [`HOLDS_PER_BATCH`] holds that have run out by `now`; returns how many. A hold that is being
    /// confirmed or released is waited for and then left as it is: the transaction that has its inventory first decides
    /// (S22).
    fn expire_due(pool: &PgPool, now: DateTime<Utc>) -> impl Future<Output = Result<u64, DomainError>> + Send;
}

impl Domain {
    /// Sweeps the domain's holds beside its commands. No hold is shorter than `hold_for`.
    #[must_use]
    pub fn holds<H: Holds>(self, hold_for: HoldMinutes) -> Self {
        self.background(move |Resources { pool, clock, token, .. }| async move {
            sweep_holds::<H>(&pool, clock.as_ref(), hold_for.duration(), token).await;
        })
    }
}

/// Gives back holds and forgets offers until the token is cancelled. No hold is shorter than `hold_for`.
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
    while forget_offers::<H>(pool, now).await? == OFFERS_PER_BATCH.unsigned_abs() {}
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

/// Deletes one batch of offers that have long expired. Their ids begin with the time, so the primary key finds them.
async fn forget_offers<H: Holds>(pool: &PgPool, now: DateTime<Utc>) -> Result<u64, DomainError> {
    let before = now - OFFERS_KEPT_FOR;
    let sql = format!(
        "DELETE FROM {0} WHERE offer_id IN (
             SELECT offer_id FROM {0} WHERE offer_id < $1 AND expires_at < $2 ORDER BY offer_id LIMIT $3)",
        H::OFFER_TABLE
    );
    let deleted = sqlx::query(AssertSqlSafe(sql))
        .bind(ids::first_uuid_v7_of(before))
        .bind(before)
        .bind(OFFERS_PER_BATCH)
        .execute(pool)
        .await
        .map_err(DomainError::doing("deleting old offers"))?;
    Ok(deleted.rows_affected())
}
