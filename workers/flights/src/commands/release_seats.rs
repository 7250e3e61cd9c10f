//! Releasing seats: the compensation of a hold. Needs nothing but the hold's own rows, and never refuses (S12).

use contract::{
    Outcome,
    flights::{ReleaseSeats, SeatsReleased},
};
use sqlx::PgConnection;
use worker_runtime::{Context, DomainError, Handled, Handler};

use super::Flights;

impl Handler<ReleaseSeats> for Flights {
    async fn handle(
        &self,
        tx: &mut PgConnection,
        command: ReleaseSeats,
        context: &mut Context,
    ) -> Handled<SeatsReleased> {
        // Only a live hold is released: after expiry or an earlier release there is nothing left to give back, and
        // a confirmed one is no longer a hold.
        sqlx::query(
            "WITH given AS (
                 SELECT l.flight_id, l.cabin, sum(l.seats)::int AS seats
                 FROM seat_hold h JOIN seat_hold_line l USING (order_id)
                 WHERE h.order_id = $1 AND h.status = 'held' GROUP BY l.flight_id, l.cabin
             ), locked AS MATERIALIZED (
                 SELECT i.flight_id, i.cabin, g.seats
                 FROM given g JOIN cabin_inventory i USING (flight_id, cabin)
                 ORDER BY i.flight_id, i.cabin FOR NO KEY UPDATE OF i
             ), hold AS (
                 UPDATE seat_hold SET status = 'released', closed_at = $2
                 WHERE (SELECT count(*) FROM locked) > 0 AND order_id = $1 AND status = 'held' RETURNING order_id
             )
             UPDATE cabin_inventory i SET held = i.held - l.seats
             FROM hold, locked l WHERE i.flight_id = l.flight_id AND i.cabin = l.cabin",
        )
        .bind(command.order_id.uuid())
        .bind(context.now)
        .execute(tx)
        .await
        .map_err(DomainError::doing("releasing seats"))?;
        Ok(Outcome::done(SeatsReleased {}))
    }
}
