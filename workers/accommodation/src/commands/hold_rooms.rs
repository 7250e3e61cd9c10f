//! Holding rooms: all nights of all stays of an order or none, and all commands of a set in two round trips.
//!
//! The offers are opened and judged first, without the database. One statement then locks the nights that are asked for,
//! in the order of (room type, night), as every statement here does; what each command takes from what those before it
//! have left is decided in memory; another statement writes holds, lines and counters.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, NaiveDate, Utc};
use contract::{
    OrderId, Outcome, Refusal,
    accommodation::{
        HoldRooms, REFUSED_HOLD_EXISTS, REFUSED_OFFER_ALTERED, REFUSED_OFFER_EXPIRED, REFUSED_OFFER_UNKNOWN,
        REFUSED_PRICE_CHANGED, REFUSED_SOLD_OUT, REFUSED_TRAVELLERS_MISMATCH, RoomsHeld,
    },
    limits::ORDER_ITEMS_MAX,
};
use rust_decimal::Decimal;
use sqlx::PgConnection;
use uuid::Uuid;
use worker_runtime::{DomainError, Member, OfferError, OfferKeys, SetHandled, SetHandler};

use super::Accommodation;
use crate::offer::StayTerms;

impl SetHandler<HoldRooms> for Accommodation {
    async fn handle_many(&self, tx: &mut PgConnection, set: &mut [Member<HoldRooms>]) -> SetHandled<RoomsHeld> {
        let Some(now) = set.first().map(|member| member.context.now) else { return Ok(Vec::new()) };
        let commands: Vec<&HoldRooms> = set.iter().map(|member| &member.command).collect();
        let judged: Vec<_> = commands.iter().map(|command| judge(&self.offer_keys, command, now)).collect();
        let mut left = lock(tx, &commands, &judged).await?;
        let take = |(command, wanted): (&&HoldRooms, Result<Vec<Wanted>, Refusal>)| {
            let wanted = wanted?;
            left.take(command.order_id, &wanted).map(|()| wanted)
        };
        let taken: Vec<Result<Vec<Wanted>, Refusal>> = commands.iter().zip(judged).map(take).collect();
        let expires_at = now + self.hold_for.duration();
        let held = write(tx, &commands, &taken, now, expires_at).await?;
        let outcome = |(command, taken): (&&HoldRooms, Result<Vec<Wanted>, Refusal>)| match taken {
            Ok(_) if held.contains(&command.order_id.uuid()) => Outcome::done(RoomsHeld { expires_at }),
            // Another transaction has made one since.
            Ok(_) => Outcome::Refused(hold_exists(command.order_id)),
            Err(refusal) => Outcome::Refused(refusal),
        };
        Ok(commands.iter().zip(taken).map(outcome).collect())
    }
}

/// An offer that was accepted, as it was sealed.
#[derive(Debug, Clone, PartialEq)]
struct Wanted {
    offer: Uuid,
    terms: StayTerms,
}

/// Opens and judges the offers of a command, the most urgent problem first: what is unknown or altered, then expired,
/// then too small, then priced differently.
fn judge(keys: &OfferKeys, command: &HoldRooms, now: DateTime<Utc>) -> Result<Vec<Wanted>, Refusal> {
    let accepted = &command.offers;
    if accepted.is_empty() || accepted.len() > ORDER_ITEMS_MAX {
        let message = format!("a hold takes 1 to {ORDER_ITEMS_MAX} offers, not {}", accepted.len());
        return Err(refusal(REFUSED_OFFER_UNKNOWN, message));
    }
    let opened = accepted.iter().map(|stay| StayTerms::open(keys, &stay.offer_id));
    let opened: Vec<_> = opened.collect::<Result<_, _>>().map_err(not_taken)?;
    let terms: Vec<_> =
        opened.into_iter().map(|offer| offer.good_at(now)).collect::<Result<_, _>>().map_err(not_taken)?;
    if let Some(message) = without_a_place(&terms, command.travellers) {
        return Err(refusal(REFUSED_TRAVELLERS_MISMATCH, message));
    }
    if let Some((stay, terms)) = accepted.iter().zip(&terms).find(|(stay, terms)| stay.total != terms.total) {
        let name = stay.offer_id.name();
        let message = format!("the offer {name} was accepted for {}, but says {}", stay.total, terms.total);
        return Err(refusal(REFUSED_PRICE_CHANGED, message));
    }
    Ok(accepted.iter().zip(terms).map(|(stay, terms)| Wanted { offer: stay.offer_id.uuid(), terms }).collect())
}

