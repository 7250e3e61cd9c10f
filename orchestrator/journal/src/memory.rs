//! The journal in memory: a real adapter with the same semantics, for simulation and for tests that need no server.
//!
//! Each value is one process; a clone is another process on the same storage. Nothing survives the last of them.

mod append;
mod approvals;
mod error_groups;
mod figures;
mod filter;
mod jobs;
mod kept_job;
mod lane;
mod members;
mod pauses;
mod retention;
mod storage;

use std::{
    cmp::Reverse,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use chrono::{DateTime, SubsecRound, Utc};
use contract::{
    SagaId,
    orchestrator_api::{AuditFact, AuditHead, AuditRecord, DeadLetterView, next_row},
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use self::{
    lane::MemoryLane,
    storage::{Owner, Storage},
};
use crate::{
    audit::AuditFilter,
    dead_letters,
    port::{
        Door, ErrorGroup, ErrorGroupsAsked, ExistingStart, Filter, Journal, JournalError, KeptDeadLetter, LaneJournal,
        Listed, Listing, Membership, NewDeadLetter, Order, Ownership, Place, Quarantined, Room, SagaRow, Stored,
    },
};

/// One process's view of a journal in memory.
#[derive(Debug)]
pub struct MemoryJournal {
    storage: Arc<Storage>,
    /// This process's key in [`Storage::members`].
    member: u64,
    membership: watch::Sender<Membership>,
}

impl MemoryJournal {
    /// An empty journal with this many shards.
    #[must_use]
    pub fn new(shards: u16) -> Self {
        let shards = shards.max(1);
        let storage = Storage {
            shards,
            queues: (0..shards).map(|_| Arc::default()).collect(),
            members: Mutex::default(),
            tables: Mutex::default(),
            jobs_changed: watch::Sender::default(),
            jobs_moved: watch::Sender::default(),
            pauses_changed: watch::Sender::default(),
        };
        Self::join(Arc::new(storage))
    }

    fn join(storage: Arc<Storage>) -> Self {
        let membership = watch::Sender::new(Membership { members: 1, place: 0, waited_for: Vec::new() });
        let mut members = storage.members();
        let member = members.by_number.last_key_value().map_or(0, |(last, _)| last + 1);
        members.by_number.insert(member, membership.clone());
        members.tell();
        drop(members);
        Self { storage, member, membership }
    }

    /// Takes the shard away from its owner, as the loss of a connection does: for tests and simulation.
    pub fn revoke(&self, shard: u16) {
        if let Some(owner) = self.storage.tables().owners.remove(&shard) {
            owner.session.cancel();
        }
    }
}

impl Clone for MemoryJournal {
    fn clone(&self) -> Self {
        Self::join(Arc::clone(&self.storage))
    }
}

impl Drop for MemoryJournal {
    fn drop(&mut self) {
        let mut members = self.storage.members();
        members.by_number.remove(&self.member);
        members.tell();
    }
}

/// A wait for a shard, for as long as it lasts.
struct Wait<'a> {
    storage: &'a Storage,
    shard: u16,
}

impl<'a> Wait<'a> {
    fn begin(storage: &'a Storage, shard: u16) -> Self {
        let mut members = storage.members();
        *members.waiting.entry(shard).or_default() += 1;
        members.tell();
        Self { storage, shard }
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        let mut members = self.storage.members();
        if let Some(waiting) = members.waiting.get_mut(&self.shard) {
            *waiting -= 1;
        }
        members.waiting.retain(|_, waiting| *waiting > 0);
        members.tell();
    }
}

#[async_trait]
impl Journal for MemoryJournal {
    fn shards(&self) -> u16 {
        self.storage.shards
    }

    async fn lane(&self, shard: u16) -> Result<Box<dyn LaneJournal>, JournalError> {
        let Some(queue) = self.storage.queues.get(usize::from(shard)) else {
            return Err(JournalError::OwnershipLost { shard });
        };
        let place = match Arc::clone(queue).try_lock_owned() {
            Ok(place) => place,
            Err(_) => {
                let _wait = Wait::begin(&self.storage, shard);
                Arc::clone(queue).lock_owned().await
            }
        };
        let session = CancellationToken::new();
        let owner = Owner { session: session.clone(), _place: place };
        let mut tables = self.storage.tables();
        *tables.epochs.entry(shard).or_default() += 1;
        tables.owners.insert(shard, owner);
        drop(tables);
        Ok(Box::new(MemoryLane { storage: Arc::clone(&self.storage), shard, session }))
    }

    fn membership(&self) -> watch::Receiver<Membership> {
        self.membership.subscribe()
    }

    async fn ownership(&self, shard: u16) -> Result<Option<Ownership>, JournalError> {
        Ok(self.storage.tables().epochs.get(&shard).map(|epoch| Ownership { shard, epoch: *epoch }))
    }

    async fn evict(&self, ownership: Ownership) -> Result<bool, JournalError> {
        let mut tables = self.storage.tables();
        if tables.epochs.get(&ownership.shard) != Some(&ownership.epoch) {
            return Ok(false);
        }
        let evicted = tables.owners.remove(&ownership.shard);
        Ok(evicted.inspect(|owner| owner.session.cancel()).is_some())
    }

    async fn read(&self, _door: Door, id: SagaId, after: u64) -> Result<Option<Stored>, JournalError> {
        let mut found = self.storage.tables().sagas.get(&id).cloned();
        if let Some(stored) = &mut found {
            stored.records.retain(|record| record.seq > after);
        }
        Ok(found)
    }

    async fn list(&self, filter: &Filter, limit: u32) -> Result<Listing, JournalError> {
        let tables = self.storage.tables();
        let mut found: Vec<_> = tables.matching(filter).rev().collect();
        match filter.order {
            Order::Newest => {}
            Order::Oldest => found.reverse(),
            Order::Ended => found.sort_by_key(|(place, row)| Reverse((place.finished_at, row.id))),
            Order::HoldsUntil => found.sort_by_key(|(place, row)| (place.holds_until, row.id)),
        }
        let more = found.len() > limit as usize;
        found.truncate(limit as usize);
        let next = found.last().filter(|_| more).map(|(place, _)| *place);
        let listed = |(place, row): (Place, &SagaRow)| Listed { row: row.clone(), holds_until: place.holds_until };
        Ok(Listing { sagas: found.into_iter().map(listed).collect(), next })
    }

    async fn error_groups(&self, asked: &ErrorGroupsAsked) -> Result<Vec<ErrorGroup>, JournalError> {
        Ok(error_groups::of(self.storage.tables().failures(), asked))
    }

    async fn find_start(&self, name: &str, key: &str) -> Result<Option<ExistingStart>, JournalError> {
        Ok(self.storage.tables().starts.get(&(name.to_owned(), key.to_owned())).cloned())
    }

    async fn claim_key(&self, name: &str, key: &str, claim: &ExistingStart) -> Result<ExistingStart, JournalError> {
        let mut tables = self.storage.tables();
        Ok(tables.starts.entry((name.to_owned(), key.to_owned())).or_insert_with(|| claim.clone()).clone())
    }

    async fn quarantined(&self, after: Option<SagaId>, limit: u32) -> Result<Vec<Quarantined>, JournalError> {
        let tables = self.storage.tables();
        let later = tables.quarantine.values().filter(|saga| Some(saga.saga_id) > after);
        Ok(later.take(limit as usize).cloned().collect())
    }

    async fn quarantine_of(&self, id: SagaId) -> Result<Option<Quarantined>, JournalError> {
        Ok(self.storage.tables().quarantine.get(&id).cloned())
    }

    async fn keep_dead_letter(&self, letter: &NewDeadLetter) -> Result<(), JournalError> {
        let letter = dead_letters::fit(letter);
        let mut tables = self.storage.tables();
        if tables.letter_keys.insert((letter.message_id.clone(), letter.queue.clone())) {
            let id = tables.letters.last_key_value().map_or(1, |(last, _)| last + 1);
            tables.letters.insert(id, dead_letters::kept(id, None, letter));
        }
        Ok(())
    }

    async fn dead_letters(
        &self,
        _door: Door,
        saga: Option<SagaId>,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<DeadLetterView>, JournalError> {
        let tables = self.storage.tables();
        let views = tables.letters.values().rev().map(|kept| &kept.view);
        let views = views.filter(|view| before.is_none_or(|before| view.id < before));
        let wanted = views.filter(|view| saga.is_none() || view.saga_id == saga);
        Ok(wanted.take(limit as usize).cloned().collect())
    }

    async fn dead_letter(&self, id: i64) -> Result<Option<KeptDeadLetter>, JournalError> {
        Ok(self.storage.tables().letters.get(&id).cloned())
    }

    async fn mark_redriven(&self, id: i64, at: DateTime<Utc>) -> Result<(), JournalError> {
        if let Some(kept) = self.storage.tables().letters.get_mut(&id) {
            kept.view.redriven_at = Some(at.trunc_subsecs(6));
        }
        Ok(())
    }

    async fn audit(&self, fact: &AuditFact) -> Result<AuditRecord, JournalError> {
        let mut tables = self.storage.tables();
        let row = next_row(&tables.audit_head(), fact);
        tables.audit.push(row.clone());
        Ok(row)
    }

    async fn audit_head(&self) -> Result<AuditHead, JournalError> {
        Ok(self.storage.tables().audit_head())
    }

    async fn audit_from(&self, number: u64, limit: u32) -> Result<Vec<AuditRecord>, JournalError> {
        let tables = self.storage.tables();
        let rows = tables.audit.iter().filter(|row| row.number >= number);
        Ok(rows.take(limit as usize).cloned().collect())
    }

    async fn audit_list(
        &self,
        filter: &AuditFilter,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<AuditRecord>, JournalError> {
        let tables = self.storage.tables();
        let is = |wanted: &Option<String>, found: &String| wanted.as_ref().is_none_or(|wanted| wanted == found);
        let rows = tables.audit.iter().rev().filter(|row| before.is_none_or(|before| row.number < before));
        let rows = rows.filter(|AuditRecord { fact, .. }| {
            is(&filter.actor, &fact.actor) && is(&filter.target, &fact.target) && is(&filter.act, &fact.act)
        });
        Ok(rows.take(limit as usize).cloned().collect())
    }

    async fn prepare(&self, _now: DateTime<Utc>) -> Result<Room, JournalError> {
        Ok(Room::Enough)
    }

    async fn ping(&self) -> Result<(), JournalError> {
        Ok(())
    }
}
