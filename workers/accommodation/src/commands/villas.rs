//! The assignment of villas to stays: villas are sold by counters and get their guests at confirmation.
//!
//! The counters promise that on no night more stays exist than villas. That is enough: intervals of which at most k
//! overlap can always be laid out on k rows, if those that have not begun may still move. So a stay takes a villa
//! that is free for all of it; if every villa is taken on some night of it, future stays are laid out afresh. Guests
//! who have arrived are never moved.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use sqlx::PgConnection;
use uuid::Uuid;
use worker_runtime::{DomainError, HandlerError};

/// A confirmed stay in a villa of one room type.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct Stay {
    #[sqlx(rename = "order_id")]
    pub(crate) order: Uuid,
    pub(crate) line: i16,
    pub(crate) check_in: NaiveDate,
    pub(crate) check_out: NaiveDate,
    /// The villa it has so far.
    #[sqlx(rename = "unit_id")]
    pub(crate) unit: Option<i32>,
}

/// Writes the new stay, and moves others only when it must; returns how many. The caller holds the room type's lock.
pub(crate) async fn assign(
    tx: &mut PgConnection,
    room_type_id: i32,
    stay: Stay,
    today: NaiveDate,
) -> Result<u64, HandlerError> {
    let free = sqlx::query(
        "INSERT INTO unit_stay (order_id, line, unit_id, stay)
         SELECT $1, $2, u.unit_id, daterange($3, $4) FROM unit u
         WHERE u.room_type_id = $5 AND NOT EXISTS (
             SELECT FROM unit_stay s WHERE s.unit_id = u.unit_id AND s.stay && daterange($3, $4))
         ORDER BY u.unit_id LIMIT 1",
    )
    .bind(stay.order)
    .bind(stay.line)
    .bind(stay.check_in)
    .bind(stay.check_out)
    .bind(room_type_id)
    .execute(&mut *tx)
    .await
    .map_err(DomainError::doing("assigning a free villa"))?;
    if free.rows_affected() == 1 {
        return Ok(0);
    }
    rearrange(tx, room_type_id, stay, today).await
}

async fn rearrange(
    tx: &mut PgConnection,
    room_type_id: i32,
    stay: Stay,
    today: NaiveDate,
) -> Result<u64, HandlerError> {
    let units: Vec<i32> = sqlx::query_scalar("SELECT unit_id FROM unit WHERE room_type_id = $1 ORDER BY unit_id")
        .bind(room_type_id)
        .fetch_all(&mut *tx)
        .await
        .map_err(DomainError::doing("reading villas"))?;
    let mut stays: Vec<Stay> = sqlx::query_as(
        "SELECT s.order_id, s.line, lower(s.stay) AS check_in, upper(s.stay) AS check_out, s.unit_id
         FROM unit_stay s JOIN unit u USING (unit_id) WHERE u.room_type_id = $1 AND upper(s.stay) > $2",
    )
    .bind(room_type_id)
    .bind(today)
    .fetch_all(&mut *tx)
    .await
    .map_err(DomainError::doing("reading stays in villas"))?;
    let before: BTreeMap<(Uuid, i16), Option<i32>> =
        stays.iter().map(|stay| ((stay.order, stay.line), stay.unit)).collect();
    let new = (stay.order, stay.line);
    stays.push(stay);
    let Some(laid_out) = lay_out(&units, stays, today) else {
        // Fewer villas than the counters promise: one was taken out of service without its nights.
        return Err(HandlerError::fault(format!(
            "room type {room_type_id} has sold more stays than its {} villas can take",
            units.len()
        )));
    };
    let changed: Vec<Stay> = laid_out
        .into_iter()
        .filter(|stay| before.get(&(stay.order, stay.line)).is_none_or(|unit| *unit != stay.unit))
        .collect();
    let orders: Vec<Uuid> = changed.iter().map(|stay| stay.order).collect();
    let lines: Vec<i16> = changed.iter().map(|stay| stay.line).collect();
    // The constraint looks at every row as it is written, so all that move leave before the first one arrives.
    sqlx::query(
        "DELETE FROM unit_stay s USING unnest($1::uuid[], $2::smallint[]) AS c (order_id, line)
         WHERE s.order_id = c.order_id AND s.line = c.line",
    )
    .bind(&orders)
    .bind(&lines)
    .execute(&mut *tx)
    .await
    .map_err(DomainError::doing("moving stays out of villas"))?;
    sqlx::query(
        "INSERT INTO unit_stay (order_id, line, unit_id, stay)
         SELECT c.order_id, c.line, c.unit_id, daterange(c.check_in, c.check_out)
         FROM unnest($1::uuid[], $2::smallint[], $3::int[], $4::date[], $5::date[])
             AS c (order_id, line, unit_id, check_in, check_out)",
    )
    .bind(&orders)
    .bind(&lines)
    .bind(changed.iter().map(|stay| stay.unit).collect::<Vec<_>>())
    .bind(changed.iter().map(|stay| stay.check_in).collect::<Vec<_>>())
    .bind(changed.iter().map(|stay| stay.check_out).collect::<Vec<_>>())
    .execute(&mut *tx)
    .await
    .map_err(DomainError::doing("moving stays into villas"))?;
    let moved = changed.iter().filter(|stay| (stay.order, stay.line) != new).count();
    Ok(u64::try_from(moved).unwrap_or(u64::MAX))
}

