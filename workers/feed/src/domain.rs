//! The domain as the `worker` program runs it.

use chrono::TimeDelta;
use contract::command::Route;
use sqlx::migrate::Migrator;
use worker_runtime::{Domain, Retention};

use crate::{commands::Feed, events, reads::notices};

/// The database of this domain.
pub const DATABASE: &str = "sojourn_feed";

/// Makes the domain's tables.
pub static MIGRATOR: Migrator = sqlx::migrate!("../../migrations/feed");

/// Notices are news, which are read within days: a year is long enough for a person who looks back, and keeps the table
/// from growing for ever. One statement removes few enough to keep no new notice waiting.
const OLD_NOTICES: Retention = Retention {
    rows: "old notices",
    kept_for: TimeDelta::days(365),
    batch_rows_max: 5_000,
    delete: "DELETE FROM notice WHERE notice_id IN (
                 SELECT notice_id FROM notice WHERE created_at < $1 ORDER BY created_at LIMIT $2
             )",
};

/// The feed domain.
#[must_use]
pub fn domain() -> Domain {
    events::subscribe(Feed.register(Domain::new(Route::Feed, &MIGRATOR)))
        .keep(OLD_NOTICES)
        .http(|resources| notices::router(resources.pool.clone()))
}
