//! Stays that ended long ago go with their bookings, when these have been kept for as long as the records of a sale are.

use worker_runtime::{Retention, limits::SALE_RETENTION};

/// All stays of an order go together, after the last of them.
pub(crate) const PAST_STAYS: Retention = Retention {
    rows: "past stays",
    kept_for: SALE_RETENTION,
    batch_rows_max: 500,
    delete: "WITH past AS MATERIALIZED (
                 SELECT order_id FROM stay_booking b
                 WHERE booked_at < $1 AND NOT EXISTS (
                     SELECT FROM room_hold_line l
                     WHERE l.order_id = b.order_id AND l.check_out >= ($1 AT TIME ZONE 'UTC')::date)
                 ORDER BY booked_at LIMIT $2
             ), villas AS (
                 DELETE FROM unit_stay WHERE order_id IN (SELECT order_id FROM past)
             ), lines AS (
                 DELETE FROM room_hold_line WHERE order_id IN (SELECT order_id FROM past)
             ), bookings AS (
                 DELETE FROM stay_booking WHERE order_id IN (SELECT order_id FROM past)
             )
             DELETE FROM room_hold WHERE order_id IN (SELECT order_id FROM past)",
};
