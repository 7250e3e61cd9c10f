//! Holding seats: all flights of an order or none, and all commands of a set in two round trips.
//!
//! The offers are opened and judged first, without the database. One statement then locks the cabins that are asked for,
//! in the order of (flight, cabin), as every statement here does; what each command takes from what those before it have
//! left is decided in memory; another statement writes holds, lines and counters.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use contract::{
    OrderId, Outcome, Refusal,
    flights::{
        Cabin, HoldSeats, REFUSED_HOLD_EXISTS, REFUSED_OFFER_ALTERED, REFUSED_OFFER_EXPIRED, REFUSED_OFFER_UNKNOWN,
        REFUSED_PRICE_CHANGED, REFUSED_SOLD_OUT, REFUSED_TRAVELLERS_MISMATCH, SeatsHeld, v2,
    },
    limits::ORDER_ITEMS_MAX,
};
use rust_decimal::Decimal;
use sqlx::PgConnection;
use uuid::Uuid;
use worker_runtime::{DomainError, HoldMinutes, Member, OfferError, OfferKeys, SetHandled, SetHandler};

use super::Flights;
use crate::offer::FlightTerms;

impl SetHandler<HoldSeats> for Flights {
    async fn handle_many(&self, tx: &mut PgConnection, set: &mut [Member<HoldSeats>]) -> SetHandled<SeatsHeld> {
        let Some(now) = set.first().map(|member| member.context.now) else { return Ok(Vec::new()) };
        let asked: Vec<_> = set.iter().map(|member| second(&member.command)).collect();
        self.hold_all(tx, &asked.iter().collect::<Vec<_>>(), now).await
    }
}

impl SetHandler<v2::HoldSeats> for Flights {
    async fn handle_many(&self, tx: &mut PgConnection, set: &mut [Member<v2::HoldSeats>]) -> SetHandled<SeatsHeld> {
        let Some(now) = set.first().map(|member| member.context.now) else { return Ok(Vec::new()) };
        self.hold_all(tx, &set.iter().map(|member| &member.command).collect::<Vec<_>>(), now).await
    }
}

/// The first version in the words of the second: it asks for no time of its own.
fn second(HoldSeats { order_id, offers, travellers }: &HoldSeats) -> v2::HoldSeats {
    v2::HoldSeats { order_id: *order_id, offers: offers.clone(), travellers: *travellers, for_minutes: 0 }
}

impl Flights {
    async fn hold_all(
        &self,
        tx: &mut PgConnection,
        asked: &[&v2::HoldSeats],
        now: DateTime<Utc>,
    ) -> SetHandled<SeatsHeld> {
        let judged: Vec<_> = asked.iter().map(|hold| judge(&self.offer_keys, hold, now)).collect();
        let mut left = lock(tx, asked, &judged, now).await?;
        let take = |(hold, wanted): (&&v2::HoldSeats, Result<Vec<Wanted>, Refusal>)| {
            let wanted = wanted?;
            left.take(hold.order_id, &wanted).map(|()| wanted)
        };
        let taken: Vec<Result<Vec<Wanted>, Refusal>> = asked.iter().zip(judged).map(take).collect();
        let held = write(tx, asked, &taken, now, self.hold_for).await?;
        let outcome = |(hold, taken): (&&v2::HoldSeats, Result<Vec<Wanted>, Refusal>)| match taken {
            Ok(_) => match held.get(&hold.order_id.uuid()) {
                Some(expires_at) => Outcome::done(SeatsHeld { expires_at: *expires_at }),
                // Another transaction has made one since.
                None => Outcome::Refused(hold_exists(hold.order_id)),
            },
            Err(refusal) => Outcome::Refused(refusal),
        };
        Ok(asked.iter().zip(taken).map(outcome).collect())
    }
}

/// An offer that was accepted, as it was sealed.
#[derive(Debug, Clone, PartialEq)]
struct Wanted {
    offer: Uuid,
    terms: FlightTerms,
}

