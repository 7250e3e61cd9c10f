//! Releasing rooms: the compensation of a hold. Needs nothing but the hold's own rows, and never refuses (S12).

use contract::{
    Outcome,
    accommodation::{ReleaseRooms, RoomsReleased},
};
use sqlx::PgConnection;
use worker_runtime::{Context, DomainError, Handled, Handler};

use super::Accommodation;

impl Handler<ReleaseRooms> for Accommodation {
    async fn handle(
        &self,
        tx: &mut PgConnection,
        command: ReleaseRooms,
        context: &mut Context,
    ) -> Handled<RoomsReleased> {
        // Only a live hold is released: after expiry or an earlier release there is nothing left to give back, and
        // a confirmed one is no longer a hold.
        sqlx::query(
            "WITH given AS (
                 SELECT n.room_type_id, n.night, count(*)::int AS rooms
                 FROM room_hold h JOIN room_hold_line l USING (order_id) JOIN room_night n
                   ON n.room_type_id = l.room_type_id AND n.night >= l.check_in AND n.night < l.check_out
                 WHERE h.order_id = $1 AND h.status = 'held' GROUP BY n.room_type_id, n.night
             ), locked AS MATERIALIZED (
                 SELECT n.room_type_id, n.night, g.rooms
                 FROM given g JOIN room_night n USING (room_type_id, night)
                 ORDER BY n.room_type_id, n.night FOR NO KEY UPDATE OF n
             ), hold AS (
                 UPDATE room_hold SET status = 'released', closed_at = $2
                 WHERE (SELECT count(*) FROM locked) > 0 AND order_id = $1 AND status = 'held' RETURNING order_id
             )
             UPDATE room_night n SET held = n.held - l.rooms
             FROM hold, locked l WHERE n.room_type_id = l.room_type_id AND n.night = l.night",
        )
        .bind(command.order_id.uuid())
        .bind(context.now)
        .execute(tx)
        .await
        .map_err(DomainError::doing("releasing rooms"))?;
        Ok(Outcome::done(RoomsReleased {}))
    }
}
