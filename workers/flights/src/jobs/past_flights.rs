//! Flights that have left long ago go: soon when nobody was booked on them, and with their bookings when these have been
//! kept for as long as the records of a sale are.

use chrono::TimeDelta;
use worker_runtime::{Retention, limits::SALE_RETENTION};

/// A month after its departure, nobody asks any more what a flight would have cost. Only a year's flights are looked
/// through, past those that were booked: what was not removed by then goes with [`BOOKED_FLIGHTS`].
pub(crate) const PAST_FLIGHTS: Retention = Retention {
    rows: "past flights",
    kept_for: TimeDelta::days(30),
    batch_rows_max: 500,
    delete: "WITH past AS MATERIALIZED (
                 SELECT flight_id FROM flight f
                 WHERE departs_at < $1 AND departs_at >= $1 - interval '1 year'
                   AND NOT EXISTS (SELECT FROM seat_hold_line l WHERE l.flight_id = f.flight_id)
                 ORDER BY departs_at LIMIT $2
             ), cabins AS (
                 DELETE FROM cabin_inventory WHERE flight_id IN (SELECT flight_id FROM past)
             )
             DELETE FROM flight WHERE flight_id IN (SELECT flight_id FROM past)",
};

/// A flight goes with all that was booked on it; an order's hold and booking go with its last flight.
pub(crate) const BOOKED_FLIGHTS: Retention = Retention {
    rows: "booked flights",
    kept_for: SALE_RETENTION,
    batch_rows_max: 50,
    delete: "WITH past AS MATERIALIZED (
                 SELECT flight_id FROM flight WHERE departs_at < $1 ORDER BY departs_at LIMIT $2
             ), lines AS (
                 DELETE FROM seat_hold_line WHERE flight_id IN (SELECT flight_id FROM past) RETURNING order_id, line
             ), tickets AS (
                 DELETE FROM ticket t USING lines l WHERE t.order_id = l.order_id AND t.line = l.line
             ), ended AS MATERIALIZED (
                 SELECT DISTINCT order_id FROM lines l
                 WHERE NOT EXISTS (
                     SELECT FROM seat_hold_line m
                     WHERE m.order_id = l.order_id AND m.flight_id NOT IN (SELECT flight_id FROM past))
             ), bookings AS (
                 DELETE FROM flight_booking WHERE order_id IN (SELECT order_id FROM ended)
             ), holds AS (
                 DELETE FROM seat_hold WHERE order_id IN (SELECT order_id FROM ended)
             ), cabins AS (
                 DELETE FROM cabin_inventory WHERE flight_id IN (SELECT flight_id FROM past)
             )
             DELETE FROM flight WHERE flight_id IN (SELECT flight_id FROM past)",
};
