//! The accommodation domain as the `worker` program runs it: its commands, its reads, its jobs, its tables.

use contract::command::Route;
use sqlx::migrate::Migrator;
use worker_runtime::{Domain, OfferKeys, OfferReads, Resources};

use crate::{
    commands::Accommodation,
    jobs::{past_nights::PAST_NIGHTS, past_stays::PAST_STAYS},
    reads::router,
    seed::seed,
    settings::Settings,
};

/// The domain's tables.
pub static MIGRATOR: Migrator = sqlx::migrate!("../../migrations/accommodation");

/// The accommodation domain: commands, reads and the sweeper of expired holds. Its offers are sealed with `offer_keys`.
/// With `demonstration`, stays are put on sale at every start and on every new day.
#[must_use]
pub fn domain(settings: &Settings, offer_keys: OfferKeys, demonstration: bool) -> Domain {
    let Settings { accommodation_offer_minutes: offer_for, accommodation_hold_minutes: hold_for } = *settings;
    let domain = Accommodation { hold_for, offer_keys: offer_keys.clone() }
        .register(Domain::new(Route::Accommodation, &MIGRATOR))
        .http(move |resources: &Resources| router(OfferReads::new(resources, offer_for, offer_keys.clone())))
        .holds::<Accommodation>(hold_for)
        .keep(PAST_NIGHTS)
        .keep(PAST_STAYS);
    if demonstration {
        domain.demonstration("stays", |pool, today| async move { seed(&pool, today).await })
    } else {
        domain
    }
}