/// Gives every stay a villa: those that have begun keep theirs; the others, by arrival, keep theirs when it is free
/// by then and take any free one otherwise. `None` when on some night there are more stays than villas.
fn lay_out(units: &[i32], mut stays: Vec<Stay>, today: NaiveDate) -> Option<Vec<Stay>> {
    let begun = |stay: &Stay| stay.unit.is_some() && stay.check_in <= today;
    stays.sort_by_key(|stay| (!begun(stay), stay.check_in, stay.check_out, stay.order, stay.line));
    // Since when each villa is free.
    let mut free_from: BTreeMap<i32, NaiveDate> = units.iter().map(|unit| (*unit, NaiveDate::MIN)).collect();
    for stay in &mut stays {
        let keeps =
            stay.unit.filter(|unit| begun(stay) || free_from.get(unit).is_some_and(|free| *free <= stay.check_in));
        let unit = match keeps {
            Some(unit) => unit,
            // The one that became free last, to leave long gaps whole.
            None => *free_from.iter().filter(|(_, free)| **free <= stay.check_in).max_by_key(|(_, free)| **free)?.0,
        };
        stay.unit = Some(unit);
        free_from.insert(unit, stay.check_out);
    }
    Some(stays)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn day(number: u32) -> NaiveDate {
        NaiveDate::from_num_days_from_ce_opt(740_000 + i32::try_from(number).unwrap()).unwrap()
    }

    fn stay(id: u128, from: u32, until: u32, unit: Option<i32>) -> Stay {
        Stay { order: Uuid::from_u128(id), line: 1, check_in: day(from), check_out: day(until), unit }
    }

    fn units_of(laid_out: &[Stay]) -> Vec<(u128, i32)> {
        let mut units: Vec<_> = laid_out.iter().map(|stay| (stay.order.as_u128(), stay.unit.unwrap())).collect();
        units.sort_unstable();
        units
    }

    #[test]
    fn two_halves_in_two_villas_move_together_for_a_long_stay() {
        let stays = vec![stay(1, 10, 13, Some(1)), stay(2, 13, 16, Some(2)), stay(3, 10, 16, None)];
        assert_eq!(units_of(&lay_out(&[1, 2], stays.clone(), day(0)).unwrap()), [(1, 1), (2, 1), (3, 2)]);
        // The first guests have arrived: the second ones move.
        assert_eq!(units_of(&lay_out(&[1, 2], stays.clone(), day(11)).unwrap()), [(1, 1), (2, 1), (3, 2)]);
        assert_eq!(lay_out(&[1], stays, day(0)), None);
    }

    proptest! {
        /// The promise of the counters: stays that never outnumber the villas on any night always find room
        /// from any arrangement before, and guests who have arrived stay where they are.
        #[test]
        fn stays_that_never_outnumber_the_villas_always_find_room(
            wanted in prop::collection::vec((0_u32..50, 0_u32..12, 1_u32..15), 1..60), villas in 1_i32..5,
        ) {
            let units: Vec<i32> = (1..=villas).collect();
            let mut nights = [0_i32; 80];
            let mut placed: Vec<Stay> = Vec::new();
            // Each is booked on a day, for some days later, in the order of booking.
            let mut wanted = wanted;
            wanted.sort_unstable();
            for (id, (today, lead, length)) in (0_u128..).zip(wanted) {
                let from = today + lead;
                let covered = &mut nights[from as usize..(from + length) as usize];
                if covered.contains(&villas) {
                    continue;
                }
                covered.iter_mut().for_each(|count| *count += 1);
                placed.push(stay(id, from, from + length, None));
                let before = placed.clone();
                placed = lay_out(&units, placed, day(today)).expect("the counters had room");
                for stay in before.iter().filter(|stay| stay.unit.is_some() && stay.check_in <= day(today)) {
                    prop_assert!(placed.contains(stay), "an arrived guest was moved");
                }
                for (index, one) in placed.iter().enumerate() {
                    for other in &placed[..index] {
                        let overlap = one.check_in < other.check_out && other.check_in < one.check_out;
                        prop_assert!(!(overlap && one.unit == other.unit), "{one:?} {other:?}");
                    }
                }
            }
        }
    }
}
