//! Gives back seats that were held and never confirmed, at their hour.

use chrono::{DateTime, Utc};
use sqlx::PgPool;
use worker_runtime::{DomainError, HOLDS_PER_BATCH, Holds};

use crate::commands::Flights;

impl Holds for Flights {
    const HOLD_TABLE: &'static str = "seat_hold";
    const DELETE_ENDED_HOLDS: &'static str = "WITH ended AS MATERIALIZED (
             SELECT order_id FROM seat_hold
             WHERE status IN ('released', 'expired') AND closed_at < $1 ORDER BY closed_at LIMIT $2
         ), lines AS (
             DELETE FROM seat_hold_line WHERE order_id IN (SELECT order_id FROM ended)
         )
         DELETE FROM seat_hold WHERE order_id IN (SELECT order_id FROM ended)";
    const METRIC_EXPIRED: &'static str = "sojourn_flights_seat_holds_expired_total";

    async fn expire_due(pool: &PgPool, now: DateTime<Utc>) -> Result<u64, DomainError> {
        let (expired,): (i64,) = sqlx::query_as(
            "WITH due AS MATERIALIZED (
                 SELECT order_id FROM seat_hold WHERE status = 'held' AND expires_at <= $1 ORDER BY expires_at LIMIT $2
             ), locked AS MATERIALIZED (
                 SELECT i.flight_id, i.cabin FROM cabin_inventory i
                 WHERE (i.flight_id, i.cabin) IN (
                     SELECT l.flight_id, l.cabin FROM due JOIN seat_hold_line l USING (order_id))
                 ORDER BY i.flight_id, i.cabin FOR NO KEY UPDATE OF i
             ), expired AS (
                 UPDATE seat_hold h SET status = 'expired', closed_at = $1 FROM due
                 WHERE (SELECT count(*) FROM locked) > 0 AND h.order_id = due.order_id AND h.status = 'held'
                   AND h.expires_at <= $1
                 RETURNING h.order_id
             ), given AS (
                 SELECT l.flight_id, l.cabin, sum(l.seats)::int AS seats
                 FROM expired JOIN seat_hold_line l USING (order_id) GROUP BY l.flight_id, l.cabin
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
        Ok(expired.unsigned_abs())
    }
}
