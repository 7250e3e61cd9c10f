//! Flights that have left long ago go, unless somebody was booked on them.

use chrono::TimeDelta;
use worker_runtime::Retention;

/// A month after its departure, nobody asks any more what a flight would have cost.
pub(crate) const PAST_FLIGHTS: Retention = Retention {
    rows: "past flights",
    kept_for: TimeDelta::days(30),
    batch_rows_max: 500,
    delete: "WITH past AS MATERIALIZED (
                 SELECT flight_id FROM flight f
                 WHERE departs_at < $1 AND NOT EXISTS (SELECT FROM seat_hold_line l WHERE l.flight_id = f.flight_id)
                 ORDER BY departs_at LIMIT $2
             ), cabins AS (
                 DELETE FROM cabin_inventory WHERE flight_id IN (SELECT flight_id FROM past)
             )
             DELETE FROM flight WHERE flight_id IN (SELECT flight_id FROM past)",
};