/// The reason why not every traveller has a place, if there is one. Rooms of one night share the travellers out, and
/// every night is judged by itself: a place in a room of another night is no place to sleep. A room may stay partly
/// empty. Infants count like everybody else, because an offer's guests do.
fn without_a_place(stays: &[StayTerms], travellers: u32) -> Option<String> {
    if travellers == 0 {
        return Some("the order names no traveller to hold a room for".to_owned());
    }
    let mut places: BTreeMap<NaiveDate, u32> = BTreeMap::new();
    for stay in stays {
        for night in stay.nights() {
            *places.entry(night).or_default() += stay.guests;
        }
    }
    let (night, places) = places.into_iter().find(|(_, places)| *places < travellers)?;
    Some(format!("{travellers} people travel, but the rooms of the night of {night} were offered for {places}"))
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
    refusal(REFUSED_HOLD_EXISTS, format!("{order_id} already has a hold of rooms"))
}

fn refusal(code: &str, message: String) -> Refusal {
    Refusal { code: code.to_owned(), message }
}

/// A stay that a set asks for: room type, first night, morning of departure.
type Stay = (i32, NaiveDate, NaiveDate);

/// A room type on the nights of a stay.
#[derive(Debug, Clone, sqlx::FromRow)]
struct RoomLeft {
    /// The room's name, for people.
    room: String,
    on_sale: bool,
}

/// The rooms that are left on the nights that a set asks for, and the orders that have a hold already.
#[derive(Debug, Default)]
struct Left {
    rooms: HashMap<Stay, RoomLeft>,
    nights: HashMap<(i32, NaiveDate), i32>,
    holding: HashSet<Uuid>,
}

impl Left {
    /// Takes all that is wanted for an order, or nothing.
    fn take(&mut self, order_id: OrderId, wanted: &[Wanted]) -> Result<(), Refusal> {
        if self.holding.contains(&order_id.uuid()) {
            return Err(hold_exists(order_id));
        }
        let mut after: HashMap<(i32, NaiveDate), i32> = HashMap::new();
        for Wanted { offer, terms } in wanted {
            let Some(RoomLeft { room, on_sale }) = self.rooms.get(&stay_of(terms)) else {
                return Err(refusal(REFUSED_OFFER_UNKNOWN, format!("the room of the offer {offer} is no more")));
            };
            if !on_sale {
                return Err(refusal(REFUSED_SOLD_OUT, format!("{room} is no longer on sale for these nights")));
            }
            for night in terms.nights() {
                let key = (terms.room_type_id, night);
                let left = after.entry(key).or_insert_with(|| self.nights.get(&key).copied().unwrap_or(0));
                if *left < 1 {
                    return Err(refusal(REFUSED_SOLD_OUT, format!("{room} has too few left on the night of {night}")));
                }
                *left -= 1;
            }
        }
        self.nights.extend(after);
        self.holding.insert(order_id.uuid());
        Ok(())
    }
}

const fn stay_of(terms: &StayTerms) -> Stay {
    (terms.room_type_id, terms.check_in, terms.check_out)
}

