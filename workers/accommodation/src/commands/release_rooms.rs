//! Releasing rooms: the compensation of a hold. Needs nothing but the holds' own rows, and never refuses (S12).

use contract::{
    Outcome,
    accommodation::{ReleaseRooms, RoomsReleased},
};
use sqlx::PgConnection;
use uuid::Uuid;
use worker_runtime::{DomainError, Member, SetHandled, SetHandler};

use super::Accommodation;

impl SetHandler<ReleaseRooms> for Accommodation {
    async fn handle_many(&self, tx: &mut PgConnection, set: &mut [Member<ReleaseRooms>]) -> SetHandled<RoomsReleased> {
        let Some(now) = set.first().map(|member| member.context.now) else { return Ok(Vec::new()) };
        let orders: Vec<Uuid> = set.iter().map(|member| member.command.order_id.uuid()).collect();
        // Only a live hold is released: after expiry or an earlier release there is nothing left to give back, and
        // a confirmed one is no longer a hold.
        sqlx::query(
            "WITH locked AS MATERIALIZED (
                 SELECT n.room_type_id, n.night FROM room_night n
                 WHERE (n.room_type_id, n.night) IN (
                     SELECT m.room_type_id, m.night
                     FROM room_hold h JOIN room_hold_line l USING (order_id) JOIN room_night m
                       ON m.room_type_id = l.room_type_id AND m.night >= l.check_in AND m.night < l.check_out
                     WHERE h.order_id = ANY($1) AND h.status = 'held')
                 ORDER BY n.room_type_id, n.night FOR NO KEY UPDATE OF n
             ), hold AS (
                 UPDATE room_hold SET status = 'released', closed_at = $2
                 WHERE (SELECT count(*) FROM locked) > 0 AND order_id = ANY($1) AND status = 'held' RETURNING order_id
             )
             UPDATE room_night n SET held = n.held - g.rooms
             FROM (
                 SELECT d.room_type_id, d.night, count(*)::int AS rooms
                 FROM hold JOIN room_hold_line l USING (order_id) JOIN room_night d
                   ON d.room_type_id = l.room_type_id AND d.night >= l.check_in AND d.night < l.check_out
                 GROUP BY d.room_type_id, d.night
             ) g
             WHERE n.room_type_id = g.room_type_id AND n.night = g.night",
        )
        .bind(&orders)
        .bind(now)
        .execute(tx)
        .await
        .map_err(DomainError::doing("releasing rooms"))?;
        Ok(orders.iter().map(|_| Outcome::done(RoomsReleased {})).collect())
    }
}
