//! The sagas of a lane that are left alone, as the journal is to hold them: for people, and for the shard's next owner.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use contract::SagaId;
use journal::{LaneJournal, Quarantined};

use super::lost::Lost;
use crate::saga_instance::Parked;

/// The sagas that the journal holds in quarantine, and the changes that it has not been told.
#[derive(Debug, Default)]
pub(super) struct Quarantine {
    held: HashSet<SagaId>,
    begun: HashMap<SagaId, Quarantined>,
    ended: HashSet<SagaId>,
}

impl Quarantine {
    /// The sagas that the journal held when the shard was taken over. Those that can be loaded go on by that.
    pub(super) fn hold(&mut self, sagas: Vec<SagaId>) {
        self.held.extend(sagas);
    }

    /// Whether a saga is left alone.
    pub(super) fn holds(&self, saga_id: SagaId) -> bool {
        self.held.contains(&saga_id)
    }

    /// A saga is left alone from now on.
    pub(super) fn begin(&mut self, saga_id: SagaId, parked: &Parked, since: DateTime<Utc>) {
        let (code, detail) = (parked.code().to_owned(), parked.to_string());
        self.held.insert(saga_id);
        self.ended.remove(&saga_id);
        self.begun.insert(saga_id, Quarantined { saga_id, code, detail, since });
    }

    /// A saga goes on; true when it was left alone before.
    pub(super) fn end(&mut self, saga_id: SagaId) -> bool {
        let was_held = self.held.remove(&saga_id);
        if was_held {
            self.begun.remove(&saga_id);
            self.ended.insert(saga_id);
        }
        was_held
    }

    /// Tells the journal what has changed.
    pub(super) async fn keep(&mut self, journal: &mut dyn LaneJournal) -> Result<(), Lost> {
        if !self.begun.is_empty() {
            let begun: Vec<_> = self.begun.drain().map(|(_, saga)| saga).collect();
            journal.quarantine(&begun).await.map_err(Lost::Journal)?;
        }
        if !self.ended.is_empty() {
            let ended: Vec<_> = self.ended.drain().collect();
            journal.end_quarantine(&ended).await.map_err(Lost::Journal)?;
        }
        Ok(())
    }
}
