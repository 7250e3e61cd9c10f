//! Holding seats: all flights of an order or none, in two round trips.
//!
//! The first statement reads the offers and locks their inventory in the order of (flight, cabin), as every
//! statement here does; what to do is then decided in memory; the second statement writes hold, lines and counters.

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, Utc};
use contract::{
    Outcome, Refusal,
    flights::{
        AcceptedFlight, HoldSeats, REFUSED_HOLD_EXISTS, REFUSED_OFFER_EXPIRED, REFUSED_OFFER_UNKNOWN,
        REFUSED_PRICE_CHANGED, REFUSED_SOLD_OUT, REFUSED_TRAVELLERS_MISMATCH, SeatsHeld,
    },
    limits::ORDER_ITEMS_MAX,
};
use rust_decimal::Decimal;
use sqlx::PgConnection;
use uuid::Uuid;
use worker_runtime::{Context, DomainError, Handled, Handler};

use super::Flights;

impl Handler<HoldSeats> for Flights {
    async fn handle(&self, tx: &mut PgConnection, command: HoldSeats, context: &mut Context) -> Handled<SeatsHeld> {
        Ok(hold(tx, &command, context.now, self.hold_for.duration()).await?)
    }
}

async fn hold(
    tx: &mut PgConnection,
    command: &HoldSeats,
    now: DateTime<Utc>,
    hold_for: Duration,
) -> Result<Outcome<SeatsHeld>, DomainError> {
    let quotes = lock_quotes(tx, &command.offers, now).await?;
    let taken = match decide(command, &quotes, now) {
        Ok(taken) => taken,
        Err(refusal) => return Ok(Outcome::Refused(refusal)),
    };
    let expires_at = now + hold_for;
    if write_hold(tx, command, &taken, now, expires_at).await? {
        Ok(Outcome::done(SeatsHeld { expires_at }))
    } else {
        let message = format!("{} already has a hold of flights", command.order_id);
        Ok(Outcome::refused(REFUSED_HOLD_EXISTS, message))
    }
}

/// An offer and what is left of its cabin, locked.
#[derive(Debug, Clone, sqlx::FromRow)]
struct Quoted {
    offer_id: Uuid,
    flight_id: i64,
    cabin: String,
    flight: String,
    passengers: i16,
    total: Decimal,
    currency: String,
    expires_at: DateTime<Utc>,
    on_sale: bool,
    available: i32,
}

async fn lock_quotes(
    tx: &mut PgConnection,
    accepted: &[AcceptedFlight],
    now: DateTime<Utc>,
) -> Result<Vec<Quoted>, DomainError> {
    let ids: Vec<Uuid> = accepted.iter().map(|flight| flight.offer_id.uuid()).collect();
    sqlx::query_as(
        "SELECT o.offer_id, i.flight_id, i.cabin, f.carrier || ' ' || f.number AS flight, o.passengers, o.total,
                o.currency, o.expires_at, f.active AND f.departs_at > $2 AS on_sale, i.available
         FROM flight_offer o JOIN flight f USING (flight_id) JOIN cabin_inventory i USING (flight_id, cabin)
         WHERE o.offer_id = ANY($1)
         ORDER BY i.flight_id, i.cabin, o.offer_id
         FOR NO KEY UPDATE OF i",
    )
    .bind(&ids)
    .bind(now)
    .fetch_all(tx)
    .await
    .map_err(DomainError::doing("locking the seats of offers"))
}

