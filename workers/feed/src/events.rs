//! The events of other domains that this one has subscribed to, a file each.

mod user_created;

use contract::user::UserCreated;
use worker_runtime::Domain;

use self::user_created::Welcome;

/// Gives the domain its subscriptions.
pub(crate) fn subscribe(domain: Domain) -> Domain {
    domain.on::<UserCreated>(Welcome)
}
