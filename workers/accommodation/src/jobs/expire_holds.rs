//! Gives back rooms that were held and never confirmed, at their hour.

use chrono::{DateTime, Utc};
use sqlx::PgPool;
use worker_runtime::{DomainError, HOLDS_PER_BATCH, Holds};

use crate::commands::Accommodation;

impl Holds for Accommodation {
    const HOLD_TABLE: &'static str = "room_hold";
    const DELETE_ENDED_HOLDS: &'static str = "WITH ended AS MATERIALIZED (
             SELECT order_id FROM room_hold
             WHERE status IN ('released', 'expired') AND closed_at < $1 ORDER BY closed_at LIMIT $2
         ), lines AS (
             DELETE FROM room_hold_line WHERE order_id IN (SELECT order_id FROM ended)
         )
         DELETE FROM room_hold WHERE order_id IN (SELECT order_id FROM ended)";
    const METRIC_EXPIRED: &'static str = "sojourn_accommodation_room_holds_expired_total";

    async fn expire_due(pool: &PgPool, now: DateTime<Utc>) -> Result<u64, DomainError> {
        let (expired,): (i64,) = sqlx::query_as(
            "WITH due AS MATERIALIZED (
                 SELECT order_id FROM room_hold WHERE status = 'held' AND expires_at <= $1 ORDER BY expires_at LIMIT $2
             ), locked AS MATERIALIZED (
                 SELECT n.room_type_id, n.night FROM room_night n
                 WHERE (n.room_type_id, n.night) IN (
                     SELECT m.room_type_id, m.night FROM due JOIN room_hold_line l USING (order_id) JOIN room_night m
                       ON m.room_type_id = l.room_type_id AND m.night >= l.check_in AND m.night < l.check_out)
                 ORDER BY n.room_type_id, n.night FOR NO KEY UPDATE OF n
             ), expired AS (
                 UPDATE room_hold h SET status = 'expired', closed_at = $1 FROM due
                 WHERE (SELECT count(*) FROM locked) > 0 AND h.order_id = due.order_id AND h.status = 'held'
                   AND h.expires_at <= $1
                 RETURNING h.order_id
             ), given AS (
                 SELECT n.room_type_id, n.night, count(*)::int AS rooms
                 FROM expired JOIN room_hold_line l USING (order_id) JOIN room_night n
                   ON n.room_type_id = l.room_type_id AND n.night >= l.check_in AND n.night < l.check_out
                 GROUP BY n.room_type_id, n.night
             ), moved AS (
                 UPDATE room_night n SET held = n.held - g.rooms
                 FROM given g WHERE n.room_type_id = g.room_type_id AND n.night = g.night
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
