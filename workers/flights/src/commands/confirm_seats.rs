//! Confirming: held seats become sold, with a record locator and a ticket for each traveller and flight. One round
//! trip when it works; a second one finds out why it does not.

use chrono::{DateTime, Utc};
use contract::{
    Outcome,
    flights::{ConfirmSeats, REFUSED_HOLD_EXPIRED, REFUSED_HOLD_UNKNOWN, REFUSED_TRAVELLERS_MISMATCH, SeatsConfirmed},
};
use sqlx::PgConnection;
use worker_runtime::{Context, DomainError, Handled, Handler};

use super::Flights;

impl Handler<ConfirmSeats> for Flights {
    async fn handle(
        &self,
        tx: &mut PgConnection,
        command: ConfirmSeats,
        context: &mut Context,
    ) -> Handled<SeatsConfirmed> {
        if let Some(confirmed) = sell(tx, &command, context.now).await? {
            return Ok(Outcome::done(confirmed));
        }
        Ok(why_not(tx, &command, context.now).await?)
    }
}

/// Sells if the hold is live at `now` and has one seat for each traveller on each flight. The
/// transaction that has the inventory first decides between this, a release and the sweeper (S22).
async fn sell(
    tx: &mut PgConnection,
    command: &ConfirmSeats,
    now: DateTime<Utc>,
) -> Result<Option<SeatsConfirmed>, DomainError> {
    let given: Vec<&str> = command.travellers.iter().map(|traveller| traveller.given_name.as_str()).collect();
    let family: Vec<&str> = command.travellers.iter().map(|traveller| traveller.family_name.as_str()).collect();
    let travellers = i32::try_from(command.travellers.len()).unwrap_or(i32::MAX);
    let sold: Option<(String, Vec<String>)> = sqlx::query_as(
        "WITH taken AS (
             SELECT l.flight_id, l.cabin, sum(l.seats)::int AS seats
             FROM seat_hold h JOIN seat_hold_line l USING (order_id)
             WHERE h.order_id = $1 AND h.status = 'held' GROUP BY l.flight_id, l.cabin
         ), locked AS MATERIALIZED (
             SELECT i.flight_id, i.cabin, t.seats
             FROM taken t JOIN cabin_inventory i USING (flight_id, cabin)
             ORDER BY i.flight_id, i.cabin FOR NO KEY UPDATE OF i
         ), hold AS (
             UPDATE seat_hold SET status = 'confirmed', closed_at = $2
             WHERE (SELECT count(*) FROM locked) > 0 AND order_id = $1 AND status = 'held' AND expires_at > $2
               AND NOT EXISTS (SELECT FROM seat_hold_line l WHERE l.order_id = $1 AND l.seats <> $3)
             RETURNING order_id
         ), moved AS (
             UPDATE cabin_inventory i SET held = i.held - l.seats, sold = i.sold + l.seats
             FROM hold, locked l WHERE i.flight_id = l.flight_id AND i.cabin = l.cabin
         ), flown AS (
             SELECT l.order_id, l.line, c.accounting_code
             FROM hold JOIN seat_hold_line l USING (order_id) JOIN flight f USING (flight_id)
             JOIN carrier c ON c.code = f.carrier
         ), booked AS (
             INSERT INTO flight_booking (order_id, reference, booked_at)
             SELECT order_id, record_locator(nextval('booking_reference_number')), $2 FROM hold
             RETURNING order_id, reference
         ), ticketed AS (
             INSERT INTO ticket (number, order_id, line, traveller, given_name, family_name)
             SELECT f.accounting_code || lpad(nextval('ticket_number')::text, 10, '0'),
                    b.order_id, f.line, t.traveller, t.given_name, t.family_name
             FROM booked b JOIN flown f USING (order_id),
                  unnest($4::text[], $5::text[]) WITH ORDINALITY AS t (given_name, family_name, traveller)
             RETURNING number, line, traveller
         )
         SELECT b.reference, array(SELECT number FROM ticketed ORDER BY line, traveller) FROM booked b",
    )
    .bind(command.order_id.uuid())
    .bind(now)
    .bind(travellers)
    .bind(&given)
    .bind(&family)
    .fetch_optional(tx)
    .await
    .map_err(DomainError::doing("selling held seats"))?;
    Ok(sold.map(|(booking_reference, tickets)| SeatsConfirmed { booking_reference, tickets }))
}

#[derive(sqlx::FromRow)]
struct HoldRow {
    status: String,
    expires_at: DateTime<Utc>,
    seats: i32,
    reference: Option<String>,
    tickets: Vec<String>,
}

async fn why_not(
    tx: &mut PgConnection,
    command: &ConfirmSeats,
    now: DateTime<Utc>,
) -> Result<Outcome<SeatsConfirmed>, DomainError> {
    let order_id = command.order_id;
    let hold: Option<HoldRow> = sqlx::query_as(
        "SELECT h.status, h.expires_at,
                coalesce((SELECT min(l.seats) FROM seat_hold_line l WHERE l.order_id = h.order_id), 0) AS seats,
                b.reference,
                array(SELECT t.number FROM ticket t WHERE t.order_id = h.order_id ORDER BY t.line, t.traveller)
                    AS tickets
         FROM seat_hold h LEFT JOIN flight_booking b USING (order_id) WHERE h.order_id = $1",
    )
    .bind(order_id.uuid())
    .fetch_optional(tx)
    .await
    .map_err(DomainError::doing("reading a hold"))?;
    Ok(match hold {
        // The same order again under another command: the answer is the booking that it has.
        Some(HoldRow { reference: Some(booking_reference), tickets, .. }) => {
            Outcome::done(SeatsConfirmed { booking_reference, tickets })
        }
        Some(hold) if hold.status == "expired" || (hold.status == "held" && hold.expires_at <= now) => {
            let message = format!("the seats of {order_id} were held until {}", hold.expires_at);
            Outcome::refused(REFUSED_HOLD_EXPIRED, message)
        }
        Some(hold) if hold.status == "held" => {
            let (seats, travellers) = (hold.seats, command.travellers.len());
            let message = format!("{order_id} holds {seats} seats a flight, but {travellers} travellers are named");
            Outcome::refused(REFUSED_TRAVELLERS_MISMATCH, message)
        }
        Some(_) | None => Outcome::refused(REFUSED_HOLD_UNKNOWN, format!("no seats are held for {order_id}")),
    })
}
