//! The commands that sagas send to this domain, a file each.

mod notify_user;

use contract::feed::NotifyUser;
use worker_runtime::Domain;

/// Carries out the domain's commands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Feed;

impl Feed {
    /// Gives the domain its commands.
    pub(crate) fn register(self, domain: Domain) -> Domain {
        domain.action::<NotifyUser>(self)
    }
}
