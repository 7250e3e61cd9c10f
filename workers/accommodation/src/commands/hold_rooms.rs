//! Holding rooms: all nights of all stays of an order or none, in two round trips.
//!
//! The first statement reads the offers and locks their nights in the order of (room type, night), as every statement
//! here does; what to do is then decided in memory; the second statement writes hold, lines and counters.

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, NaiveDate, Utc};
use contract::{
    Outcome, Refusal,
    accommodation::{
        AcceptedStay, HoldRooms, REFUSED_HOLD_EXISTS, REFUSED_OFFER_EXPIRED, REFUSED_OFFER_UNKNOWN,
        REFUSED_PRICE_CHANGED, REFUSED_SOLD_OUT, REFUSED_TRAVELLERS_MISMATCH, RoomsHeld,
    },
    limits::ORDER_ITEMS_MAX,
};
use rust_decimal::Decimal;
use sqlx::PgConnection;
use uuid::Uuid;
use worker_runtime::{Context, DomainError, Handled, Handler};

use super::Accommodation;

impl Handler<HoldRooms> for Accommodation {
    async fn handle(&self, tx: &mut PgConnection, command: HoldRooms, context: &mut Context) -> Handled<RoomsHeld> {
        let now = context.now;
        let quotes = lock_quotes(tx, &command.offers).await?;
        let taken = match decide(&command, &quotes, now) {
            Ok(taken) => taken,
            Err(refusal) => return Ok(Outcome::Refused(refusal)),
        };
        let expires_at = now + self.hold_for.duration();
        if write_hold(tx, &command, &taken, now, self.hold_for.duration()).await? {
            Ok(Outcome::done(RoomsHeld { expires_at }))
        } else {
            let message = format!("{} already has a hold of rooms", command.order_id);
            Ok(Outcome::refused(REFUSED_HOLD_EXISTS, message))
        }
    }
}

/// An offer and what is left of each of its nights, locked.
#[derive(Debug, Clone, sqlx::FromRow)]
struct Quoted {
    offer_id: Uuid,
    room_type_id: i32,
    room: String,
    check_in: NaiveDate,
    check_out: NaiveDate,
    guests: i16,
    total: Decimal,
    currency: String,
    expires_at: DateTime<Utc>,
    on_sale: bool,
    nights: Vec<NaiveDate>,
    available: Vec<i32>,
}

/// The stays to be held, and how many rooms each (room type, night) gives.
struct Taken<'a> {
    stays: Vec<&'a Quoted>,
    rooms: BTreeMap<(i32, NaiveDate), i32>,
}

async fn lock_quotes(tx: &mut PgConnection, accepted: &[AcceptedStay]) -> Result<Vec<Quoted>, DomainError> {
    let ids: Vec<Uuid> = accepted.iter().map(|stay| stay.offer_id.uuid()).collect();
    sqlx::query_as(
        "WITH locked AS MATERIALIZED (
             SELECT o.offer_id, n.night, n.available
             FROM stay_offer o JOIN room_night n
               ON n.room_type_id = o.room_type_id AND n.night >= o.check_in AND n.night < o.check_out
             WHERE o.offer_id = ANY($1)
             ORDER BY n.room_type_id, n.night, o.offer_id
             FOR NO KEY UPDATE OF n
         ), free AS (
             SELECT offer_id, array_agg(night ORDER BY night) AS nights,
                    array_agg(available ORDER BY night) AS available
             FROM locked GROUP BY offer_id
         )
         SELECT o.offer_id, o.room_type_id, p.name || ', ' || t.name AS room, o.check_in, o.check_out, o.guests,
                o.total, o.currency, o.expires_at,
                p.active AND t.active AND NOT EXISTS (
                    SELECT FROM restriction x WHERE x.room_type_id = o.room_type_id AND x.kind = 'stop_sell'
                      AND x.valid && daterange(o.check_in, o.check_out)) AS on_sale,
                coalesce(f.nights, '{}') AS nights, coalesce(f.available, '{}') AS available
         FROM stay_offer o JOIN room_type t USING (room_type_id) JOIN property p USING (property_id)
         LEFT JOIN free f USING (offer_id)
         WHERE o.offer_id = ANY($1)",
    )
    .bind(&ids)
    .fetch_all(tx)
    .await
    .map_err(DomainError::doing("locking the nights of offers"))
}

