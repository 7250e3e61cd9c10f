//! Gives back what was held and never confirmed, at its hour.
//!
//! It sleeps until the next hold runs out. Holds made meanwhile, here or in another process, last at least as long as
//! a hold lasts; so looking once in that time misses none, and an idle system asks about nothing more often.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use kit::clock::Clock;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::error::FlightsError;

/// Holds that one transaction gives back: short enough not to keep buyers of the same seats waiting.
const HOLDS_PER_BATCH: i64 = 100;
/// Offers that one statement deletes.
const OFFERS_PER_BATCH: i64 = 5_000;
/// How long expired offers are kept, so that whoever comes late hears "expired" and not "unknown".
const OFFERS_KEPT_FOR: Duration = Duration::from_secs(24 * 3600);
/// How soon to look again at what somebody else had locked, or after a failure.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Counts holds that ran out.
const METRIC_EXPIRED: &str = "sojourn_flights_holds_expired_total";

/// Gives back and forgets until the token is cancelled. No hold is shorter than `hold_for`.
pub async fn run(pool: PgPool, clock: Arc<dyn Clock>, hold_for: Duration, token: CancellationToken) {
    loop {
        let pause = match sweep(&pool, clock.now(), hold_for).await {
            Ok(pause) => pause,
            Err(error) => {
                tracing::warn!(error = kit::settings::error_chain(&error), "the sweep of flight holds failed");
                LOOK_AGAIN_AFTER
            }
        };
        tokio::select! {
            () = token.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Expires everything due and says how long nothing will be.
async fn sweep(pool: &PgPool, now: DateTime<Utc>, hold_for: Duration) -> Result<Duration, FlightsError> {
    while expire_due(pool, now).await? > 0 {}
    while forget_offers(pool, now).await? == OFFERS_PER_BATCH.unsigned_abs() {}
    Ok(match next_expiry(pool).await? {
        Some(due) => {
            (due - now).to_std().unwrap_or(Duration::ZERO).clamp(LOOK_AGAIN_AFTER, hold_for.max(LOOK_AGAIN_AFTER))
        }
        None => hold_for,
    })
}

/// Gives back one batch of holds that have run out by `now`; returns how many. A hold that somebody is just confirming
/// or releasing is waited for and then left as it is: whoever has its inventory first decides.
///
/// # Errors
/// When the database fails; then nothing has changed.
pub async fn expire_due(pool: &PgPool, now: DateTime<Utc>) -> Result<u64, FlightsError> {
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
    .map_err(FlightsError::doing("expiring holds"))?;
    metrics::counter!(METRIC_EXPIRED).increment(expired.unsigned_abs());
    Ok(expired.unsigned_abs())
}

/// When the next live hold runs out, if there is one.
///
/// # Errors
/// When the database fails.
pub async fn next_expiry(pool: &PgPool) -> Result<Option<DateTime<Utc>>, FlightsError> {
    let (next,): (Option<DateTime<Utc>>,) =
        sqlx::query_as("SELECT min(expires_at) FROM flight_hold WHERE status = 'held'")
            .fetch_one(pool)
            .await
            .map_err(FlightsError::doing("looking for the next expiry"))?;
    Ok(next)
}

/// Deletes one batch of offers that have long expired. Their ids begin with the time, so the primary key finds them.
async fn forget_offers(pool: &PgPool, now: DateTime<Utc>) -> Result<u64, FlightsError> {
    let before = now - OFFERS_KEPT_FOR;
    let deleted = sqlx::query(
        "DELETE FROM flight_offer WHERE offer_id IN (
             SELECT offer_id FROM flight_offer WHERE offer_id < $1 AND expires_at < $2 ORDER BY offer_id LIMIT $3)",
    )
    .bind(first_id_of(before))
    .bind(before)
    .bind(OFFERS_PER_BATCH)
    .execute(pool)
    .await
    .map_err(FlightsError::doing("deleting old offers"))?;
    Ok(deleted.rows_affected())
}

/// The smallest UUIDv7 of a moment: 48 bits of milliseconds, then nothing.
fn first_id_of(time: DateTime<Utc>) -> Uuid {
    let millis = u128::from(time.timestamp_millis().max(0).unsigned_abs());
    Uuid::from_u128(millis << 80)
}
