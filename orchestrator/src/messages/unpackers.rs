//! The domains whose workers unpack parcels. Their replies say so; until then each command travels alone.

use std::sync::atomic::{AtomicU32, Ordering};

use contract::command::Route;

/// A set of domains that only grows.
#[derive(Debug, Default)]
pub(crate) struct Unpackers(AtomicU32);

impl Unpackers {
    /// A worker of this domain has said that it unpacks parcels.
    pub(crate) fn note(&self, route: Route) {
        // Looked at first, because every reply says so, and all lanes share the word.
        if !self.has(route) {
            self.0.fetch_or(bit(route), Ordering::Relaxed);
        }
    }

    /// Whether commands may go to this domain several in one message.
    pub(crate) fn has(&self, route: Route) -> bool {
        self.0.load(Ordering::Relaxed) & bit(route) != 0
    }
}

const fn bit(route: Route) -> u32 {
    1 << route as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_unpacks_once_it_has_said_so() {
        let unpackers = Unpackers::default();
        assert!(Route::ALL.into_iter().all(|route| !unpackers.has(route)));
        unpackers.note(Route::Flights);
        let known: Vec<Route> = Route::ALL.into_iter().filter(|route| unpackers.has(*route)).collect();
        assert_eq!(known, [Route::Flights]);
    }
}