/// Locks the nights that are wanted and reads what is left of them.
async fn lock(
    tx: &mut PgConnection,
    commands: &[&HoldRooms],
    judged: &[Result<Vec<Wanted>, Refusal>],
) -> Result<Left, DomainError> {
    let wanted: HashSet<Stay> = judged.iter().flatten().flatten().map(|wanted| stay_of(&wanted.terms)).collect();
    if wanted.is_empty() {
        return Ok(Left::default());
    }
    let rows: Vec<RoomRow> = sqlx::query_as(
        "WITH asked AS MATERIALIZED (
             SELECT * FROM unnest($1::int[], $2::date[], $3::date[]) AS a (room_type_id, check_in, check_out)
         ), locked AS MATERIALIZED (
             SELECT n.room_type_id, n.night, n.available FROM room_night n
             WHERE (n.room_type_id, n.night) IN (
                 SELECT m.room_type_id, m.night FROM asked a JOIN room_night m
                   ON m.room_type_id = a.room_type_id AND m.night >= a.check_in AND m.night < a.check_out)
             ORDER BY n.room_type_id, n.night FOR NO KEY UPDATE OF n
         )
         SELECT a.room_type_id, a.check_in, a.check_out, p.name || ', ' || t.name AS room,
                p.active AND t.active AND NOT EXISTS (
                    SELECT FROM restriction x WHERE x.room_type_id = a.room_type_id AND x.kind = 'stop_sell'
                      AND x.valid && daterange(a.check_in, a.check_out)) AS on_sale,
                f.nights, f.available,
                array(SELECT order_id FROM room_hold WHERE order_id = ANY($4)) AS holding
         FROM asked a JOIN room_type t USING (room_type_id) JOIN property p USING (property_id)
         CROSS JOIN LATERAL (
             SELECT coalesce(array_agg(l.night), '{}') AS nights, coalesce(array_agg(l.available), '{}') AS available
             FROM locked l WHERE l.room_type_id = a.room_type_id AND l.night >= a.check_in AND l.night < a.check_out
         ) f",
    )
    .bind(wanted.iter().map(|(room_type_id, ..)| *room_type_id).collect::<Vec<_>>())
    .bind(wanted.iter().map(|(_, check_in, _)| *check_in).collect::<Vec<_>>())
    .bind(wanted.iter().map(|(.., check_out)| *check_out).collect::<Vec<_>>())
    .bind(commands.iter().map(|command| command.order_id.uuid()).collect::<Vec<_>>())
    .fetch_all(tx)
    .await
    .map_err(DomainError::doing("locking the nights of offers"))?;
    let mut left = Left::default();
    for row in rows {
        left.nights.extend(row.nights.into_iter().map(|night| (row.room_type_id, night)).zip(row.available));
        left.holding.extend(row.holding);
        left.rooms.insert((row.room_type_id, row.check_in, row.check_out), row.room);
    }
    Ok(left)
}

#[derive(sqlx::FromRow)]
struct RoomRow {
    room_type_id: i32,
    check_in: NaiveDate,
    check_out: NaiveDate,
    #[sqlx(flatten)]
    room: RoomLeft,
    /// Those that are on sale, each with as many rooms as `available` says at its place.
    nights: Vec<NaiveDate>,
    available: Vec<i32>,
    holding: Vec<Uuid>,
}

