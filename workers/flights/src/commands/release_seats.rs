//! Releasing seats: the compensation of a hold. Needs nothing but the holds' own rows, and never refuses (S12).

use contract::{
    Outcome,
    flights::{ReleaseSeats, SeatsReleased},
};
use sqlx::PgConnection;
use uuid::Uuid;
use worker_runtime::{DomainError, Member, SetHandled, SetHandler};

use super::Flights;

impl SetHandler<ReleaseSeats> for Flights {
    async fn handle_many(&self, tx: &mut PgConnection, set: &mut [Member<ReleaseSeats>]) -> SetHandled<SeatsReleased> {
        let Some(now) = set.first().map(|member| member.context.now) else { return Ok(Vec::new()) };
        let orders: Vec<Uuid> = set.iter().map(|member| member.command.order_id.uuid()).collect();
        // Only a live hold is released: after expiry or an earlier release there is nothing left to give back, and
        // a confirmed one is no longer a hold.
        sqlx::query(
            "WITH locked AS MATERIALIZED (
                 SELECT i.flight_id, i.cabin FROM cabin_inventory i
                 WHERE (i.flight_id, i.cabin) IN (
                     SELECT l.flight_id, l.cabin FROM seat_hold h JOIN seat_hold_line l USING (order_id)
                     WHERE h.order_id = ANY($1) AND h.status = 'held')
                 ORDER BY i.flight_id, i.cabin FOR NO KEY UPDATE OF i
             ), hold AS (
                 UPDATE seat_hold SET status = 'released', closed_at = $2
                 WHERE (SELECT count(*) FROM locked) > 0 AND order_id = ANY($1) AND status = 'held' RETURNING order_id
             )
             UPDATE cabin_inventory i SET held = i.held - g.seats
             FROM (
                 SELECT l.flight_id, l.cabin, sum(l.seats)::int AS seats
                 FROM hold JOIN seat_hold_line l USING (order_id) GROUP BY l.flight_id, l.cabin
             ) g
             WHERE i.flight_id = g.flight_id AND i.cabin = g.cabin",
        )
        .bind(&orders)
        .bind(now)
        .execute(tx)
        .await
        .map_err(DomainError::doing("releasing seats"))?;
        Ok(orders.iter().map(|_| Outcome::done(SeatsReleased {})).collect())
    }
}
