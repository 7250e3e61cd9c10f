//! The accommodation domain: it sells stays and holds rooms and villas by the night.
//!
//! ```text
//!  search --> offer (30 min, price guaranteed) --> hold (20 min) --> confirm: booking, and a villa where villas
//!                                                    |  |             have names
//!                                                    |  '--> release (compensation)
//!                                                    '-----> expired by the sweeper
//! ```
//!
//! Rooms are counters in `room_night`, whose own constraints refuse what would oversell (invariant S21).

mod commands;
mod jobs;
mod reads;
mod seed;
mod settings;

use contract::command::Route;
use sqlx::migrate::Migrator;
use worker_runtime::{Domain, OfferReads, Resources};

pub use commands::Accommodation;
pub use jobs::{expire_due, next_expiry, run_sweeper};
pub use reads::{SearchError, find_offer, router, search};
pub use seed::seed;
pub use settings::Settings;

/// The domain's tables.
pub static MIGRATOR: Migrator = sqlx::migrate!("../../migrations/accommodation");

/// The domain as the `worker` program runs it: commands, reads and the sweeper of expired holds. With `demonstration`,
/// stays are put on sale at every start and on every new day.
#[must_use]
pub fn domain(settings: &Settings, demonstration: bool) -> Domain {
    let Settings { accommodation_offer_minutes: offer_for, accommodation_hold_minutes: hold_for } = *settings;
    let accommodation = Accommodation { hold_for };
    let domain = accommodation
        .register(Domain::new(Route::Accommodation, &MIGRATOR))
        .http(move |resources: &Resources| router(OfferReads::new(resources, offer_for)))
        .background(move |Resources { pool, clock, token, .. }| async move {
            run_sweeper(&pool, clock.as_ref(), hold_for.duration(), token).await;
        });
    if demonstration {
        domain.demonstration("stays", |pool, today| async move { seed(&pool, today).await })
    } else {
        domain
    }
}