/// Writes the holds of all commands that have taken rooms; answers the orders that have theirs now. An order that got
/// one from another transaction in the meantime is left as it is. The nights are locked by now, so the order of the
/// updates does not matter.
async fn write(
    tx: &mut PgConnection,
    commands: &[&HoldRooms],
    taken: &[Result<Vec<Wanted>, Refusal>],
    now: DateTime<Utc>,
    expires_at: DateTime<Utc>,
) -> Result<HashSet<Uuid>, DomainError> {
    let mut lines: Vec<(Uuid, i16, &Wanted)> = Vec::new();
    for (command, taken) in commands.iter().zip(taken) {
        let numbered = (1..).zip(taken.iter().flatten());
        lines.extend(numbered.map(|(line, wanted)| (command.order_id.uuid(), line, wanted)));
    }
    if lines.is_empty() {
        return Ok(HashSet::new());
    }
    // By night and not by span: the planner takes a span for a ninth of all nights there are, and reads the table whole.
    let nights: Vec<(Uuid, i32, NaiveDate)> = lines
        .iter()
        .flat_map(|(order, _, wanted)| wanted.terms.nights().map(|night| (*order, wanted.terms.room_type_id, night)))
        .collect();
    let held: Vec<Uuid> = sqlx::query_scalar(
        "WITH asked AS (
             SELECT * FROM unnest($1::uuid[], $2::smallint[], $3::uuid[], $4::int[], $5::date[], $6::date[],
                                  $7::bigint[], $8::numeric[], $9::text[])
                 AS a (order_id, line, offer_id, room_type_id, check_in, check_out, guests, total, currency)
         ), hold AS (
             INSERT INTO room_hold (order_id, created_at, expires_at)
             SELECT DISTINCT order_id, $10::timestamptz, $11::timestamptz FROM asked
             ON CONFLICT (order_id) DO NOTHING RETURNING order_id
         ), wanted AS (
             SELECT asked.* FROM hold JOIN asked USING (order_id)
         ), lines AS (
             INSERT INTO room_hold_line
                 (order_id, line, offer_id, room_type_id, check_in, check_out, guests, total, currency)
             SELECT order_id, line, offer_id, room_type_id, check_in, check_out, guests, total, currency FROM wanted
         ), moved AS (
             UPDATE room_night n SET held = n.held + w.rooms
             FROM (
                 SELECT m.room_type_id, m.night, count(*)::int AS rooms
                 FROM unnest($12::uuid[], $13::int[], $14::date[]) AS m (order_id, room_type_id, night)
                 JOIN hold USING (order_id)
                 GROUP BY m.room_type_id, m.night
             ) w
             WHERE n.room_type_id = w.room_type_id AND n.night = w.night
         )
         SELECT order_id FROM hold",
    )
    .bind(lines.iter().map(|(order, ..)| *order).collect::<Vec<_>>())
    .bind(lines.iter().map(|(_, line, _)| *line).collect::<Vec<_>>())
    .bind(lines.iter().map(|(.., wanted)| wanted.offer).collect::<Vec<_>>())
    .bind(lines.iter().map(|(.., wanted)| wanted.terms.room_type_id).collect::<Vec<_>>())
    .bind(lines.iter().map(|(.., wanted)| wanted.terms.check_in).collect::<Vec<_>>())
    .bind(lines.iter().map(|(.., wanted)| wanted.terms.check_out).collect::<Vec<_>>())
    .bind(lines.iter().map(|(.., wanted)| i64::from(wanted.terms.guests)).collect::<Vec<_>>())
    .bind(lines.iter().map(|(.., wanted)| wanted.terms.total.amount()).collect::<Vec<Decimal>>())
    .bind(lines.iter().map(|(.., wanted)| wanted.terms.total.currency_code()).collect::<Vec<_>>())
    .bind(now)
    .bind(expires_at)
    .bind(nights.iter().map(|(order, ..)| *order).collect::<Vec<_>>())
    .bind(nights.iter().map(|(_, room_type, _)| *room_type).collect::<Vec<_>>())
    .bind(nights.iter().map(|(.., night)| *night).collect::<Vec<_>>())
    .fetch_all(tx)
    .await
    .map_err(DomainError::doing("holding rooms"))?;
    Ok(held.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use contract::{StayOfferId, accommodation::AcceptedStay};
    use worker_runtime::testkit::lab::{euros, offer_keys, order};

    use super::*;

    fn day(day: u32) -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 12, day).unwrap()
    }

    /// Room type 7 for two guests.
    fn terms(from: u32, until: u32) -> StayTerms {
        StayTerms { room_type_id: 7, check_in: day(from), check_out: day(until), guests: 2, total: euros(1000) }
    }

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp_secs(second).unwrap()
    }

    /// Good until second 1000.
    fn accepted(id: u128, terms: StayTerms) -> AcceptedStay {
        let offer_id = terms.seal(&offer_keys(), Uuid::from_u128(id), at(1000));
        AcceptedStay { offer_id, total: terms.total }
    }

    /// So many rooms of each of these types on every night of December until the 20th.
    fn left(room_types: impl Iterator<Item = i32>, rooms: i32) -> Left {
        let mut left = Left::default();
        for room_type_id in room_types {
            left.nights.extend((1..20).map(|night| ((room_type_id, day(night)), rooms)));
            let stays = (1..25).flat_map(|from| (from + 1..25).map(move |until| (room_type_id, day(from), day(until))));
            left.rooms.extend(stays.map(|stay| (stay, RoomLeft { room: "Villa".to_owned(), on_sale: true })));
        }
        left
    }

    fn code_for(travellers: u32, now: i64, accepted: &[AcceptedStay], left: &mut Left) -> String {
        let before: i32 = left.nights.values().sum();
        let command = HoldRooms { order_id: order(1), offers: accepted.to_vec(), travellers };
        let wanted = judge(&offer_keys(), &command, at(now));
        let taken = wanted.and_then(|wanted| left.take(command.order_id, &wanted));
        let nights = before - left.nights.values().sum::<i32>();
        taken.map_or_else(|refusal| refusal.code, |()| format!("{nights} nights"))
    }

    #[test]
    fn overlapping_stays_need_a_room_each_and_adjoining_ones_share_it() {
        let code = |stays: [StayTerms; 2], rooms: i32| {
            let both = [accepted(1, stays[0]), accepted(2, stays[1])];
            code_for(2, 0, &both, &mut left(std::iter::once(7), rooms))
        };
        assert_eq!(code([terms(1, 4), terms(4, 6)], 1), "5 nights");
        assert_eq!(code([terms(1, 4), terms(3, 6)], 1), REFUSED_SOLD_OUT);
        assert_eq!(code([terms(1, 4), terms(3, 6)], 2), "6 nights");
    }

    /// A room of the order: its guests, its first night and its last morning.
    type Room = (u32, u32, u32);

    fn code_of_rooms(travellers: u32, rooms: &[Room]) -> String {
        // Each in a room type of its own.
        let stay = |(room_type_id, (guests, from, until)): (i32, &Room)| {
            let terms = StayTerms { room_type_id, guests: *guests, ..terms(*from, *until) };
            accepted(u128::try_from(room_type_id).unwrap(), terms)
        };
        let stays: Vec<_> = (1..).zip(rooms).map(stay).collect();
        code_for(travellers, 0, &stays, &mut left(1..10, 9))
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
    fn a_command_takes_from_what_those_before_it_have_left_and_a_refused_one_takes_nothing() {
        let mut left = left(std::iter::once(7), 1);
        let mut code = |number, stays: &[(u32, u32)]| {
            let wanted = |(from, until): &(u32, u32)| Wanted { offer: Uuid::nil(), terms: terms(*from, *until) };
            let wanted: Vec<_> = stays.iter().map(wanted).collect();
            left.take(order(number), &wanted).map_err(|refusal| refusal.code)
        };
        assert_eq!(code(1, &[(3, 5)]), Ok(()));
        assert_eq!(code(2, &[(1, 3), (4, 6)]), Err(REFUSED_SOLD_OUT.to_owned()));
        assert_eq!(code(3, &[(1, 3), (5, 6)]), Ok(()));
        assert_eq!(code(4, &[(2, 3)]), Err(REFUSED_SOLD_OUT.to_owned()));
        assert_eq!(code(3, &[(10, 11)]), Err(REFUSED_HOLD_EXISTS.to_owned()));
    }

    #[test]
    fn the_most_urgent_problem_is_named() {
        let known = terms(1, 3);
        let mut altered = accepted(1, known);
        let mut seal = altered.offer_id.seal();
        *seal.last_mut().unwrap() ^= 1;
        altered.offer_id = StayOfferId::new(Uuid::from_u128(1), &seal);
        let forged = AcceptedStay { offer_id: StayOfferId::new(Uuid::from_u128(1), b"made up"), total: euros(1) };
        let dear = AcceptedStay { total: euros(1), ..accepted(1, known) };
        let code = |travellers, now, accepted: &[AcceptedStay], rooms| {
            code_for(travellers, now, accepted, &mut left(std::iter::once(7), rooms))
        };
        assert_eq!(code(2, 0, &[], 1), REFUSED_OFFER_UNKNOWN);
        assert_eq!(code(2, 0, &[dear.clone(), forged], 1), REFUSED_OFFER_UNKNOWN);
        assert_eq!(code(3, 1000, &[dear.clone(), altered], 1), REFUSED_OFFER_ALTERED);
        assert_eq!(code(3, 1000, std::slice::from_ref(&dear), 0), REFUSED_OFFER_EXPIRED);
        assert_eq!(code(3, 999, std::slice::from_ref(&dear), 0), REFUSED_TRAVELLERS_MISMATCH);
        assert_eq!(code(2, 999, &[dear], 0), REFUSED_PRICE_CHANGED);
        assert_eq!(code(2, 999, &[accepted(1, known)], 0), REFUSED_SOLD_OUT);
        // A night that is not in the tables at all.
        assert_eq!(code(2, 999, &[accepted(1, terms(18, 21))], 1), REFUSED_SOLD_OUT);
        assert_eq!(code_for(2, 0, &[accepted(1, known)], &mut Left::default()), REFUSED_OFFER_UNKNOWN);
        let mut closed = left(std::iter::once(7), 1);
        closed.rooms.values_mut().for_each(|room| room.on_sale = false);
        assert_eq!(code_for(2, 999, &[accepted(1, known)], &mut closed), REFUSED_SOLD_OUT);
    }
}