/// Opens and judges the offers of a command, the most urgent problem first: what is unknown or altered, then expired,
/// then for another number of travellers, then priced differently.
fn judge(keys: &OfferKeys, command: &v2::HoldSeats, now: DateTime<Utc>) -> Result<Vec<Wanted>, Refusal> {
    let accepted = &command.offers;
    if accepted.is_empty() || accepted.len() > ORDER_ITEMS_MAX {
        let message = format!("a hold takes 1 to {ORDER_ITEMS_MAX} offers, not {}", accepted.len());
        return Err(refusal(REFUSED_OFFER_UNKNOWN, message));
    }
    let opened = accepted.iter().map(|flight| FlightTerms::open(keys, &flight.offer_id));
    let opened: Vec<_> = opened.collect::<Result<_, _>>().map_err(not_taken)?;
    let terms: Vec<_> =
        opened.into_iter().map(|offer| offer.good_at(now)).collect::<Result<_, _>>().map_err(not_taken)?;
    // Every traveller gets a ticket on every flight.
    if let Some(other) = terms.iter().find(|terms| terms.passengers != command.travellers) {
        let message =
            format!("{} people travel, but a flight was offered for {}", command.travellers, other.passengers);
        return Err(refusal(REFUSED_TRAVELLERS_MISMATCH, message));
    }
    if let Some((flight, terms)) = accepted.iter().zip(&terms).find(|(flight, terms)| flight.total != terms.total) {
        let name = flight.offer_id.name();
        let message = format!("the offer {name} was accepted for {}, but says {}", flight.total, terms.total);
        return Err(refusal(REFUSED_PRICE_CHANGED, message));
    }
    Ok(accepted.iter().zip(terms).map(|(flight, terms)| Wanted { offer: flight.offer_id.uuid(), terms }).collect())
}

fn not_taken(error: OfferError) -> Refusal {
    let code = match error {
        OfferError::Unknown(_) => REFUSED_OFFER_UNKNOWN,
        OfferError::Altered(_) => REFUSED_OFFER_ALTERED,
        OfferError::Expired(..) => REFUSED_OFFER_EXPIRED,
    };
    refusal(code, error.to_string())
}

fn hold_exists(order_id: OrderId) -> Refusal {
    refusal(REFUSED_HOLD_EXISTS, format!("{order_id} already has a hold of flights"))
}

fn refusal(code: &str, message: String) -> Refusal {
    Refusal { code: code.to_owned(), message }
}

/// One cabin of a dated flight, locked.
#[derive(Debug, Clone, sqlx::FromRow)]
struct CabinLeft {
    /// The flight's number, for people.
    flight: String,
    on_sale: bool,
    available: i32,
}

/// The cabins that a set asks for, and the orders that have a hold already.
#[derive(Debug, Default)]
struct Left {
    cabins: HashMap<(i64, Cabin), CabinLeft>,
    holding: HashSet<Uuid>,
}

impl Left {
    /// Takes all that is wanted for an order, or nothing.
    fn take(&mut self, order_id: OrderId, wanted: &[Wanted]) -> Result<(), Refusal> {
        if self.holding.contains(&order_id.uuid()) {
            return Err(hold_exists(order_id));
        }
        let mut after: HashMap<(i64, Cabin), i32> = HashMap::new();
        for Wanted { offer, terms: FlightTerms { flight_id, cabin, passengers, .. } } in wanted {
            let key = (*flight_id, *cabin);
            let Some(CabinLeft { flight, on_sale, available }) = self.cabins.get(&key) else {
                return Err(refusal(REFUSED_OFFER_UNKNOWN, format!("the flight of the offer {offer} is no more")));
            };
            if !on_sale {
                return Err(refusal(REFUSED_SOLD_OUT, format!("{flight} is no longer on sale")));
            }
            let left = after.entry(key).or_insert(*available);
            let seats = i32::try_from(*passengers).unwrap_or(i32::MAX);
            if *left < seats {
                let cabin = cabin.as_str();
                let message = format!("{flight} has {left} seats left in {cabin}, {seats} were asked for");
                return Err(refusal(REFUSED_SOLD_OUT, message));
            }
            *left -= seats;
        }
        for (key, available) in after {
            self.cabins.entry(key).and_modify(|cabin| cabin.available = available);
        }
        self.holding.insert(order_id.uuid());
        Ok(())
    }
}

