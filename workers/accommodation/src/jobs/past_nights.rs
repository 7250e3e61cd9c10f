//! Nights that are long past go; what was held and sold on them stands in the lines of the holds.

use chrono::TimeDelta;
use worker_runtime::Retention;

/// A month after a night, nobody asks any more how many rooms were free.
pub(crate) const PAST_NIGHTS: Retention = Retention {
    rows: "past nights",
    kept_for: TimeDelta::days(30),
    batch_rows_max: 1_000,
    delete: "DELETE FROM room_night WHERE (room_type_id, night) IN (
                 SELECT room_type_id, night FROM room_night
                 WHERE night < ($1 AT TIME ZONE 'UTC')::date ORDER BY night LIMIT $2
             )",
};
