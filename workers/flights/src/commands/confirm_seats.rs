//! Confirming: held seats become sold, with a record locator and a ticket for each traveller and flight. One round
//! trip for a whole set when every order still holds its seats.
//!
//! Seats that are still held are sold, however late it is. Seats of a hold that ran out are taken again when they are
//! free at the price that was accepted: the order has a promise, and giving it up helps nobody.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use contract::{
    Outcome,
    flights::{ConfirmSeats, REFUSED_HOLD_EXPIRED, REFUSED_HOLD_UNKNOWN, REFUSED_TRAVELLERS_MISMATCH, SeatsConfirmed},
};
use sqlx::PgConnection;
use uuid::Uuid;
use worker_runtime::{DomainError, Member, SetHandled, SetHandler};

use super::Flights;

impl SetHandler<ConfirmSeats> for Flights {
    async fn handle_many(&self, tx: &mut PgConnection, set: &mut [Member<ConfirmSeats>]) -> SetHandled<SeatsConfirmed> {
        let Some(now) = set.first().map(|member| member.context.now) else { return Ok(Vec::new()) };
        let commands: Vec<&ConfirmSeats> = set.iter().map(|member| &member.command).collect();
        let mut sold = sell(tx, &commands, now).await?;
        let late: Vec<_> = commands.iter().copied().filter(|command| !sold.contains_key(&order_of(command))).collect();
        let holds = if late.is_empty() { HashMap::new() } else { read_holds(tx, &late).await? };
        let mut again = Vec::new();
        for command in late {
            let expired =
                holds.get(&order_of(command)).is_some_and(|hold| hold.status == "expired" && hold.fits(command));
            if expired && Self::take_again(tx, order_of(command), now, now + self.hold_for.duration()).await? {
                again.push(command);
            }
        }
        if !again.is_empty() {
            sold.extend(sell(tx, &again, now).await?);
        }
        let outcome = |command: &&ConfirmSeats| match sold.remove(&order_of(command)) {
            Some(confirmed) => Outcome::done(confirmed),
            None => why_not(command, holds.get(&order_of(command))),
        };
        Ok(commands.iter().map(outcome).collect())
    }
}

const fn order_of(command: &ConfirmSeats) -> Uuid {
    command.order_id.uuid()
}

/// Sells for each order whose hold is live and has one seat for each traveller on each flight. The transaction that
/// has the inventory first decides between this, a release and the sweeper (S22). The seats of holds that ran out are
/// locked too, because they may be taken again.
async fn sell(
    tx: &mut PgConnection,
    commands: &[&ConfirmSeats],
    now: DateTime<Utc>,
) -> Result<HashMap<Uuid, SeatsConfirmed>, DomainError> {
    let mut travellers: Vec<(Uuid, i16, &str, &str)> = Vec::new();
    for command in commands {
        let numbered = (1..).zip(&command.travellers);
        travellers.extend(
            numbered
                .map(|(number, one)| (order_of(command), number, one.given_name.as_str(), one.family_name.as_str())),
        );
    }
    let counts = commands.iter().map(|command| i32::try_from(command.travellers.len()).unwrap_or(i32::MAX));
    let sold: Vec<(Uuid, String, Vec<String>)> = sqlx::query_as(
        "WITH asked AS MATERIALIZED (
             SELECT * FROM unnest($1::uuid[], $2::int[]) AS a (order_id, travellers)
         ), locked AS MATERIALIZED (
             SELECT i.flight_id, i.cabin FROM cabin_inventory i
             WHERE (i.flight_id, i.cabin) IN (
                 SELECT l.flight_id, l.cabin
                 FROM asked JOIN seat_hold h USING (order_id) JOIN seat_hold_line l USING (order_id)
                 WHERE h.status IN ('held', 'expired'))
             ORDER BY i.flight_id, i.cabin FOR NO KEY UPDATE OF i
         ), hold AS (
             UPDATE seat_hold h SET status = 'confirmed', closed_at = $3 FROM asked a
             WHERE (SELECT count(*) FROM locked) > 0 AND h.order_id = a.order_id AND h.status = 'held'
               AND NOT EXISTS (
                   SELECT FROM seat_hold_line l WHERE l.order_id = h.order_id AND l.seats <> a.travellers)
             RETURNING h.order_id
         ), moved AS (
             UPDATE cabin_inventory i SET held = i.held - m.seats, sold = i.sold + m.seats
             FROM (
                 SELECT l.flight_id, l.cabin, sum(l.seats)::int AS seats
                 FROM hold JOIN seat_hold_line l USING (order_id) GROUP BY l.flight_id, l.cabin
             ) m
             WHERE i.flight_id = m.flight_id AND i.cabin = m.cabin
         ), flown AS (
             SELECT l.order_id, l.line, c.accounting_code
             FROM hold JOIN seat_hold_line l USING (order_id) JOIN flight f USING (flight_id)
             JOIN carrier c ON c.code = f.carrier
         ), booked AS (
             INSERT INTO flight_booking (order_id, reference, booked_at)
             SELECT order_id, record_locator(nextval('booking_reference_number')), $3 FROM hold
             RETURNING order_id, reference
         ), ticketed AS (
             INSERT INTO ticket (number, order_id, line, traveller, given_name, family_name)
             SELECT f.accounting_code || lpad(nextval('ticket_number')::text, 10, '0'),
                    b.order_id, f.line, t.traveller, t.given_name, t.family_name
             FROM booked b JOIN flown f USING (order_id)
             JOIN unnest($4::uuid[], $5::smallint[], $6::text[], $7::text[])
                 AS t (order_id, traveller, given_name, family_name) USING (order_id)
             RETURNING number, order_id, line, traveller
         )
         SELECT b.order_id, b.reference,
                array(SELECT t.number FROM ticketed t WHERE t.order_id = b.order_id ORDER BY t.line, t.traveller)
         FROM booked b",
    )
    .bind(commands.iter().map(|command| order_of(command)).collect::<Vec<_>>())
    .bind(counts.collect::<Vec<_>>())
    .bind(now)
    .bind(travellers.iter().map(|(order, ..)| *order).collect::<Vec<_>>())
    .bind(travellers.iter().map(|(_, number, ..)| *number).collect::<Vec<_>>())
    .bind(travellers.iter().map(|(_, _, given_name, _)| *given_name).collect::<Vec<_>>())
    .bind(travellers.iter().map(|(.., family_name)| *family_name).collect::<Vec<_>>())
    .fetch_all(tx)
    .await
    .map_err(DomainError::doing("selling held seats"))?;
    let confirmed = |(order, booking_reference, tickets)| (order, SeatsConfirmed { booking_reference, tickets });
    Ok(sold.into_iter().map(confirmed).collect())
}

