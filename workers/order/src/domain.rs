//! The order domain as the `worker` program runs it: its commands, its reads, its tables.

use contract::command::Route;
use sqlx::migrate::Migrator;
use worker_runtime::Domain;

use crate::{commands::Orders, past_orders::PAST_ORDERS, reads};

/// The database of this domain.
pub const DATABASE: &str = "sojourn_order";

/// Makes the domain's tables.
pub static MIGRATOR: Migrator = sqlx::migrate!("../../migrations/order");

/// The order domain: its commands and its reads.
#[must_use]
pub fn domain() -> Domain {
    Orders
        .register(Domain::new(Route::Order, &MIGRATOR))
        .http(|resources| reads::router(resources.pool.clone()))
        .keep(PAST_ORDERS)
}