/// Locks the cabins that are wanted and reads what is left of them.
async fn lock(
    tx: &mut PgConnection,
    asked: &[&v2::HoldSeats],
    judged: &[Result<Vec<Wanted>, Refusal>],
    now: DateTime<Utc>,
) -> Result<Left, DomainError> {
    let wanted = judged.iter().flatten().flatten().map(|wanted| (wanted.terms.flight_id, wanted.terms.cabin));
    let wanted: Vec<(i64, Cabin)> = wanted.collect::<HashSet<_>>().into_iter().collect();
    if wanted.is_empty() {
        return Ok(Left::default());
    }
    let rows: Vec<CabinRow> = sqlx::query_as(
        "WITH locked AS MATERIALIZED (
             SELECT w.place, f.carrier || ' ' || f.number AS flight, f.active AND f.departs_at > $4 AS on_sale, i.available
             FROM unnest($1::bigint[], $2::text[]) WITH ORDINALITY AS w (flight_id, cabin, place)
             JOIN cabin_inventory i USING (flight_id, cabin) JOIN flight f USING (flight_id)
             ORDER BY i.flight_id, i.cabin
             FOR NO KEY UPDATE OF i
         )
         SELECT place, flight, on_sale, available,
                array(SELECT order_id FROM seat_hold WHERE order_id = ANY($3)) AS holding
         FROM locked",
    )
    .bind(wanted.iter().map(|(flight_id, _)| *flight_id).collect::<Vec<_>>())
    .bind(wanted.iter().map(|(_, cabin)| cabin.as_str()).collect::<Vec<_>>())
    .bind(asked.iter().map(|hold| hold.order_id.uuid()).collect::<Vec<_>>())
    .bind(now)
    .fetch_all(tx)
    .await
    .map_err(DomainError::doing("locking the seats of offers"))?;
    let holding = rows.first().map(|row| row.holding.iter().copied().collect()).unwrap_or_default();
    let place = |row: &CabinRow| wanted.get(usize::try_from(row.place).ok()?.checked_sub(1)?).copied();
    let cabins = rows.into_iter().filter_map(|row| Some((place(&row)?, row.cabin))).collect();
    Ok(Left { cabins, holding })
}

#[derive(sqlx::FromRow)]
struct CabinRow {
    /// From 1, among the cabins that were asked for.
    place: i64,
    #[sqlx(flatten)]
    cabin: CabinLeft,
    holding: Vec<Uuid>,
}

