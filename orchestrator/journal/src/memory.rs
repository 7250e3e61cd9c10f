//! The journal in memory: a real adapter with the same semantics, for simulation and for tests that need no server.
//!
//! Each value is one process; a clone is another process on the same storage. Nothing survives the last of them.

mod append;
mod error_groups;
mod filter;
mod jobs;
mod kept_job;
mod pauses;
mod retention;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use chrono::{DateTime, SubsecRound, Utc};
use contract::{
    JobId, SagaId,
    orchestrator_api::{AUDIT_HASH_NONE, AuditFact, AuditHead, AuditRecord, DeadLetterView, Pause, StartKey, next_row},
    saga::SagaStatus,
};
use machine::Entry;
use tokio::sync::{OwnedMutexGuard, watch};
use tokio_util::sync::CancellationToken;

use self::{error_groups::Failure, filter::matches, kept_job::KeptJob};
use crate::{
    audit::AuditFilter,
    dead_letters,
    port::{
        Append, Appended, Change, Door, ErrorGroup, ErrorGroupKey, ErrorGroupsAsked, ExistingStart, Filter, Journal,
        JournalError, KeptDeadLetter, LaneJournal, Listed, Listing, Membership, NewDeadLetter, OpenSaga, Order,
        Ownership, Place, Quarantined, Record, Room, SagaRow, Sleeper, Stored, TakenOver,
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

#[derive(Debug)]
struct Storage {
    shards: u16,
    /// The queue of each shard: fair, so that a shard that is given away goes to who waited longest.
    queues: Vec<Arc<tokio::sync::Mutex<()>>>,
    members: Mutex<Members>,
    tables: Mutex<Tables>,
    jobs_changed: watch::Sender<u64>,
    pauses_changed: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Members {
    /// Those who take part, in the order in which they came.
    by_number: BTreeMap<u64, watch::Sender<Membership>>,
    /// How many wait for each shard that is waited for.
    waiting: BTreeMap<u16, usize>,
}

#[derive(Debug, Default)]
struct Tables {
    sagas: BTreeMap<SagaId, Stored>,
    /// Since when the sagas with an error have it.
    failed_at: BTreeMap<SagaId, DateTime<Utc>>,
    starts: HashMap<(String, String), ExistingStart>,
    letters: BTreeMap<i64, KeptDeadLetter>,
    /// The sagas that sleep, and when they wake.
    sleeping: BTreeMap<SagaId, Option<DateTime<Utc>>>,
    /// Until when sagas hold something, as their last records say.
    held: BTreeMap<SagaId, DateTime<Utc>>,
    quarantine: BTreeMap<SagaId, Quarantined>,
    letter_keys: HashSet<(String, String)>,
    audit: Vec<AuditRecord>,
    jobs: BTreeMap<JobId, KeptJob>,
    pauses: BTreeMap<String, Pause>,
    owners: HashMap<u16, Owner>,
    epochs: HashMap<u16, i64>,
}

#[derive(Debug)]
struct Owner {
    session: CancellationToken,
    /// Held for as long as the shard is owned.
    _place: OwnedMutexGuard<()>,
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

impl Members {
    /// Tells every member how many there are, where it stands, and what is waited for.
    fn tell(&self) {
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

impl Storage {
    fn tables(&self) -> MutexGuard<'_, Tables> {
        // Nothing below panics between two changes that belong together.
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn members(&self) -> MutexGuard<'_, Members> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
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

/// A session that owns a shard.
#[derive(Debug)]
struct MemoryLane {
    storage: Arc<Storage>,
    shard: u16,
    session: CancellationToken,
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

    async fn abandon(&mut self, saga: SagaId, at: DateTime<Utc>, entries: Vec<Entry>) -> Result<bool, JournalError> {
        let mut tables = self.owned_tables()?;
        tables.quarantine.remove(&saga);
        let Some(stored) = tables.sagas.get_mut(&saga).filter(|stored| !stored.row.status.is_final()) else {
            return Ok(false);
        };
        let at = at.trunc_subsecs(6);
        stored.records.push(Record { seq: stored.records.len() as u64 + 1, at, entries });
        stored.row.status = SagaStatus::Abandoned;
        stored.row.paused = false;
        stored.row.updated_at = at;
        stored.row.finished_at = Some(at);
        tables.sleeping.remove(&saga);
        tables.held.remove(&saga);
        Ok(true)
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

impl Tables {
    /// The rows that a filter lets through, by id.
    fn matching<'t>(&'t self, filter: &Filter) -> impl DoubleEndedIterator<Item = (Place, &'t SagaRow)> {
        let rows = self.sagas.values().map(|stored| &stored.row);
        let places = rows.map(|row| (Place { id: row.id, holds_until: self.held.get(&row.id).copied() }, row));
        places.filter(move |(place, row)| matches(filter, row, *place))
    }

    fn audit_head(&self) -> AuditHead {
        match self.audit.last() {
            Some(row) => AuditHead { number: row.number, hash: row.hash.clone() },
            None => AuditHead { number: 0, hash: AUDIT_HASH_NONE.to_owned() },
        }
    }

    fn write(&mut self, append: Append) -> Appended {
        let Append { saga_id, record, change, holds_until: _, sleep: _, family: _ } = append;
        let mut record = Record { at: record.at.trunc_subsecs(6), ..record };
        record.entries.shrink_to_fit();
        if self.sagas.get(&saga_id).map_or(0, |stored| stored.records.len() as u64) + 1 != record.seq {
            return self.key_of(&change).map_or(Appended::SeqTaken, |existing| Appended::KeyTaken(existing.clone()));
        }
        match change {
            Change::Started { row, key } => self.start(*row, key, record),
            Change::Row { status, error, taken_over_by, paused } => {
                let at = record.at;
                let Some(stored) = self.add(saga_id, record) else { return Appended::SeqTaken };
                let status_before = std::mem::replace(&mut stored.row.status, status);
                let paused_before = std::mem::replace(&mut stored.row.paused, paused);
                let failed_before = std::mem::replace(&mut stored.row.error, error);
                if status_before != status || failed_before != stored.row.error || paused_before != paused {
                    stored.row.updated_at = at;
                }
                if let Some(TakenOver { version, fingerprint }) = taken_over_by {
                    (stored.row.version, stored.row.fingerprint) = (version, fingerprint);
                }
                stored.row.finished_at = status.is_final().then_some(at);
                if stored.row.error.is_none() {
                    self.failed_at.remove(&saga_id);
                } else if stored.row.error != failed_before {
                    self.failed_at.insert(saga_id, at);
                }
                Appended::Committed
            }
            Change::None => match self.add(saga_id, record) {
                Some(_) => Appended::Committed,
                None => Appended::SeqTaken,
            },
        }
    }

    fn start(&mut self, row: SagaRow, key: Option<StartKey>, record: Record) -> Appended {
        if let Some(StartKey { key, fingerprint }) = key {
            let slot = (row.name.clone(), key);
            if let Some(existing) = self.starts.get(&slot) {
                return Appended::KeyTaken(existing.clone());
            }
            let start = ExistingStart { saga_id: row.id, business_key: row.business_key.clone(), fingerprint };
            self.starts.insert(slot, start);
        }
        let row = SagaRow {
            created_at: row.created_at.trunc_subsecs(6),
            updated_at: row.updated_at.trunc_subsecs(6),
            finished_at: row.finished_at.map(|at| at.trunc_subsecs(6)),
            ..row
        };
        if row.error.is_some() {
            self.failed_at.insert(row.id, row.updated_at);
        }
        self.sagas.insert(row.id, Stored { row, records: vec![record] });
        Appended::Committed
    }

    fn failures(&self) -> impl Iterator<Item = Failure> {
        self.sagas.values().filter_map(|Stored { row, .. }| {
            let key = ErrorGroupKey { name: row.name.clone(), error: row.error.clone()? };
            Some(Failure { key, at: *self.failed_at.get(&row.id)?, status: row.status })
        })
    }

    fn add(&mut self, saga_id: SagaId, record: Record) -> Option<&mut Stored> {
        let stored = self.sagas.get_mut(&saga_id)?;
        stored.records.push(record);
        Some(stored)
    }

    fn key_of(&self, change: &Change) -> Option<&ExistingStart> {
        match change {
            Change::Started { row, key: Some(key) } => self.starts.get(&(row.name.clone(), key.key.clone())),
            Change::Started { key: None, .. } | Change::Row { .. } | Change::None => None,
        }
    }
}