/// The most urgent problem first: what is unknown, then expired, then too small, then priced differently, then sold
/// out.
fn decide<'a>(command: &HoldRooms, quotes: &'a [Quoted], now: DateTime<Utc>) -> Result<Taken<'a>, Refusal> {
    let accepted = &command.offers;
    let refuse = |code: &str, message: String| Refusal { code: code.to_owned(), message };
    if accepted.is_empty() || accepted.len() > ORDER_ITEMS_MAX {
        let message = format!("a hold takes 1 to {ORDER_ITEMS_MAX} offers, not {}", accepted.len());
        return Err(refuse(REFUSED_OFFER_UNKNOWN, message));
    }
    let mut stays = Vec::with_capacity(accepted.len());
    for stay in accepted {
        let quote = quotes.iter().find(|quote| quote.offer_id == stay.offer_id.uuid());
        let unknown = || refuse(REFUSED_OFFER_UNKNOWN, format!("there is no offer {}", stay.offer_id));
        stays.push(quote.ok_or_else(unknown)?);
    }
    for (stay, quote) in accepted.iter().zip(&stays) {
        if quote.expires_at <= now {
            let message = format!("the offer {} was valid until {}", stay.offer_id, quote.expires_at);
            return Err(refuse(REFUSED_OFFER_EXPIRED, message));
        }
    }
    if let Some(message) = without_a_place(&stays, command.travellers) {
        return Err(refuse(REFUSED_TRAVELLERS_MISMATCH, message));
    }
    for (stay, quote) in accepted.iter().zip(&stays) {
        if stay.total.amount() != quote.total || stay.total.currency_code() != quote.currency {
            let message = format!(
                "{} was accepted for {}, but the offer {} says {} {}",
                quote.room,
                stay.total,
                stay.offer_id,
                quote.total.normalize(),
                quote.currency
            );
            return Err(refuse(REFUSED_PRICE_CHANGED, message));
        }
    }
    let mut rooms = BTreeMap::new();
    for quote in &stays {
        if !quote.on_sale {
            return Err(refuse(REFUSED_SOLD_OUT, format!("{} is no longer on sale for these nights", quote.room)));
        }
        for night in nights_of(quote) {
            let wanted = rooms.entry((quote.room_type_id, night)).or_insert(0);
            *wanted += 1;
            let at = quote.nights.binary_search(&night).ok();
            let left = at.and_then(|at| quote.available.get(at)).copied().unwrap_or(0);
            if *wanted > left {
                let message = format!("{} has {left} left on the night of {night}", quote.room);
                return Err(refuse(REFUSED_SOLD_OUT, message));
            }
        }
    }
    Ok(Taken { stays, rooms })
}

/// The reason why not every traveller has a place, if there is one. Rooms of one night share the travellers out, and
/// every night is judged by itself: a place in a room of another night is no place to sleep. A room may stay partly
/// empty. Infants count like everybody else, because an offer's guests do.
fn without_a_place(stays: &[&Quoted], travellers: u32) -> Option<String> {
    if travellers == 0 {
        return Some("the order names no traveller to hold a room for".to_owned());
    }
    let mut places: BTreeMap<NaiveDate, u32> = BTreeMap::new();
    for stay in stays {
        for night in nights_of(stay) {
            *places.entry(night).or_default() += u32::from(stay.guests.unsigned_abs());
        }
    }
    let (night, places) = places.into_iter().find(|(_, places)| *places < travellers)?;
    Some(format!("{travellers} people travel, but the rooms of the night of {night} were offered for {places}"))
}

fn nights_of(stay: &Quoted) -> impl Iterator<Item = NaiveDate> {
    stay.check_in.iter_days().take_while(|night| *night < stay.check_out)
}

