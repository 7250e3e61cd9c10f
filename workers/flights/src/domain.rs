//! The flights domain as the `worker` program runs it: its commands, its reads, its jobs, its tables.

use contract::command::Route;
use sqlx::migrate::Migrator;
use worker_runtime::{Domain, OfferKeys, OfferReads, Resources};

use crate::{
    commands::Flights,
    jobs::past_flights::{BOOKED_FLIGHTS, PAST_FLIGHTS},
    reads::router,
    seed::seed,
    settings::Settings,
};

/// The domain's tables.
pub static MIGRATOR: Migrator = sqlx::migrate!("../../migrations/flights");

/// The flights domain: commands, reads and the sweeper of expired holds. Its offers are sealed with `offer_keys`. With
/// `demonstration`, flights are put on sale at every start and on every new day.
#[must_use]
pub fn domain(settings: &Settings, offer_keys: OfferKeys, demonstration: bool) -> Domain {
    let Settings { flights_offer_minutes: offer_for, flights_hold_minutes: hold_for } = *settings;
    let domain = Flights { hold_for, offer_keys: offer_keys.clone() }
        .register(Domain::new(Route::Flights, &MIGRATOR))
        .http(move |resources: &Resources| router(OfferReads::new(resources, offer_for, offer_keys.clone())))
        .holds::<Flights>(hold_for)
        .keep(PAST_FLIGHTS)
        .keep(BOOKED_FLIGHTS);
    if demonstration {
        domain.demonstration("flights", |pool, today| async move { seed(&pool, today).await })
    } else {
        domain
    }
}