/// The hold of an order, and the booking that it may have become.
#[derive(sqlx::FromRow)]
struct HoldRow {
    order_id: Uuid,
    status: String,
    expires_at: DateTime<Utc>,
    seats: i32,
    reference: Option<String>,
    tickets: Vec<String>,
}

impl HoldRow {
    /// Whether each traveller has a seat.
    fn fits(&self, command: &ConfirmSeats) -> bool {
        usize::try_from(self.seats) == Ok(command.travellers.len())
    }
}

async fn read_holds(tx: &mut PgConnection, commands: &[&ConfirmSeats]) -> Result<HashMap<Uuid, HoldRow>, DomainError> {
    let holds: Vec<HoldRow> = sqlx::query_as(
        "SELECT h.order_id, h.status, h.expires_at,
                coalesce((SELECT min(l.seats) FROM seat_hold_line l WHERE l.order_id = h.order_id), 0) AS seats,
                b.reference,
                array(SELECT t.number FROM ticket t WHERE t.order_id = h.order_id ORDER BY t.line, t.traveller)
                    AS tickets
         FROM seat_hold h LEFT JOIN flight_booking b USING (order_id) WHERE h.order_id = ANY($1)",
    )
    .bind(commands.iter().map(|command| order_of(command)).collect::<Vec<_>>())
    .fetch_all(tx)
    .await
    .map_err(DomainError::doing("reading holds"))?;
    Ok(holds.into_iter().map(|hold| (hold.order_id, hold)).collect())
}

fn why_not(command: &ConfirmSeats, hold: Option<&HoldRow>) -> Outcome<SeatsConfirmed> {
    let order_id = command.order_id;
    match hold {
        // The same order again under another command: the answer is the booking that it has.
        Some(HoldRow { reference: Some(reference), tickets, .. }) => {
            Outcome::done(SeatsConfirmed { booking_reference: reference.clone(), tickets: tickets.clone() })
        }
        Some(hold) if matches!(hold.status.as_str(), "held" | "expired") && !hold.fits(command) => {
            let (seats, travellers) = (hold.seats, command.travellers.len());
            let message = format!("{order_id} holds {seats} seats a flight, but {travellers} travellers are named");
            Outcome::refused(REFUSED_TRAVELLERS_MISMATCH, message)
        }
        Some(hold) if hold.status == "expired" => {
            let until = hold.expires_at;
            let message = format!("the seats of {order_id} were held until {until} and are not free at that price now");
            Outcome::refused(REFUSED_HOLD_EXPIRED, message)
        }
        Some(_) | None => Outcome::refused(REFUSED_HOLD_UNKNOWN, format!("no seats are held for {order_id}")),
    }
}
