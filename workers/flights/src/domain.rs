//! The domain as the `worker` program runs it.

use std::time::Duration;

use contract::{
    command::Route,
    flights::{ConfirmSeats, HoldSeats, ReleaseSeats, SeatsReleased},
};
use kit::settings::error_chain;
use sqlx::migrate::Migrator;
use worker_runtime::{Domain, Resources};

use crate::{
    http,
    seed::{keep_on_sale, seed},
    settings::Settings,
    sweeper,
};

/// The database of this domain.
pub const DATABASE: &str = "sojourn_flights";

/// Makes the domain's tables.
pub static MIGRATOR: Migrator = sqlx::migrate!("../../migrations/flights");

/// How long the demonstration may sell without the last day that a new day brings.
const NEW_DAY_SEEN_WITHIN: Duration = Duration::from_secs(3600);

/// Carries out the domain's commands.
#[derive(Debug, Clone)]
pub struct Flights {
    pub(crate) settings: Settings,
}

impl Flights {
    /// The handlers with the given settings.
    #[must_use]
    pub const fn new(settings: Settings) -> Self {
        Self { settings }
    }
}

/// The flights domain: commands, reads and the sweeper of expired holds. With `demonstration`, flights are put on
/// sale at every start and on every new day.
#[must_use]
pub fn domain(settings: &Settings, demonstration: bool) -> Domain {
    let handlers = Flights::new(settings.clone());
    let (reads, hold_for) = (settings.clone(), settings.hold_for());
    let domain = Domain::new(Route::Flights, &MIGRATOR)
        .action::<HoldSeats>(handlers.clone())
        .compensation::<ReleaseSeats>(handlers.clone(), |_| SeatsReleased {})
        .action::<ConfirmSeats>(handlers)
        .http(move |resources: &Resources| {
            let (pool, clock) = (resources.pool.clone(), resources.clock.clone());
            http::router(http::Reads { pool, clock, settings: reads })
        })
        .background(move |resources| async move {
            sweeper::run(resources.pool, resources.clock, hold_for, resources.token).await;
        });
    if demonstration { domain.setup(put_on_sale).background(keep_selling) } else { domain }
}

async fn put_on_sale(resources: Resources) {
    if let Err(error) = seed(&resources.pool, resources.clock.now().date_naive()).await {
        tracing::error!(error = error_chain(&error), "the demonstration's flights could not be put on sale");
    }
}

async fn keep_selling(resources: Resources) {
    let Resources { pool, clock, token, .. } = resources;
    let seeded_for = clock.now().date_naive();
    keep_on_sale(pool, clock, seeded_for, NEW_DAY_SEEN_WITHIN, token).await;
}
