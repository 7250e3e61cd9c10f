//! The tables and queues that the processes on one journal in memory share.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use chrono::{DateTime, SubsecRound, Utc};
use contract::{
    ApprovalId, JobId, SagaId,
    orchestrator_api::{AUDIT_HASH_NONE, Approval, AuditHead, AuditRecord, Pause, StartKey},
};
use tokio::sync::{OwnedMutexGuard, watch};
use tokio_util::sync::CancellationToken;

use super::{error_groups::Failure, filter::matches, kept_job::KeptJob, members::Members};
use crate::port::{
    Append, Appended, Change, ErrorGroupKey, ExistingStart, Filter, KeptDeadLetter, Place, Quarantined, Record,
    SagaRow, Stored, TakenOver,
};

#[derive(Debug)]
pub(super) struct Storage {
    pub(super) shards: u16,
    /// The queue of each shard: fair, so that a shard that is given away goes to who waited longest.
    pub(super) queues: Vec<Arc<tokio::sync::Mutex<()>>>,
    pub(super) members: Mutex<Members>,
    pub(super) tables: Mutex<Tables>,
    pub(super) jobs_changed: watch::Sender<u64>,
    pub(super) jobs_moved: watch::Sender<u64>,
    pub(super) pauses_changed: watch::Sender<u64>,
}

#[derive(Debug, Default)]
pub(super) struct Tables {
    pub(super) sagas: BTreeMap<SagaId, Stored>,
    /// Since when the sagas with an error have it.
    pub(super) failed_at: BTreeMap<SagaId, DateTime<Utc>>,
    pub(super) starts: HashMap<(String, String), ExistingStart>,
    pub(super) letters: BTreeMap<i64, KeptDeadLetter>,
    /// The sagas that sleep, and when they wake.
    pub(super) sleeping: BTreeMap<SagaId, Option<DateTime<Utc>>>,
    /// Until when sagas hold something, as their last records say.
    pub(super) held: BTreeMap<SagaId, DateTime<Utc>>,
    pub(super) quarantine: BTreeMap<SagaId, Quarantined>,
    pub(super) letter_keys: HashSet<(String, String)>,
    pub(super) audit: Vec<AuditRecord>,
    pub(super) jobs: BTreeMap<JobId, KeptJob>,
    pub(super) pauses: BTreeMap<String, Pause>,
    pub(super) approvals: BTreeMap<ApprovalId, Approval>,
    pub(super) owners: HashMap<u16, Owner>,
    pub(super) epochs: HashMap<u16, i64>,
}

#[derive(Debug)]
pub(super) struct Owner {
    pub(super) session: CancellationToken,
    /// Held for as long as the shard is owned.
    pub(super) _place: OwnedMutexGuard<()>,
}

impl Storage {
    pub(super) fn tables(&self) -> MutexGuard<'_, Tables> {
        // Nothing below panics between two changes that belong together.
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn members(&self) -> MutexGuard<'_, Members> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tables {
    /// The rows that a filter lets through, by id.
    pub(super) fn matching<'t>(&'t self, filter: &Filter) -> impl DoubleEndedIterator<Item = (Place, &'t SagaRow)> {
        let rows = self.sagas.values().map(|stored| &stored.row);
        let places = rows.map(|row| {
            let holds_until = self.held.get(&row.id).copied();
            (Place { id: row.id, holds_until, finished_at: row.finished_at }, row)
        });
        places.filter(move |(place, row)| matches(filter, row, *place))
    }

    pub(super) fn audit_head(&self) -> AuditHead {
        match self.audit.last() {
            Some(row) => AuditHead { number: row.number, hash: row.hash.clone() },
            None => AuditHead { number: 0, hash: AUDIT_HASH_NONE.to_owned() },
        }
    }

    pub(super) fn write(&mut self, append: Append) -> Appended {
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

    pub(super) fn start(&mut self, row: SagaRow, key: Option<StartKey>, record: Record) -> Appended {
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

    pub(super) fn failures(&self) -> impl Iterator<Item = Failure> {
        self.sagas.values().filter_map(|Stored { row, .. }| {
            let key = ErrorGroupKey { name: row.name.clone(), error: row.error.clone()? };
            Some(Failure { key, at: *self.failed_at.get(&row.id)?, status: row.status })
        })
    }

    pub(super) fn add(&mut self, saga_id: SagaId, record: Record) -> Option<&mut Stored> {
        let stored = self.sagas.get_mut(&saga_id)?;
        stored.records.push(record);
        Some(stored)
    }

    pub(super) fn key_of(&self, change: &Change) -> Option<&ExistingStart> {
        match change {
            Change::Started { row, key: Some(key) } => self.starts.get(&(row.name.clone(), key.key.clone())),
            Change::Started { key: None, .. } | Change::Row { .. } | Change::None => None,
        }
    }
}
