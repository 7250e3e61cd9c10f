//! Confirming: held rooms become sold, with one confirmation for the order; stays in named villas get their villa.
//! One round trip when it works and has no villas; another one finds out why it does not.

use chrono::{DateTime, NaiveDate, Utc};
use contract::{
    Outcome,
    accommodation::{ConfirmRooms, REFUSED_HOLD_EXPIRED, REFUSED_HOLD_UNKNOWN, RoomsConfirmed},
};
use sqlx::PgConnection;
use worker_runtime::{Context, DomainError, Handled, Handler, HandlerError};

use super::{Accommodation, villas};

/// The number of guests who were moved to another villa, before their arrival, to make room.
const METRIC_VILLAS_MOVED: &str = "sojourn_accommodation_villas_moved_total";

impl Handler<ConfirmRooms> for Accommodation {
    async fn handle(
        &self,
        tx: &mut PgConnection,
        command: ConfirmRooms,
        context: &mut Context,
    ) -> Handled<RoomsConfirmed> {
        let Some(confirmation) = sell(tx, &command, context.now).await? else {
            return Ok(why_not(tx, &command, context.now).await?);
        };
        let moved = assign_villas(tx, &command, context.now).await?;
        context.after_commit(move || metrics::counter!(METRIC_VILLAS_MOVED).increment(moved));
        Ok(Outcome::done(RoomsConfirmed { confirmation }))
    }
}

/// Sells if the hold is live at `now`. The transaction that has the nights first decides between this, a
/// release and the sweeper (S22).
async fn sell(
    tx: &mut PgConnection,
    command: &ConfirmRooms,
    now: DateTime<Utc>,
) -> Result<Option<String>, DomainError> {
    sqlx::query_scalar(
        "WITH taken AS (
             SELECT n.room_type_id, n.night, count(*)::int AS rooms
             FROM room_hold h JOIN room_hold_line l USING (order_id) JOIN room_night n
               ON n.room_type_id = l.room_type_id AND n.night >= l.check_in AND n.night < l.check_out
             WHERE h.order_id = $1 AND h.status = 'held' GROUP BY n.room_type_id, n.night
         ), locked AS MATERIALIZED (
             SELECT n.room_type_id, n.night, t.rooms
             FROM taken t JOIN room_night n USING (room_type_id, night)
             ORDER BY n.room_type_id, n.night FOR NO KEY UPDATE OF n
         ), hold AS (
             UPDATE room_hold SET status = 'confirmed', closed_at = $2
             WHERE (SELECT count(*) FROM locked) > 0 AND order_id = $1 AND status = 'held' AND expires_at > $2
             RETURNING order_id
         ), moved AS (
             UPDATE room_night n SET held = n.held - l.rooms, sold = n.sold + l.rooms
             FROM hold, locked l WHERE n.room_type_id = l.room_type_id AND n.night = l.night
         )
         INSERT INTO stay_booking (order_id, confirmation, guest_name, booked_at)
         SELECT order_id, confirmation_code(nextval('confirmation_number')), $3, $2 FROM hold
         RETURNING confirmation",
    )
    .bind(command.order_id.uuid())
    .bind(now)
    .bind(&command.guest_name)
    .fetch_optional(tx)
    .await
    .map_err(DomainError::doing("selling held rooms"))
}

/// Gives every stay in a named villa its villa; returns how many other guests had to be moved for it.
async fn assign_villas(tx: &mut PgConnection, command: &ConfirmRooms, now: DateTime<Utc>) -> Result<u64, HandlerError> {
    // Locks the room types too, in their order: assignments of one type happen one after another. Guests count as
    // arrived from noon of their first day, so a stay held just before midnight never begins before those who have.
    let stays: Vec<(i32, i16, NaiveDate, NaiveDate, NaiveDate)> = sqlx::query_as(
        "SELECT t.room_type_id, l.line, l.check_in, l.check_out,
                ($2 AT TIME ZONE p.zone - interval '12 hours')::date
         FROM room_hold_line l JOIN room_type t USING (room_type_id) JOIN property p USING (property_id)
         WHERE l.order_id = $1 AND t.kind = 'unit' ORDER BY t.room_type_id, l.line FOR NO KEY UPDATE OF t",
    )
    .bind(command.order_id.uuid())
    .bind(now)
    .fetch_all(&mut *tx)
    .await
    .map_err(DomainError::doing("reading the stays in villas"))?;
    let mut moved = 0;
    for (room_type_id, line, check_in, check_out, today) in stays {
        let stay = villas::Stay { order: command.order_id.uuid(), line, check_in, check_out, unit: None };
        moved += villas::assign(tx, room_type_id, stay, today).await?;
    }
    Ok(moved)
}

async fn why_not(
    tx: &mut PgConnection,
    command: &ConfirmRooms,
    now: DateTime<Utc>,
) -> Result<Outcome<RoomsConfirmed>, DomainError> {
    let order_id = command.order_id;
    let hold: Option<(String, DateTime<Utc>, Option<String>)> = sqlx::query_as(
        "SELECT h.status, h.expires_at, b.confirmation
         FROM room_hold h LEFT JOIN stay_booking b USING (order_id) WHERE h.order_id = $1",
    )
    .bind(order_id.uuid())
    .fetch_optional(tx)
    .await
    .map_err(DomainError::doing("reading a hold"))?;
    Ok(match hold {
        // The same order again under another command: the answer is the booking that it has.
        Some((_, _, Some(confirmation))) => Outcome::done(RoomsConfirmed { confirmation }),
        Some((status, expires_at, _)) if status == "expired" || (status == "held" && expires_at <= now) => {
            Outcome::refused(REFUSED_HOLD_EXPIRED, format!("the rooms of {order_id} were held until {expires_at}"))
        }
        Some(_) | None => Outcome::refused(REFUSED_HOLD_UNKNOWN, format!("no rooms are held for {order_id}")),
    })
}