/// The most urgent problem first: what is unknown, then expired, then for another number of travellers, then priced
/// differently, then sold out. Returns the quotes in the order of the command.
fn decide<'a>(command: &HoldSeats, quotes: &'a [Quoted], now: DateTime<Utc>) -> Result<Vec<&'a Quoted>, Refusal> {
    let accepted = &command.offers;
    let refuse = |code: &str, message: String| Err(Refusal { code: code.to_owned(), message });
    if accepted.is_empty() || accepted.len() > ORDER_ITEMS_MAX {
        let message = format!("a hold takes 1 to {ORDER_ITEMS_MAX} offers, not {}", accepted.len());
        return refuse(REFUSED_OFFER_UNKNOWN, message);
    }
    let mut taken = Vec::with_capacity(accepted.len());
    for flight in accepted {
        match quotes.iter().find(|quote| quote.offer_id == flight.offer_id.uuid()) {
            Some(quote) => taken.push(quote),
            None => return refuse(REFUSED_OFFER_UNKNOWN, format!("there is no offer {}", flight.offer_id)),
        }
    }
    for (flight, quote) in accepted.iter().zip(&taken) {
        if quote.expires_at <= now {
            let message = format!("the offer {} was valid until {}", flight.offer_id, quote.expires_at);
            return refuse(REFUSED_OFFER_EXPIRED, message);
        }
    }
    for quote in &taken {
        // Every traveller gets a ticket on every flight.
        if i64::from(quote.passengers) != i64::from(command.travellers) {
            let (travellers, seats) = (command.travellers, quote.passengers);
            let message = format!("{travellers} people travel, but {} was offered for {seats}", quote.flight);
            return refuse(REFUSED_TRAVELLERS_MISMATCH, message);
        }
    }
    for (flight, quote) in accepted.iter().zip(&taken) {
        if flight.total.amount() != quote.total || flight.total.currency_code() != quote.currency {
            let message = format!(
                "{} was accepted for {}, but the offer {} says {} {}",
                quote.flight,
                flight.total,
                flight.offer_id,
                quote.total.normalize(),
                quote.currency
            );
            return refuse(REFUSED_PRICE_CHANGED, message);
        }
    }
    let mut wanted: BTreeMap<(i64, &str), i64> = BTreeMap::new();
    for quote in &taken {
        if !quote.on_sale {
            return refuse(REFUSED_SOLD_OUT, format!("{} is no longer on sale", quote.flight));
        }
        let seats = wanted.entry((quote.flight_id, quote.cabin.as_str())).or_default();
        *seats += i64::from(quote.passengers);
        if *seats > i64::from(quote.available) {
            let message = format!(
                "{} has {} seats left in {}, {} were asked for",
                quote.flight, quote.available, quote.cabin, *seats
            );
            return refuse(REFUSED_SOLD_OUT, message);
        }
    }
    Ok(taken)
}

/// Writes everything, or nothing when the order already has a hold. The inventory is locked by now, so the order of
/// the updates does not matter.
async fn write_hold(
    tx: &mut PgConnection,
    command: &HoldSeats,
    taken: &[&Quoted],
    now: DateTime<Utc>,
    expires_at: DateTime<Utc>,
) -> Result<bool, DomainError> {
    let offers: Vec<Uuid> = taken.iter().map(|quote| quote.offer_id).collect();
    let flights: Vec<i64> = taken.iter().map(|quote| quote.flight_id).collect();
    let cabins: Vec<&str> = taken.iter().map(|quote| quote.cabin.as_str()).collect();
    let seats: Vec<i32> = taken.iter().map(|quote| i32::from(quote.passengers)).collect();
    let totals: Vec<Decimal> = taken.iter().map(|quote| quote.total).collect();
    let currencies: Vec<&str> = taken.iter().map(|quote| quote.currency.as_str()).collect();
    let moved = sqlx::query(
        "WITH hold AS (
             INSERT INTO seat_hold (order_id, created_at, expires_at) VALUES ($1, $2, $3)
             ON CONFLICT (order_id) DO NOTHING RETURNING order_id
         ), wanted AS (
             SELECT hold.order_id, w.*
             FROM hold, unnest($4::uuid[], $5::bigint[], $6::text[], $7::int[], $8::numeric[], $9::text[])
                 WITH ORDINALITY AS w (offer_id, flight_id, cabin, seats, total, currency, line)
         ), lines AS (
             INSERT INTO seat_hold_line (order_id, line, offer_id, flight_id, cabin, seats, total, currency)
             SELECT order_id, line, offer_id, flight_id, cabin, seats, total, currency FROM wanted
         )
         UPDATE cabin_inventory i SET held = i.held + w.seats
         FROM (SELECT flight_id, cabin, sum(seats)::int AS seats FROM wanted GROUP BY flight_id, cabin) w
         WHERE i.flight_id = w.flight_id AND i.cabin = w.cabin",
    )
    .bind(command.order_id.uuid())
    .bind(now)
    .bind(expires_at)
    .bind(&offers)
    .bind(&flights)
    .bind(&cabins)
    .bind(&seats)
    .bind(&totals)
    .bind(&currencies)
    .execute(tx)
    .await
    .map_err(DomainError::doing("holding seats"))?;
    Ok(moved.rows_affected() > 0)
}

#[cfg(test)]
mod tests {
    use contract::{FlightOfferId, Money, OrderId};
    use iso_currency::Currency;

    use super::*;

