//! Confirming: held rooms become sold, with one confirmation for the order; stays in named villas get their villa.
//! One round trip for a whole set when every order still holds its rooms, and one more when rooms can be villas.
//!
//! Rooms that are still held are sold, however late it is. Rooms of a hold that ran out are taken again when they are
//! free at the price that was accepted: the flights of the order may be ticketed by then, and giving up helps nobody.

use std::collections::HashMap;

use chrono::{DateTime, NaiveDate, Utc};
use contract::{
    Outcome,
    accommodation::{ConfirmRooms, REFUSED_HOLD_EXPIRED, REFUSED_HOLD_UNKNOWN, RoomsConfirmed},
};
use sqlx::PgConnection;
use uuid::Uuid;
use worker_runtime::{DomainError, HandlerError, Member, SetHandled, SetHandler};

use super::{Accommodation, villas};

/// The number of guests who were moved to another villa, before their arrival, to make room.
const METRIC_VILLAS_MOVED: &str = "sojourn_accommodation_villas_moved_total";

impl SetHandler<ConfirmRooms> for Accommodation {
    async fn handle_many(&self, tx: &mut PgConnection, set: &mut [Member<ConfirmRooms>]) -> SetHandled<RoomsConfirmed> {
        let Some(now) = set.first().map(|member| member.context.now) else { return Ok(Vec::new()) };
        let commands: Vec<&ConfirmRooms> = set.iter().map(|member| &member.command).collect();
        let mut sold = sell(tx, &commands, now).await?;
        let late: Vec<_> = commands.iter().copied().filter(|command| !sold.contains_key(&order_of(command))).collect();
        let holds = if late.is_empty() { HashMap::new() } else { read_holds(tx, &late).await? };
        let mut again = Vec::new();
        for command in late {
            let expired = holds.get(&order_of(command)).is_some_and(|hold| hold.status == "expired");
            if expired && self.take_again(tx, order_of(command), now).await? {
                again.push(command);
            }
        }
        if !again.is_empty() {
            sold.extend(sell(tx, &again, now).await?);
        }
        let moved = assign_villas(tx, sold.keys().copied().collect(), now).await?;
        let outcome = |command: &&ConfirmRooms| match sold.remove(&order_of(command)) {
            Some(confirmation) => Outcome::done(RoomsConfirmed { confirmation }),
            None => why_not(command, holds.get(&order_of(command))),
        };
        let outcomes = commands.iter().map(outcome).collect();
        // The metric is the set's: any of its members tells it.
        if let Some(member) = set.first_mut() {
            member.context.after_commit(move || metrics::counter!(METRIC_VILLAS_MOVED).increment(moved));
        }
        Ok(outcomes)
    }
}

const fn order_of(command: &ConfirmRooms) -> Uuid {
    command.order_id.uuid()
}

/// Sells for each order whose hold is live; answers their confirmations. The transaction that has the nights first
/// decides between this, a release and the sweeper (S22). The nights of holds that ran out are locked too, because they
/// may be taken again.
async fn sell(
    tx: &mut PgConnection,
    commands: &[&ConfirmRooms],
    now: DateTime<Utc>,
) -> Result<HashMap<Uuid, String>, DomainError> {
    let sold: Vec<(Uuid, String)> = sqlx::query_as(
        "WITH asked AS MATERIALIZED (
             SELECT * FROM unnest($1::uuid[], $2::text[]) AS a (order_id, guest_name)
         ), locked AS MATERIALIZED (
             SELECT n.room_type_id, n.night FROM room_night n
             WHERE (n.room_type_id, n.night) IN (
                 SELECT m.room_type_id, m.night
                 FROM asked JOIN room_hold h USING (order_id) JOIN room_hold_line l USING (order_id) JOIN room_night m
                   ON m.room_type_id = l.room_type_id AND m.night >= l.check_in AND m.night < l.check_out
                 WHERE h.status IN ('held', 'expired'))
             ORDER BY n.room_type_id, n.night FOR NO KEY UPDATE OF n
         ), hold AS (
             UPDATE room_hold h SET status = 'confirmed', closed_at = $3 FROM asked a
             WHERE (SELECT count(*) FROM locked) > 0 AND h.order_id = a.order_id AND h.status = 'held'
             RETURNING h.order_id, a.guest_name
         ), moved AS (
             UPDATE room_night n SET held = n.held - m.rooms, sold = n.sold + m.rooms
             FROM (
                 SELECT d.room_type_id, d.night, count(*)::int AS rooms
                 FROM hold JOIN room_hold_line l USING (order_id) JOIN room_night d
                   ON d.room_type_id = l.room_type_id AND d.night >= l.check_in AND d.night < l.check_out
                 GROUP BY d.room_type_id, d.night
             ) m
             WHERE n.room_type_id = m.room_type_id AND n.night = m.night
         )
         INSERT INTO stay_booking (order_id, confirmation, guest_name, booked_at)
         SELECT order_id, confirmation_code(nextval('confirmation_number')), guest_name, $3 FROM hold
         RETURNING order_id, confirmation",
    )
    .bind(commands.iter().map(|command| order_of(command)).collect::<Vec<_>>())
    .bind(commands.iter().map(|command| command.guest_name.as_str()).collect::<Vec<_>>())
    .bind(now)
    .fetch_all(tx)
    .await
    .map_err(DomainError::doing("selling held rooms"))?;
    Ok(sold.into_iter().collect())
}