/// Writes the holds of all commands that have taken seats; answers until when the orders have theirs. An order that got
/// one from another transaction in the meantime is left as it is. The inventory is locked by now, so the order of the
/// updates does not matter. No hold outlasts the departure, unless it has that time anyway.
async fn write(
    tx: &mut PgConnection,
    asked: &[&v2::HoldSeats],
    taken: &[Result<Vec<Wanted>, Refusal>],
    now: DateTime<Utc>,
    hold_for: HoldMinutes,
) -> Result<HashMap<Uuid, DateTime<Utc>>, DomainError> {
    let mut lines: Vec<(Uuid, i16, DateTime<Utc>, &Wanted)> = Vec::new();
    for (hold, taken) in asked.iter().zip(taken) {
        let until = now + hold_for.at_least(hold.for_minutes);
        let numbered = (1..).zip(taken.iter().flatten());
        lines.extend(numbered.map(|(line, wanted)| (hold.order_id.uuid(), line, until, wanted)));
    }
    if lines.is_empty() {
        return Ok(HashMap::new());
    }
    let held: Vec<(Uuid, DateTime<Utc>)> = sqlx::query_as(
        "WITH asked AS (
             SELECT * FROM unnest($1::uuid[], $2::smallint[], $3::uuid[], $4::bigint[], $5::text[], $6::bigint[],
                                  $7::numeric[], $8::text[], $11::timestamptz[])
                 AS a (order_id, line, offer_id, flight_id, cabin, seats, total, currency, until)
         ), hold AS (
             INSERT INTO seat_hold (order_id, created_at, expires_at)
             SELECT order_id, $9::timestamptz, least(max(until), greatest(min(departs_at), $10::timestamptz))
             FROM asked JOIN flight USING (flight_id) GROUP BY order_id
             ON CONFLICT (order_id) DO NOTHING RETURNING order_id, expires_at
         ), wanted AS (
             SELECT asked.* FROM hold JOIN asked USING (order_id)
         ), lines AS (
             INSERT INTO seat_hold_line (order_id, line, offer_id, flight_id, cabin, seats, total, currency)
             SELECT order_id, line, offer_id, flight_id, cabin, seats::int, total, currency FROM wanted
         ), moved AS (
             UPDATE cabin_inventory i SET held = i.held + w.seats
             FROM (SELECT flight_id, cabin, sum(seats)::int AS seats FROM wanted GROUP BY flight_id, cabin) w
             WHERE i.flight_id = w.flight_id AND i.cabin = w.cabin
         )
         SELECT order_id, expires_at FROM hold",
    )
    .bind(lines.iter().map(|(order, ..)| *order).collect::<Vec<_>>())
    .bind(lines.iter().map(|(_, line, ..)| *line).collect::<Vec<_>>())
    .bind(lines.iter().map(|(.., wanted)| wanted.offer).collect::<Vec<_>>())
    .bind(lines.iter().map(|(.., wanted)| wanted.terms.flight_id).collect::<Vec<_>>())
    .bind(lines.iter().map(|(.., wanted)| wanted.terms.cabin.as_str()).collect::<Vec<_>>())
    .bind(lines.iter().map(|(.., wanted)| i64::from(wanted.terms.passengers)).collect::<Vec<_>>())
    .bind(lines.iter().map(|(.., wanted)| wanted.terms.total.amount()).collect::<Vec<Decimal>>())
    .bind(lines.iter().map(|(.., wanted)| wanted.terms.total.currency_code()).collect::<Vec<_>>())
    .bind(now)
    .bind(now + hold_for.duration())
    .bind(lines.iter().map(|(_, _, until, _)| *until).collect::<Vec<_>>())
    .fetch_all(tx)
    .await
    .map_err(DomainError::doing("holding seats"))?;
    Ok(held.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use contract::{FlightOfferId, Money, flights::AcceptedFlight};
    use worker_runtime::testkit::lab::{euros, offer_keys, order};

    use super::*;

    fn terms(flight_id: i64, passengers: u32) -> FlightTerms {
        FlightTerms { flight_id, cabin: Cabin::Business, passengers, total: euros(1000) }
    }

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp_secs(second).unwrap()
    }

    /// Good until second 1000.
    fn offer(id: u128, terms: FlightTerms) -> FlightOfferId {
        terms.seal(&offer_keys(), Uuid::from_u128(id), at(1000))
    }

    fn accepted(id: u128, terms: FlightTerms) -> AcceptedFlight {
        AcceptedFlight { offer_id: offer(id, terms), total: terms.total }
    }

    fn left(cabins: &[(i64, i32)]) -> Left {
        let cabin = |(flight_id, available): &(i64, i32)| {
            let left = CabinLeft { flight: format!("Q0 {flight_id}"), on_sale: true, available: *available };
            ((*flight_id, Cabin::Business), left)
        };
        Left { cabins: cabins.iter().map(cabin).collect(), holding: HashSet::new() }
    }

    /// Two people at second 0, alone with what is left of the cabins.
    fn code(accepted: &[AcceptedFlight], cabins: &[(i64, i32)]) -> String {
        code_for(2, 0, accepted, &mut left(cabins))
    }

    fn code_for(travellers: u32, now: i64, accepted: &[AcceptedFlight], left: &mut Left) -> String {
        let command = second(&HoldSeats { order_id: order(1), offers: accepted.to_vec(), travellers });
        let wanted = judge(&offer_keys(), &command, at(now));
        let taken = wanted.and_then(|wanted| left.take(command.order_id, &wanted).map(|()| wanted.len()));
        taken.map_or_else(|refusal| refusal.code, |flights| format!("{flights} taken"))
    }

    #[test]
    fn every_flight_of_an_order_has_one_seat_for_each_traveller() {
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
            let both = [accepted(1, terms(7, seats_out)), accepted(2, terms(8, seats_back))];
            let found = code_for(travellers, 0, &both, &mut left(&[(7, 20), (8, 20)]));
            assert_eq!(found, expected, "{travellers}: {seats_out}, {seats_back}");
        }
        // The same flight twice, for two parties of one order: each offer is for all of them.
        let twice = [accepted(1, terms(7, 2)), accepted(2, terms(7, 2))];
        assert_eq!(code_for(4, 0, &twice, &mut left(&[(7, 20)])), REFUSED_TRAVELLERS_MISMATCH);
        assert_eq!(code(&twice, &[(7, 20)]), "2 taken");
    }

    #[test]
    fn two_offers_of_one_cabin_need_seats_for_both() {
        let both = [accepted(1, terms(7, 2)), accepted(2, terms(7, 2))];
        assert_eq!(code(&both, &[(7, 4)]), "2 taken");
        assert_eq!(code(&both, &[(7, 3)]), REFUSED_SOLD_OUT);
        assert_eq!(code(&[both[0].clone(), both[0].clone()], &[(7, 3)]), REFUSED_SOLD_OUT);
    }

    #[test]
    fn a_command_takes_from_what_those_before_it_have_left_and_a_refused_one_takes_nothing() {
        let mut left = left(&[(7, 3), (8, 1)]);
        let wanted = |flights: &[i64]| -> Vec<Wanted> {
            let wanted = |flight_id: &i64| Wanted { offer: Uuid::nil(), terms: terms(*flight_id, 1) };
            flights.iter().map(wanted).collect()
        };
        let mut code =
            |number, flights: &[i64]| left.take(order(number), &wanted(flights)).map_err(|refusal| refusal.code);
        assert_eq!(code(1, &[7, 8]), Ok(()));
        assert_eq!(code(2, &[7, 8]), Err(REFUSED_SOLD_OUT.to_owned()));
        assert_eq!(code(3, &[7, 7]), Ok(()));
        assert_eq!(code(4, &[7]), Err(REFUSED_SOLD_OUT.to_owned()));
        assert_eq!(code(3, &[7]), Err(REFUSED_HOLD_EXISTS.to_owned()));
    }

    #[test]
    fn the_most_urgent_problem_is_named() {
        let known = terms(7, 2);
        let mut altered = accepted(1, known);
        let mut seal = altered.offer_id.seal();
        *seal.last_mut().unwrap() ^= 1;
        altered.offer_id = FlightOfferId::new(Uuid::from_u128(1), &seal);
        let forged = AcceptedFlight { offer_id: FlightOfferId::new(Uuid::from_u128(1), b"made up"), total: euros(1) };
        let dear = AcceptedFlight { offer_id: offer(1, known), total: euros(1) };
        assert_eq!(code(&[], &[]), REFUSED_OFFER_UNKNOWN);
        assert_eq!(code(&[dear.clone(), forged], &[(7, 4)]), REFUSED_OFFER_UNKNOWN);
        assert_eq!(code(&[altered.clone()], &[(7, 4)]), REFUSED_OFFER_ALTERED);
        assert_eq!(code_for(2, 1000, &[dear.clone(), altered], &mut left(&[])), REFUSED_OFFER_ALTERED);
        assert_eq!(code_for(3, 1000, std::slice::from_ref(&dear), &mut left(&[])), REFUSED_OFFER_EXPIRED);
        assert_eq!(code_for(3, 999, std::slice::from_ref(&dear), &mut left(&[])), REFUSED_TRAVELLERS_MISMATCH);
        assert_eq!(code_for(2, 999, &[dear], &mut left(&[])), REFUSED_PRICE_CHANGED);
        let yen = Money::from_parts(1000.into(), "JPY").unwrap();
        assert_eq!(code(&[AcceptedFlight { total: yen, ..accepted(1, known) }], &[(7, 4)]), REFUSED_PRICE_CHANGED);
        assert_eq!(code(&[accepted(1, known)], &[]), REFUSED_OFFER_UNKNOWN);
        let mut off_sale = left(&[(7, 4)]);
        off_sale.cabins.values_mut().for_each(|cabin| cabin.on_sale = false);
        assert_eq!(code_for(2, 999, &[accepted(1, known)], &mut off_sale), REFUSED_SOLD_OUT);
    }
}
