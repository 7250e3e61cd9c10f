//! Taking again what a hold had that ran out, for an order that was promised it: for its confirmation, and for an extension.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;
use worker_runtime::DomainError;

use super::Flights;

impl Flights {
    /// Holds again until then what an expired hold had, when all of it is on sale and free at its price. Its inventory is
    /// locked.
    pub(super) async fn take_again(
        tx: &mut PgConnection,
        order_id: Uuid,
        now: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> Result<bool, DomainError> {
        let moved = sqlx::query(
            "WITH wanted AS (
                 SELECT l.flight_id, l.cabin, sum(l.seats)::int AS seats,
                        bool_and(l.currency = i.currency AND l.total = i.fare * l.seats) AS same_price
                 FROM seat_hold_line l JOIN cabin_inventory i USING (flight_id, cabin)
                 WHERE l.order_id = $1 GROUP BY l.flight_id, l.cabin
             ), hold AS (
                 UPDATE seat_hold SET status = 'held', closed_at = NULL, expires_at = $3
                 WHERE order_id = $1 AND status = 'expired' AND NOT EXISTS (
                     SELECT FROM wanted w JOIN cabin_inventory i USING (flight_id, cabin) JOIN flight f USING (flight_id)
                     WHERE NOT (w.same_price AND i.available >= w.seats AND f.active AND f.departs_at > $2))
                 RETURNING order_id
             )
             UPDATE cabin_inventory i SET held = i.held + w.seats
             FROM hold, wanted w WHERE i.flight_id = w.flight_id AND i.cabin = w.cabin",
        )
        .bind(order_id)
        .bind(now)
        .bind(until)
        .execute(tx)
        .await
        .map_err(DomainError::doing("taking seats again"))?;
        Ok(moved.rows_affected() > 0)
    }
}
