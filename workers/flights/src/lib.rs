//! The flights domain: it sells flights and holds seats.
//!
//! ```text
//!  search --> offer (30 min, price guaranteed) --> hold (20 min) --> confirm: booking and tickets
//!                                                    |  '--> release (compensation)
//!                                                    '-----> expired by the sweeper
//! ```
//!
//! Seats are counters in `cabin_inventory`, whose own constraints refuse what would oversell (invariant S21).

mod commands;
mod jobs;
mod reads;
mod seed;
mod settings;

use contract::command::Route;
use sqlx::migrate::Migrator;
use worker_runtime::{Domain, OfferReads, Resources};

pub use commands::Flights;
pub use jobs::{expire_due, next_expiry, run_sweeper};
pub use reads::{SearchError, find_offer, router, search};
pub use seed::seed;
pub use settings::Settings;

/// The domain's tables.
pub static MIGRATOR: Migrator = sqlx::migrate!("../../migrations/flights");

/// The domain as the `worker` program runs it: commands, reads and the sweeper of expired holds. With `demonstration`,
/// flights are put on sale at every start and on every new day.
#[must_use]
pub fn domain(settings: &Settings, demonstration: bool) -> Domain {
    let Settings { flights_offer_minutes: offer_for, flights_hold_minutes: hold_for } = *settings;
    let flights = Flights { hold_for };
    let domain = flights
        .register(Domain::new(Route::Flights, &MIGRATOR))
        .http(move |resources: &Resources| router(OfferReads::new(resources, offer_for)))
        .background(move |Resources { pool, clock, token, .. }| async move {
            run_sweeper(&pool, clock.as_ref(), hold_for.duration(), token).await;
        });
    if demonstration {
        domain.demonstration("flights", |pool, today| async move { seed(&pool, today).await })
    } else {
        domain
    }
}
