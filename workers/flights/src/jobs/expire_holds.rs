//! Gives back seats that were held and never confirmed, at their hour.

use std::time::Duration;

use chrono::{DateTime, Utc};
use kit::{clock::Clock, ids};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use worker_runtime::DomainError;

/// Holds that one transaction gives back: few enough not to keep buyers of the same seats waiting.
const HOLDS_PER_BATCH: i64 = 100;
/// Offers that one statement deletes.
const OFFERS_PER_BATCH: i64 = 5_000;
/// How long expired offers are kept, so that a client who comes late hears "expired" and not "unknown".
const OFFERS_KEPT_FOR: Duration = Duration::from_secs(24 * 3600);

/// The number of holds that ran out.
const METRIC_EXPIRED: &str = "sojourn_flights_seat_holds_expired_total";

/// Gives back holds and forgets offers until the token is cancelled. No hold is shorter than `hold_for`, so a look in
/// that time misses none.
pub async fn run_sweeper(pool: &PgPool, clock: &dyn Clock, hold_for: Duration, token: CancellationToken) {
    worker_runtime::run_sweeper("seat holds", clock, hold_for, token, |now| sweep(pool, now)).await;
}

/// Expires everything due at `now` and says when the next hold runs out.
async fn sweep(pool: &PgPool, now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>, DomainError> {
    while expire_due(pool, now).await? > 0 {}
    while forget_offers(pool, now).await? == OFFERS_PER_BATCH.unsigned_abs() {}
    next_expiry(pool).await
}

/// Gives back one batch of holds that have run out by `now`; returns how many. A hold that is being confirmed or released is
/// waited for and then left as it is: the transaction that has its inventory first decides.
///
/// # Errors
/// When the database fails; then nothing has changed.
pub async fn expire_due(pool: &PgPool, now: DateTime<Utc>) -> Result<u64, DomainError> {
    let (expired,): (i64,) = sqlx::query_as(
        "WITH due AS MATERIALIZED (
             SELECT order_id FROM flight_hold WHERE status = 'held' AND expires_at <= $1 ORDER BY expires_at LIMIT $2
         ), locked AS MATERIALIZED (
             SELECT i.flight_id, i.cabin FROM cabin_inventory i
             WHERE (i.flight_id, i.cabin) IN (
                 SELECT l.flight_id, l.cabin FROM due JOIN flight_hold_line l USING (order_id))
             ORDER BY i.flight_id, i.cabin FOR NO KEY UPDATE OF i
         ), expired AS (
             UPDATE flight_hold h SET status = 'expired', closed_at = $1 FROM due
             WHERE (SELECT count(*) FROM locked) > 0 AND h.order_id = due.order_id AND h.status = 'held'
             RETURNING h.order_id
         ), given AS (
             SELECT l.flight_id, l.cabin, sum(l.seats)::int AS seats
             FROM expired JOIN flight_hold_line l USING (order_id) GROUP BY l.flight_id, l.cabin
         ), moved AS (
             UPDATE cabin_inventory i SET held = i.held - g.seats
             FROM given g WHERE i.flight_id = g.flight_id AND i.cabin = g.cabin
         )
         SELECT count(*) FROM expired",
    )
    .bind(now)
    .bind(HOLDS_PER_BATCH)
    .fetch_one(pool)
    .await
    .map_err(DomainError::doing("expiring holds"))?;
    metrics::counter!(METRIC_EXPIRED).increment(expired.unsigned_abs());
    Ok(expired.unsigned_abs())
}

/// When the next live hold runs out, if there is one.
///
/// # Errors
/// When the database fails.
pub async fn next_expiry(pool: &PgPool) -> Result<Option<DateTime<Utc>>, DomainError> {
    let (next,): (Option<DateTime<Utc>>,) =
        sqlx::query_as("SELECT min(expires_at) FROM flight_hold WHERE status = 'held'")
            .fetch_one(pool)
            .await
            .map_err(DomainError::doing("looking for the next expiry"))?;
    Ok(next)
}

/// Deletes one batch of offers that have long expired. Their ids begin with the time, so the primary key finds them.
async fn forget_offers(pool: &PgPool, now: DateTime<Utc>) -> Result<u64, DomainError> {
    let before = now - OFFERS_KEPT_FOR;
    let deleted = sqlx::query(
        "DELETE FROM flight_offer WHERE offer_id IN (
             SELECT offer_id FROM flight_offer WHERE offer_id < $1 AND expires_at < $2 ORDER BY offer_id LIMIT $3)",
    )
    .bind(ids::first_uuid_v7_of(before))
    .bind(before)
    .bind(OFFERS_PER_BATCH)
    .execute(pool)
    .await
    .map_err(DomainError::doing("deleting old offers"))?;
    Ok(deleted.rows_affected())
}