/// Gives every stay of these orders in a named villa its villa; answers how many other guests had to be moved for it.
async fn assign_villas(tx: &mut PgConnection, orders: Vec<Uuid>, now: DateTime<Utc>) -> Result<u64, HandlerError> {
    if orders.is_empty() {
        return Ok(0);
    }
    // Locks the room types too, in their order: assignments of one type happen one after another. Guests count as
    // arrived from noon of their first day, so a stay held just before midnight never begins before those who have.
    let stays: Vec<(i32, Uuid, i16, NaiveDate, NaiveDate, NaiveDate)> = sqlx::query_as(
        "SELECT t.room_type_id, l.order_id, l.line, l.check_in, l.check_out,
                ($2 AT TIME ZONE p.zone - interval '12 hours')::date
         FROM room_hold_line l JOIN room_type t USING (room_type_id) JOIN property p USING (property_id)
         WHERE l.order_id = ANY($1) AND t.kind = 'unit'
         ORDER BY t.room_type_id, l.order_id, l.line FOR NO KEY UPDATE OF t",
    )
    .bind(orders)
    .bind(now)
    .fetch_all(&mut *tx)
    .await
    .map_err(DomainError::doing("reading the stays in villas"))?;
    let mut moved = 0;
    for (room_type_id, order, line, check_in, check_out, today) in stays {
        let stay = villas::Stay { order, line, check_in, check_out, unit: None };
        moved += villas::assign(tx, room_type_id, stay, today).await?;
    }
    Ok(moved)
}

/// The hold of an order, and the booking that it may have become.
#[derive(sqlx::FromRow)]
struct HoldRow {
    order_id: Uuid,
    status: String,
    expires_at: DateTime<Utc>,
    confirmation: Option<String>,
}

async fn read_holds(tx: &mut PgConnection, commands: &[&ConfirmRooms]) -> Result<HashMap<Uuid, HoldRow>, DomainError> {
    let holds: Vec<HoldRow> = sqlx::query_as(
        "SELECT h.order_id, h.status, h.expires_at, b.confirmation
         FROM room_hold h LEFT JOIN stay_booking b USING (order_id) WHERE h.order_id = ANY($1)",
    )
    .bind(commands.iter().map(|command| order_of(command)).collect::<Vec<_>>())
    .fetch_all(tx)
    .await
    .map_err(DomainError::doing("reading holds"))?;
    Ok(holds.into_iter().map(|hold| (hold.order_id, hold)).collect())
}

fn why_not(command: &ConfirmRooms, hold: Option<&HoldRow>) -> Outcome<RoomsConfirmed> {
    let order_id = command.order_id;
    match hold {
        // The same order again under another command: the answer is the booking that it has.
        Some(HoldRow { confirmation: Some(confirmation), .. }) => {
            Outcome::done(RoomsConfirmed { confirmation: confirmation.clone() })
        }
        Some(hold) if hold.status == "expired" => {
            let until = hold.expires_at;
            let message = format!("the rooms of {order_id} were held until {until} and are not free at that price now");
            Outcome::refused(REFUSED_HOLD_EXPIRED, message)
        }
        Some(_) | None => Outcome::refused(REFUSED_HOLD_UNKNOWN, format!("no rooms are held for {order_id}")),
    }
}
