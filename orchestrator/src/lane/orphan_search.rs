//! The place of a lane's search for orphans among the open sagas of its shard, and when it goes on.

use contract::SagaId;
use journal::OpenSaga;

/// Records between two pages: some thirty sagas' worth, so that a page of two milliseconds is lost among their commits.
const RECORDS_PER_PAGE: u32 = 256;

/// Open sagas that are compared at a time.
pub(super) const PAGE_SAGAS_MAX: u32 = 500;

/// The place of the search among the open sagas of the shard.
#[derive(Debug)]
pub(super) struct OrphanSearch {
    /// The last saga that was compared; none at the begin of a round.
    after: Option<SagaId>,
    /// Records since the last page.
    records: u32,
    /// The orphans that were found.
    found: u64,
    stopped: bool,
}

impl Default for OrphanSearch {
    /// The first page is due at once: a takeover is the time when something may have been missed.
    fn default() -> Self {
        Self { after: None, records: RECORDS_PER_PAGE, found: 0, stopped: false }
    }
}

impl OrphanSearch {
    /// A record was committed.
    pub(super) const fn committed(&mut self) {
        self.records = self.records.saturating_add(1);
    }

    /// No further page is compared: a lane that ends has loaded no more than it had to.
    pub(super) const fn stop(&mut self) {
        self.stopped = true;
    }

    /// True when a page is to be compared.
    pub(super) const fn is_due(&self) -> bool {
        !self.stopped && self.records >= RECORDS_PER_PAGE
    }

    /// The last saga of the page before.
    pub(super) const fn after(&self) -> Option<SagaId> {
        self.after
    }

    /// Orphans were found.
    pub(super) const fn add(&mut self, orphans: u64) {
        self.found += orphans;
    }

    /// The number of orphans that were found since the lane began.
    pub(super) const fn found(&self) -> u64 {
        self.found
    }

    /// Goes on behind a page, or begins anew after the last one.
    pub(super) fn compared(&mut self, page: &[OpenSaga]) {
        self.records = 0;
        let is_full = page.len() >= PAGE_SAGAS_MAX as usize;
        self.after = page.last().filter(|_| is_full).map(|saga| saga.saga_id);
    }
}
