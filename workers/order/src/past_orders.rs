//! Orders that were placed long ago go, with the names of their travellers, when they have been kept for as long as the
//! records of a sale are.

use worker_runtime::{Retention, limits::SALE_RETENTION};

/// An order's id begins with the time at which it was placed, so the primary key finds the old ones.
pub(crate) const PAST_ORDERS: Retention = Retention {
    rows: "past orders",
    kept_for: SALE_RETENTION,
    batch_rows_max: 500,
    delete: "WITH past AS MATERIALIZED (
                 SELECT order_id FROM orders WHERE order_id < runtime.first_id_of($1) AND updated_at < $1
                 ORDER BY order_id LIMIT $2
             ), items AS (
                 DELETE FROM order_item WHERE order_id IN (SELECT order_id FROM past)
             ), travellers AS (
                 DELETE FROM order_traveller WHERE order_id IN (SELECT order_id FROM past)
             ), payments AS (
                 DELETE FROM order_payment WHERE order_id IN (SELECT order_id FROM past)
             ), history AS (
                 DELETE FROM order_history WHERE order_id IN (SELECT order_id FROM past)
             )
             DELETE FROM orders WHERE order_id IN (SELECT order_id FROM past)",
};
