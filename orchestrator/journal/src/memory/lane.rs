//! The session that owns a shard, in memory.

use std::{
    collections::HashSet,
    sync::{Arc, MutexGuard},
};

use async_trait::async_trait;
use chrono::{DateTime, SubsecRound, Utc};
use contract::{SagaId, orchestrator_api::Pause, saga::SagaStatus};
use machine::Entry;
use tokio_util::sync::CancellationToken;

use super::storage::{Storage, Tables};
use crate::port::{
    Append, Appended, GivenUp, JournalError, LaneJournal, OpenSaga, Quarantined, Record, Sleeper, Stored,
};

/// A session that owns a shard.
#[derive(Debug)]
pub(super) struct MemoryLane {
    pub(super) storage: Arc<Storage>,
    pub(super) shard: u16,
    pub(super) session: CancellationToken,
}

impl MemoryLane {
    /// The tables, as long as the shard is owned: taking it away needs the same lock.
    fn owned_tables(&self) -> Result<MutexGuard<'_, Tables>, JournalError> {
        let tables = self.storage.tables();
        if self.session.is_cancelled() {
            return Err(JournalError::OwnershipLost { shard: self.shard });
        }
        Ok(tables)
    }
}

impl Drop for MemoryLane {
    fn drop(&mut self) {
        let mut tables = self.storage.tables();
        if !self.session.is_cancelled() {
            self.session.cancel();
            tables.owners.remove(&self.shard);
        }
    }
}

#[async_trait]
impl LaneJournal for MemoryLane {
    fn shard(&self) -> u16 {
        self.shard
    }

    async fn append(&mut self, batch: Vec<Append>) -> Result<Vec<Appended>, JournalError> {
        let mut tables = self.owned_tables()?;
        let mut seen = HashSet::new();
        let answers = batch
            .into_iter()
            .map(|append| if seen.insert(append.saga_id) { tables.append(append) } else { Appended::SeqTaken });
        Ok(answers.collect())
    }

    async fn load(&mut self, ids: &[SagaId]) -> Result<Vec<Result<Stored, JournalError>>, JournalError> {
        let tables = self.owned_tables()?;
        let ids: std::collections::BTreeSet<_> = ids.iter().collect();
        Ok(ids.into_iter().filter_map(|id| tables.sagas.get(id).cloned().map(Ok)).collect())
    }

    async fn awake(&mut self) -> Result<Vec<SagaId>, JournalError> {
        let tables = self.owned_tables()?;
        let rows = tables.sagas.values().map(|stored| &stored.row);
        let open = rows.filter(|row| row.shard == self.shard && !row.status.is_final());
        Ok(open.map(|row| row.id).filter(|id| !tables.sleeping.contains_key(id)).collect())
    }

    async fn sleepers(&mut self) -> Result<Vec<Sleeper>, JournalError> {
        let tables = self.owned_tables()?;
        let sleepers = tables.sleeping.iter().filter_map(|(saga_id, wake_at)| {
            let row = &tables.sagas.get(saga_id)?.row;
            (row.shard == self.shard).then_some(Sleeper { saga_id: *saga_id, status: row.status, wake_at: *wake_at })
        });
        Ok(sleepers.collect())
    }

    async fn open_sagas(&mut self, after: Option<SagaId>, limit: u32) -> Result<Vec<OpenSaga>, JournalError> {
        let tables = self.owned_tables()?;
        let rows = tables.sagas.values().map(|stored| &stored.row);
        let open = rows.filter(|row| row.shard == self.shard && !row.status.is_final() && Some(row.id) > after);
        let page = open.take(limit as usize).map(|row| {
            let sleep = tables.sleeping.get(&row.id);
            OpenSaga { saga_id: row.id, asleep: sleep.is_some(), wake_at: sleep.copied().flatten() }
        });
        Ok(page.collect())
    }

    async fn in_quarantine(&mut self) -> Result<Vec<SagaId>, JournalError> {
        let tables = self.owned_tables()?;
        let all = tables.quarantine.keys().copied();
        Ok(all.filter(|id| id.shard(self.storage.shards) == self.shard).collect())
    }

    async fn pauses(&mut self) -> Result<Vec<Pause>, JournalError> {
        Ok(self.owned_tables()?.pauses.values().cloned().collect())
    }

    async fn paused(&mut self) -> Result<Vec<SagaId>, JournalError> {
        let tables = self.owned_tables()?;
        let rows = tables.sagas.values().map(|stored| &stored.row);
        Ok(rows.filter(|row| row.paused && row.shard == self.shard).map(|row| row.id).collect())
    }

    async fn quarantine(&mut self, sagas: &[Quarantined]) -> Result<(), JournalError> {
        let mut tables = self.owned_tables()?;
        for saga in sagas {
            let since = tables.quarantine.get(&saga.saga_id).map_or(saga.since.trunc_subsecs(6), |known| known.since);
            tables.quarantine.insert(saga.saga_id, Quarantined { since, ..saga.clone() });
        }
        Ok(())
    }

    async fn abandon(
        &mut self,
        saga: SagaId,
        at: DateTime<Utc>,
        entries: Vec<Entry>,
    ) -> Result<Option<GivenUp>, JournalError> {
        let mut tables = self.owned_tables()?;
        tables.quarantine.remove(&saga);
        let Some(stored) = tables.sagas.get_mut(&saga) else { return Ok(None) };
        let parent = stored.row.parent;
        if stored.row.status.is_final() {
            return Ok(Some(GivenUp { parent }));
        }
        let at = at.trunc_subsecs(6);
        stored.records.push(Record { seq: stored.records.len() as u64 + 1, at, entries });
        stored.row.status = SagaStatus::Abandoned;
        stored.row.paused = false;
        stored.row.updated_at = at;
        stored.row.finished_at = Some(at);
        tables.sleeping.retain(|id, _| *id != saga && Some(*id) != parent);
        tables.held.remove(&saga);
        Ok(Some(GivenUp { parent }))
    }

    async fn given_up(&mut self, saga: SagaId) -> Result<Option<GivenUp>, JournalError> {
        let tables = self.owned_tables()?;
        let row = tables.sagas.get(&saga).map(|stored| &stored.row);
        let row = row.filter(|row| row.status == SagaStatus::Abandoned);
        Ok(row.map(|row| GivenUp { parent: row.parent }))
    }

    async fn end_quarantine(&mut self, sagas: &[SagaId]) -> Result<(), JournalError> {
        self.owned_tables()?.quarantine.retain(|id, _| !sagas.contains(id));
        Ok(())
    }

    async fn lost(&mut self) {
        self.session.cancelled().await;
    }

    async fn release(self: Box<Self>) -> Result<(), JournalError> {
        Ok(())
    }
}
