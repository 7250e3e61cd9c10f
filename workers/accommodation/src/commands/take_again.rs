//! Taking again what a hold had that ran out, for an order that was promised it: for its confirmation, and for an extension.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;
use worker_runtime::DomainError;

use super::Accommodation;

impl Accommodation {
    /// Holds again what an expired hold had, when all of it is on sale and free at its price. Its nights are locked.
    pub(super) async fn take_again(
        &self,
        tx: &mut PgConnection,
        order_id: Uuid,
        now: DateTime<Utc>,
    ) -> Result<bool, DomainError> {
        let moved = sqlx::query(
            "WITH lines AS MATERIALIZED (
                 SELECT l.* FROM room_hold_line l WHERE l.order_id = $1
             ), wanted AS MATERIALIZED (
                 SELECT n.room_type_id, n.night, n.available, count(*)::int AS rooms
                 FROM lines l JOIN room_night n
                   ON n.room_type_id = l.room_type_id AND n.night >= l.check_in AND n.night < l.check_out
                 GROUP BY n.room_type_id, n.night, n.available
             ), hold AS (
                 UPDATE room_hold SET status = 'held', closed_at = NULL, expires_at = $2
                 WHERE order_id = $1 AND status = 'expired'
                   AND NOT EXISTS (SELECT FROM wanted WHERE available < rooms)
                   AND NOT EXISTS (
                       SELECT FROM lines l JOIN room_type t USING (room_type_id) JOIN property p USING (property_id)
                       WHERE NOT (p.active AND t.active AND p.currency = l.currency)
                          OR EXISTS (
                              SELECT FROM restriction x WHERE x.room_type_id = l.room_type_id AND x.kind = 'stop_sell'
                                AND x.valid && daterange(l.check_in, l.check_out))
                          OR l.total IS DISTINCT FROM (
                              SELECT sum(r.nightly) FROM room_night n
                              JOIN rate r ON r.room_type_id = n.room_type_id AND r.valid @> n.night
                              WHERE n.room_type_id = l.room_type_id AND n.night >= l.check_in AND n.night < l.check_out))
                 RETURNING order_id
             )
             UPDATE room_night n SET held = n.held + w.rooms
             FROM hold, wanted w WHERE n.room_type_id = w.room_type_id AND n.night = w.night",
        )
        .bind(order_id)
        .bind(now + self.hold_for.duration())
        .execute(tx)
        .await
        .map_err(DomainError::doing("taking rooms again"))?;
        Ok(moved.rows_affected() > 0)
    }
}
