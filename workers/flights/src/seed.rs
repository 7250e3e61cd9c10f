//! The demonstration's flights: hand-written places, carriers and a weekly schedule, expanded to dated flights.
//!
//! Deterministic: the same day always gives the same flights and fares. Run at every start in development, and on
//! every new day, it adds what is missing and leaves alone what is there.

use chrono::{Days, NaiveDate};
use sqlx::PgPool;
use worker_runtime::{DomainError, begin_seed};

/// How far ahead flights are sold, in days. The door promises 90; the rest is for days that are missed.
const DAYS_AHEAD: u64 = 120;

const AIRPORTS: &str = include_str!("../seed/airports.sql");
const SCHEDULES: &str = include_str!("../seed/schedules.sql");

/// Makes sure that the demonstration's flights are on sale from `today` on.
///
/// # Errors
/// When the database fails; then nothing has changed.
pub async fn seed(pool: &PgPool, today: NaiveDate) -> Result<(), DomainError> {
    let mut tx = begin_seed(pool).await?;
    for statements in [AIRPORTS, SCHEDULES] {
        sqlx::raw_sql(statements)
            .execute(&mut *tx)
            .await
            .map_err(DomainError::doing("seeding places and schedules"))?;
    }
    // From yesterday, because it is still yesterday somewhere.
    let from = today.pred_opt().unwrap_or(today);
    let until = today.checked_add_days(Days::new(DAYS_AHEAD)).unwrap_or(today);
    // A wall time that a clock change skips becomes the one after the gap, as airlines do it: so the local departure
    // is read back from the instant.
    sqlx::query(
        "INSERT INTO flight (schedule_id, carrier, number, origin, destination, departs_on, departs_at, arrives_at,
                             departs_local, arrives_local)
         SELECT s.schedule_id, s.carrier, s.number, s.origin, s.destination, t.departs_on, t.departs_at, t.arrives_at,
                t.departs_at AT TIME ZONE o.zone, t.arrives_at AT TIME ZONE d.zone
         FROM schedule s
         JOIN airport o ON o.iata = s.origin
         JOIN airport d ON d.iata = s.destination
         CROSS JOIN generate_series($1::date::timestamp, $2::date::timestamp, '1 day') AS day
         CROSS JOIN LATERAL (
             SELECT day::date AS departs_on,
                    (day::date + s.departs_local) AT TIME ZONE o.zone AS departs_at,
                    (day::date + s.departs_local) AT TIME ZONE o.zone
                        + make_interval(mins => s.block_minutes::int) AS arrives_at
         ) t
         WHERE s.active AND position(extract(isodow FROM day)::int::text IN s.days) > 0
         ON CONFLICT (carrier, number, departs_on, origin) DO NOTHING",
    )
    .bind(from)
    .bind(until)
    .execute(&mut *tx)
    .await
    .map_err(DomainError::doing("seeding flights"))?;
    // Fares: 12 % up on Friday, Saturday and Sunday, 35 % up from 18 December to 5 January, and up to 9 % up or down
    // by an arithmetic that looks like chance and is the same for everybody.
    sqlx::query(
        "INSERT INTO cabin_inventory (flight_id, cabin, capacity, fare, currency)
         SELECT f.flight_id, c.cabin, c.capacity,
                round(c.fare * (100
                    + CASE WHEN extract(isodow FROM f.departs_on) >= 5 THEN 12 ELSE 0 END
                    + CASE WHEN to_char(f.departs_on, 'MMDD') >= '1218' OR to_char(f.departs_on, 'MMDD') <= '0105'
                           THEN 35 ELSE 0 END
                    + ((f.departs_on - DATE '2020-01-01') * 37 + f.number * 101) % 19 - 9) / 100, 0),
                c.currency
         FROM flight f JOIN schedule_cabin c USING (schedule_id)
         WHERE f.departs_on BETWEEN $1 AND $2
         ON CONFLICT (flight_id, cabin) DO NOTHING",
    )
    .bind(from)
    .bind(until)
    .execute(&mut *tx)
    .await
    .map_err(DomainError::doing("seeding seats"))?;
    // Without statistics the first searches would read whole tables.
    sqlx::raw_sql("ANALYZE flight, cabin_inventory")
        .execute(&mut *tx)
        .await
        .map_err(DomainError::doing("counting flights"))?;
    tx.commit().await.map_err(DomainError::doing("seeding flights"))
}