/// Writes everything, or nothing when the order already has a hold. The nights are locked by now, so the order of the
/// updates does not matter.
async fn write_hold(
    tx: &mut PgConnection,
    command: &HoldRooms,
    taken: &Taken<'_>,
    now: DateTime<Utc>,
    hold_for: Duration,
) -> Result<bool, DomainError> {
    let stays = &taken.stays;
    let moved = sqlx::query(
        "WITH hold AS (
             INSERT INTO room_hold (order_id, created_at, expires_at) VALUES ($1, $2, $3)
             ON CONFLICT (order_id) DO NOTHING RETURNING order_id
         ), lines AS (
             INSERT INTO room_hold_line
                 (order_id, line, offer_id, room_type_id, check_in, check_out, guests, total, currency)
             SELECT hold.order_id, s.line, s.offer_id, s.room_type_id, s.check_in, s.check_out, s.guests, s.total,
                    s.currency
             FROM hold, unnest($4::uuid[], $5::int[], $6::date[], $7::date[], $8::smallint[], $9::numeric[],
                               $10::text[]) WITH ORDINALITY
                 AS s (offer_id, room_type_id, check_in, check_out, guests, total, currency, line)
         )
         UPDATE room_night n SET held = n.held + w.rooms
         FROM hold, unnest($11::int[], $12::date[], $13::int[]) AS w (room_type_id, night, rooms)
         WHERE n.room_type_id = w.room_type_id AND n.night = w.night",
    )
    .bind(command.order_id.uuid())
    .bind(now)
    .bind(now + hold_for)
    .bind(stays.iter().map(|stay| stay.offer_id).collect::<Vec<_>>())
    .bind(stays.iter().map(|stay| stay.room_type_id).collect::<Vec<_>>())
    .bind(stays.iter().map(|stay| stay.check_in).collect::<Vec<_>>())
    .bind(stays.iter().map(|stay| stay.check_out).collect::<Vec<_>>())
    .bind(stays.iter().map(|stay| stay.guests).collect::<Vec<_>>())
    .bind(stays.iter().map(|stay| stay.total).collect::<Vec<_>>())
    .bind(stays.iter().map(|stay| stay.currency.as_str()).collect::<Vec<_>>())
    .bind(taken.rooms.keys().map(|(room_type_id, _)| *room_type_id).collect::<Vec<_>>())
    .bind(taken.rooms.keys().map(|(_, night)| *night).collect::<Vec<_>>())
    .bind(taken.rooms.values().copied().collect::<Vec<_>>())
    .execute(tx)
    .await
    .map_err(DomainError::doing("holding rooms"))?;
    Ok(moved.rows_affected() > 0)
}

#[cfg(test)]
mod tests {
    use contract::{Money, OrderId, StayOfferId};

    use super::*;