    fn quote(id: u128, flight_id: i64, passengers: i16, available: i32) -> Quoted {
        Quoted {
            offer_id: Uuid::from_u128(id),
            flight_id,
            cabin: "business".into(),
            flight: "Q0 101".into(),
            passengers,
            total: Decimal::new(100_000, 2),
            currency: "EUR".into(),
            expires_at: DateTime::from_timestamp_secs(1000).unwrap(),
            on_sale: true,
            available,
        }
    }

    fn accepted(id: u128, cents: i64) -> AcceptedFlight {
        let total = Money::new(Decimal::new(cents, 2), Currency::EUR).unwrap();
        AcceptedFlight { offer_id: FlightOfferId::from_uuid(Uuid::from_u128(id)), total }
    }

    fn code(accepted: &[AcceptedFlight], quotes: &[Quoted], now: i64) -> String {
        code_for(2, accepted, quotes, now)
    }

    fn code_for(travellers: u32, accepted: &[AcceptedFlight], quotes: &[Quoted], now: i64) -> String {
        let now = DateTime::from_timestamp_secs(now).unwrap();
        let command = HoldSeats { order_id: OrderId::from_uuid(Uuid::nil()), offers: accepted.to_vec(), travellers };
        decide(&command, quotes, now).map_or_else(|refusal| refusal.code, |taken| format!("{} taken", taken.len()))
    }

    #[test]
    fn every_flight_of_an_order_has_one_seat_for_each_traveller() {
        let (out, back) = (accepted(1, 100_000), accepted(2, 100_000));
        let both = [out.clone(), back];
        for (travellers, seats_out, seats_back, expected) in [
            (2, 2, 2, "2 taken"),
            (1, 1, 1, "2 taken"),
            (9, 9, 9, "2 taken"),
            (1, 2, 2, REFUSED_TRAVELLERS_MISMATCH),
            (3, 2, 2, REFUSED_TRAVELLERS_MISMATCH),
            (0, 2, 2, REFUSED_TRAVELLERS_MISMATCH),
            (u32::MAX, 2, 2, REFUSED_TRAVELLERS_MISMATCH),
            // Every flight is judged by itself: seats are not shared out among flights.
            (2, 2, 1, REFUSED_TRAVELLERS_MISMATCH),
            (2, 1, 3, REFUSED_TRAVELLERS_MISMATCH),
            (4, 2, 2, REFUSED_TRAVELLERS_MISMATCH),
        ] {
            let quotes = [quote(1, 7, seats_out, 20), quote(2, 8, seats_back, 20)];
            assert_eq!(code_for(travellers, &both, &quotes, 0), expected, "{travellers}: {seats_out}, {seats_back}");
        }
        // The same flight twice, for two parties of one order: each offer is for all of them.
        let twice = [quote(1, 7, 2, 20), quote(2, 7, 2, 20)];
        assert_eq!(code_for(4, &both, &twice, 0), REFUSED_TRAVELLERS_MISMATCH);
        assert_eq!(code_for(2, &[out.clone(), out], &twice, 0), "2 taken");
    }

    #[test]
    fn two_offers_of_one_cabin_need_seats_for_both() {
        let both = [accepted(1, 100_000), accepted(2, 100_000)];
        assert_eq!(code(&both, &[quote(1, 7, 2, 4), quote(2, 7, 2, 4)], 0), "2 taken");
        assert_eq!(code(&both, &[quote(1, 7, 2, 3), quote(2, 7, 2, 3)], 0), REFUSED_SOLD_OUT);
        assert_eq!(code(&[accepted(1, 100_000), accepted(1, 100_000)], &[quote(1, 7, 2, 3)], 0), REFUSED_SOLD_OUT);
    }

    #[test]
    fn the_most_urgent_problem_is_named() {
        assert_eq!(code(&[], &[], 0), REFUSED_OFFER_UNKNOWN);
        assert_eq!(code(&[accepted(2, 1)], &[quote(1, 7, 2, 4)], 0), REFUSED_OFFER_UNKNOWN);
        assert_eq!(code(&[accepted(1, 1)], &[quote(1, 7, 2, 0)], 1000), REFUSED_OFFER_EXPIRED);
        assert_eq!(code(&[accepted(1, 1)], &[quote(1, 7, 3, 0)], 999), REFUSED_TRAVELLERS_MISMATCH);
        assert_eq!(code(&[accepted(1, 1)], &[quote(1, 7, 2, 0)], 999), REFUSED_PRICE_CHANGED);
        let mut off_sale = quote(1, 7, 2, 4);
        off_sale.on_sale = false;
        assert_eq!(code(&[accepted(1, 100_000)], &[off_sale], 999), REFUSED_SOLD_OUT);
    }
}
