//! The proof that every open saga has a reason to move: a due wake-up, a command under way or held, a person or an input
//! that it waits for, a child under way, a pause, or quarantine.
//!
//! The lane compares the journal's open sagas with what it holds itself, a page at a time, after so many records: a system
//! that rests pays nothing, and a busy one some thousandths. An orphan is loaded as after a takeover, which sends what must
//! be under way and sets its timer.

use std::collections::HashSet;

use contract::{SagaId, saga::SagaStatus};
use journal::{LaneJournal, OpenSaga};

use super::{after_commit::Command, loading::Loaded, lost::Lost, orphan_search::PAGE_SAGAS_MAX, sagas::Sagas};
use crate::names;

impl Sagas {
    /// Looks for orphans in the next page when it is due, and takes them up again; answers the commands to publish for
    /// them.
    pub(super) async fn repair_orphans(&mut self, journal: &mut dyn LaneJournal) -> Result<Vec<Command>, Lost> {
        if !self.recovery.is_done() || !self.orphan_search.is_due() {
            return Ok(Vec::new());
        }
        let page = journal.open_sagas(self.orphan_search.after(), PAGE_SAGAS_MAX).await.map_err(Lost::Journal)?;
        self.orphan_search.compared(&page);
        let on_their_way = &self.flow.sagas() | &self.pauses.sagas();
        let orphans = page.iter().filter(|saga| self.is_orphan(saga, &on_their_way));
        let orphans: Vec<_> = orphans.map(|saga| saga.saga_id).collect();
        self.orphan_search.add(orphans.len() as u64);
        for id in &orphans {
            tracing::error!(saga_id = %id, shard = self.shard, "an open saga had no reason to move; it is loaded again");
            metrics::counter!(names::ORPHANS).increment(1);
            self.memory.take(*id);
            self.recovery.doubt(*id);
        }
        let mut loaded = Loaded::default();
        self.load(&orphans, journal, &mut loaded).await?;
        Ok(loaded.commands)
    }

    fn is_orphan(&self, saga: &OpenSaga, on_their_way: &HashSet<SagaId>) -> bool {
        let id = saga.saga_id;
        if self.memory.parked(id).is_some() || self.quarantine.holds(id) || self.carried.has(id) {
            return false;
        }
        let loaded = self.memory.get(id);
        let is_on_its_way = on_their_way.contains(&id);
        if loaded.is_some_and(|saga| saga.is_busy()) {
            // Its deadline alone is not enough: it awaits a reply to what was never sent.
            return !is_on_its_way;
        }
        let waits_for_input = saga.asleep && saga.wake_at.is_none();
        let waits_for_person =
            loaded.is_some_and(|saga| saga.state.status == SagaStatus::NeedsAttention || saga.state.pause.is_some());
        let waits_for_child = loaded.is_some_and(|saga| self.waits_for_child(saga));
        !(is_on_its_way || waits_for_child || self.timers.due(id).is_some() || waits_for_input || waits_for_person)
    }
}