    fn day(day: u32) -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 12, day).unwrap()
    }

    fn quote(id: u128, from: u32, until: u32, available: &[i32]) -> Quoted {
        Quoted {
            offer_id: Uuid::from_u128(id),
            room_type_id: 7,
            room: "Villa".into(),
            check_in: day(from),
            check_out: day(until),
            guests: 2,
            total: Decimal::new(100_000, 2),
            currency: "EUR".into(),
            expires_at: DateTime::from_timestamp_secs(1000).unwrap(),
            on_sale: true,
            nights: (from..until).map(day).take(available.len()).collect(),
            available: available.to_vec(),
        }
    }

    fn accepted(id: u128, cents: i64) -> AcceptedStay {
        let total = Money::from_parts(Decimal::new(cents, 2), "EUR").unwrap();
        AcceptedStay { offer_id: StayOfferId::from_uuid(Uuid::from_u128(id)), total }
    }

    fn code(accepted: &[AcceptedStay], quotes: &[Quoted], now: i64) -> String {
        code_for(2, accepted, quotes, now)
    }

    fn code_for(travellers: u32, accepted: &[AcceptedStay], quotes: &[Quoted], now: i64) -> String {
        let now = DateTime::from_timestamp_secs(now).unwrap();
        let command = HoldRooms { order_id: OrderId::from_uuid(Uuid::nil()), offers: accepted.to_vec(), travellers };
        let decided = decide(&command, quotes, now);
        decided.map_or_else(|refusal| refusal.code, |taken| format!("{} nights", taken.rooms.len()))
    }

    #[test]
    fn overlapping_stays_need_a_room_each_and_adjoining_ones_share_it() {
        let both = [accepted(1, 100_000), accepted(2, 100_000)];
        assert_eq!(code(&both, &[quote(1, 1, 4, &[1, 1, 1]), quote(2, 4, 6, &[1, 1])], 0), "5 nights");
        assert_eq!(code(&both, &[quote(1, 1, 4, &[1, 1, 1]), quote(2, 3, 6, &[1, 1, 1])], 0), REFUSED_SOLD_OUT);
        assert_eq!(code(&both, &[quote(1, 1, 4, &[2, 2, 2]), quote(2, 3, 6, &[2, 2, 2])], 0), "5 nights");
    }

    /// A room of the order: its guests, its first night and its last morning.
    type Room = (i16, u32, u32);

    fn code_of_rooms(travellers: u32, rooms: &[Room]) -> String {
        let ids = 1..=u128::try_from(rooms.len()).unwrap();
        let stays: Vec<_> = ids.clone().map(|id| accepted(id, 100_000)).collect();
        let quotes = ids.zip(rooms).map(|(id, (guests, from, until))| Quoted {
            guests: *guests,
            // Each in a room type of its own.
            room_type_id: i32::try_from(id).unwrap(),
            ..quote(id, *from, *until, &[9; 20])
        });
        code_for(travellers, &stays, &quotes.collect::<Vec<_>>(), 0)
    }

    #[test]
    fn every_traveller_has_a_place_on_every_night() {
        let held = |nights: u32| format!("{nights} nights");
        let refused = || REFUSED_TRAVELLERS_MISMATCH.to_owned();
        for (travellers, rooms, expected) in [
            // One room: as many as its guests, fewer, more, very many, none.
            (2, &[(2, 1, 4)][..], held(3)),
            (1, &[(2, 1, 4)], held(3)),
            (3, &[(2, 1, 4)], refused()),
            (9, &[(2, 1, 4)], refused()),
            (u32::MAX, &[(2, 1, 4)], refused()),
            (0, &[(2, 1, 4)], refused()),
            // Two rooms on the same nights share the travellers out.
            (4, &[(2, 1, 4), (2, 1, 4)], held(6)),
            (3, &[(2, 1, 4), (2, 1, 4)], held(6)),
            (3, &[(2, 1, 4), (1, 1, 4)], held(6)),
            (5, &[(2, 1, 4), (2, 1, 4)], refused()),
            (9, &[(3, 1, 3), (3, 1, 3), (3, 1, 3)], held(6)),
            // One room after the other: each has to have a place for everybody.
            (2, &[(2, 1, 4), (2, 4, 6)], held(5)),
            (4, &[(2, 1, 4), (2, 4, 6)], refused()),
            (2, &[(2, 1, 4), (1, 4, 6)], refused()),
            (2, &[(1, 1, 4), (2, 4, 6)], refused()),
            (2, &[(2, 1, 4), (2, 9, 12)], held(6)),
            // Rooms that share some of their nights only.
            (4, &[(2, 1, 6), (2, 1, 4)], refused()),
            (4, &[(4, 1, 6), (2, 3, 4)], held(6)),
            (4, &[(2, 1, 6), (2, 1, 4), (2, 4, 6)], held(10)),
        ] {
            assert_eq!(code_of_rooms(travellers, rooms), expected, "{travellers} in {rooms:?}");
        }
    }

    #[test]
    fn the_most_urgent_problem_is_named() {
        assert_eq!(code(&[], &[], 0), REFUSED_OFFER_UNKNOWN);
        assert_eq!(code(&[accepted(2, 1)], &[quote(1, 1, 2, &[1])], 0), REFUSED_OFFER_UNKNOWN);
        assert_eq!(code(&[accepted(1, 1)], &[quote(1, 1, 2, &[0])], 1000), REFUSED_OFFER_EXPIRED);
        assert_eq!(code_for(3, &[accepted(1, 1)], &[quote(1, 1, 2, &[0])], 999), REFUSED_TRAVELLERS_MISMATCH);
        assert_eq!(code(&[accepted(1, 1)], &[quote(1, 1, 2, &[0])], 999), REFUSED_PRICE_CHANGED);
        assert_eq!(code(&[accepted(1, 100_000)], &[quote(1, 1, 3, &[1, 0])], 999), REFUSED_SOLD_OUT);
        // A night that is not in the tables at all.
        assert_eq!(code(&[accepted(1, 100_000)], &[quote(1, 1, 3, &[1])], 999), REFUSED_SOLD_OUT);
        let closed = Quoted { on_sale: false, ..quote(1, 1, 2, &[1]) };
        assert_eq!(code(&[accepted(1, 100_000)], &[closed], 999), REFUSED_SOLD_OUT);
    }
}
