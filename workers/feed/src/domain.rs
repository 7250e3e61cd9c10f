//! The domain as the `worker` program runs it.

use contract::{command::Route, feed::NotifyUser};
use sqlx::migrate::Migrator;
use worker_runtime::Domain;

use crate::{handlers::Feed, http};

/// The database of this domain.
pub const DATABASE: &str = "sojourn_feed";

/// Makes the domain's tables.
pub static MIGRATOR: Migrator = sqlx::migrate!("../../migrations/feed");

/// The feed domain: its command and its reads.
#[must_use]
pub fn domain() -> Domain {
    Domain::new(Route::Feed, &MIGRATOR)
        .action::<NotifyUser>(Feed)
        .http(|resources| http::router(resources.pool.clone()))
}
