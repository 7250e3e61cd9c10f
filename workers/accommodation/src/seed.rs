//! The demonstration's properties: hand-written rooms, seasons and villas, expanded to prices and nights.
//!
//! Deterministic: the same day always gives the same nights and rates. Run at every start in development, and on every
//! new day, it adds what is missing and leaves alone what is there.

use chrono::{Datelike, Days, NaiveDate};
use sqlx::PgPool;
use worker_runtime::{DomainError, begin_seed};

/// How far ahead nights are sold, in days: a year, and some weeks for days that are missed.
const DAYS_AHEAD: u64 = 400;

const PROPERTIES: &str = include_str!("../seed/properties.sql");

/// Makes sure that the demonstration's rooms are on sale from `today` on.
///
/// # Errors
/// When the database fails; then nothing has changed.
pub async fn seed(pool: &PgPool, today: NaiveDate) -> Result<(), DomainError> {
    let mut tx = begin_seed(pool).await?;
    sqlx::raw_sql(PROPERTIES).execute(&mut *tx).await.map_err(DomainError::doing("seeding properties"))?;
    // From yesterday, because it is still yesterday somewhere.
    let from = today.pred_opt().unwrap_or(today);
    let until = today.checked_add_days(Days::new(DAYS_AHEAD)).unwrap_or(today);
    // Whole years, so that a season's range is the same however often this runs.
    let first = NaiveDate::from_ymd_opt(from.year(), 1, 1).unwrap_or(from);
    let last = NaiveDate::from_ymd_opt(until.year(), 12, 31).unwrap_or(until);
    for (statement, doing) in [(RATES, "seeding rates"), (RESTRICTIONS, "seeding restrictions")] {
        let write = sqlx::query(statement).bind(first).bind(last).execute(&mut *tx);
        write.await.map_err(DomainError::doing(doing))?;
    }
    sqlx::query(NIGHTS).bind(from).bind(until).execute(&mut *tx).await.map_err(DomainError::doing("seeding nights"))?;
    // Without statistics the first searches would read whole tables.
    sqlx::raw_sql("ANALYZE room_night, rate, restriction")
        .execute(&mut *tx)
        .await
        .map_err(DomainError::doing("counting nights"))?;
    tx.commit().await.map_err(DomainError::doing("seeding rooms"))
}

/// One price range for each season of each year, rounded to what the property's currency has.
const RATES: &str = "
    INSERT INTO rate (room_type_id, valid, nightly)
    SELECT t.room_type_id, d.valid,
           round(t.nightly * d.percent / 100, CASE p.currency WHEN 'JPY' THEN 0 WHEN 'KWD' THEN 3 ELSE 2 END)
    FROM room_type t JOIN property p USING (property_id)
    JOIN (
        SELECT s.pattern, s.percent, daterange(min(day)::date, max(day)::date, '[]') AS valid
        FROM season s JOIN generate_series($1::date::timestamp, $2::date::timestamp, '1 day') AS day
          ON to_char(day, 'MM-DD') BETWEEN s.first_day AND s.last_day
        GROUP BY s.pattern, s.percent, s.first_day, extract(year FROM day)
    ) d ON d.pattern = p.season_pattern
    ON CONFLICT DO NOTHING";

/// Seven nights over New Year where it is asked for, no arrivals at Lake Como at Christmas, Patagonia's winter.
const RESTRICTIONS: &str = "
    INSERT INTO restriction (room_type_id, valid, kind, nights)
    SELECT t.room_type_id, daterange(make_date(y.year, r.month, r.day), make_date(y.year, r.month, r.day) + r.days),
           r.kind, r.nights
    FROM generate_series(extract(year FROM $1::date)::int - 1, extract(year FROM $2::date)::int) AS y (year),
         (VALUES (4, 'min_stay_through', 7, 12, 28, 6), (13, 'min_stay_through', 7, 12, 28, 6),
                 (7, 'closed_to_arrival', NULL, 12, 24, 2), (16, 'stop_sell', NULL, 6, 1, 61))
             AS r (property_id, kind, nights, month, day, days)
    JOIN room_type t ON t.property_id = r.property_id
    ON CONFLICT DO NOTHING";

/// Every room type, every night; named villas as many as there are; the Darsena Suite down to one on the 15th.
const NIGHTS: &str = "
    INSERT INTO room_night (room_type_id, night, capacity)
    SELECT t.room_type_id, day::date,
           CASE WHEN t.kind = 'unit' THEN (SELECT count(*) FROM unit u WHERE u.room_type_id = t.room_type_id)
                WHEN t.room_type_id = 702 AND extract(day FROM day) = 15 THEN 1
                ELSE t.rooms END
    FROM room_type t CROSS JOIN generate_series($1::date::timestamp, $2::date::timestamp, '1 day') AS day
    WHERE t.active
    ON CONFLICT (room_type_id, night) DO NOTHING";
