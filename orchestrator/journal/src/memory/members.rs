//! The processes that take part in a journal in memory, and what they wait for.

use std::collections::BTreeMap;

use tokio::sync::watch;

use crate::membership::Membership;

#[derive(Debug, Default)]
pub(super) struct Members {
    /// Those who take part, in the order in which they came.
    pub(super) by_number: BTreeMap<u64, watch::Sender<Membership>>,
    /// How many wait for each shard that is waited for.
    pub(super) waiting: BTreeMap<u16, usize>,
}

impl Members {
    /// Tells every member how many there are, where it stands, and what is waited for.
    pub(super) fn tell(&self) {
        for (place, member) in self.by_number.values().enumerate() {
            let waited_for = self.waiting.keys().copied().collect();
            let told = Membership { members: self.by_number.len(), place, waited_for };
            member.send_if_modified(|known| {
                let differs = *known != told;
                *known = told;
                differs
            });
        }
    }
}
