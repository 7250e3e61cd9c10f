//! One saga's part of a batch, from the first input to the append.

use std::{collections::HashMap, sync::Arc};

use chrono::{DateTime, Utc};
use contract::{SagaId, saga::SagaStatus};
use journal::{Append, Change, Record, SagaRow};
use machine::{CommandToSend, Entry, Input};
use messaging::Delivery;

use crate::{
    messages::wire::{ActAnswer, RequestId},
    saga_instance::Active,
    starts::lanes::StartRequest,
    watching::watchers::Watchers,
};

/// One input of one saga, with what is to be settled when it has been heard.
#[derive(Debug)]
pub(super) struct Heard {
    pub(super) saga: SagaId,
    pub(super) input: Input,
    /// The word in metrics.
    pub(super) kind: &'static str,
    /// Who awaits the verdict.
    pub(super) answer_to: Option<(RequestId, String)>,
    /// None for a timer.
    pub(super) delivery: Option<Delivery>,
    /// How often it was decided in vain.
    pub(super) tries: u8,
    /// To be decided with no other input of its saga, because together they could not be stored.
    pub(super) alone: bool,
}

/// One saga's part of a batch.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) active: Active,
    /// The status as committed; none before the start.
    pub(super) before: Option<SagaStatus>,
    pub(super) entries: Vec<Entry>,
    pub(super) commands: Vec<CommandToSend>,
    pub(super) heard: Vec<Heard>,
    pub(super) answers: Vec<(String, ActAnswer)>,
    pub(super) start: Option<StartRequest>,
    /// What followers of the saga in this process are given.
    pub(super) record: Option<Arc<Record>>,
    /// A timer fired and the machine had nothing to do: it must not fire again at once.
    pub(super) woken_in_vain: bool,
}

impl Work {
    pub(super) fn on(active: Active) -> Self {
        let before = Some(active.state.status);
        Self {
            active,
            before,
            entries: Vec::new(),
            commands: Vec::new(),
            heard: Vec::new(),
            answers: Vec::new(),
            start: None,
            record: None,
            woken_in_vain: false,
        }
    }

    /// The append of everything that was decided; takes the entries out.
    pub(super) fn append(&mut self, shard: u16, now: DateTime<Utc>, watchers: &Watchers) -> Append {
        let entries = std::mem::take(&mut self.entries);
        let error = self.active.state.error_fingerprint();
        let change = match &self.start {
            Some(start) => {
                let row = self.row(start, shard, error.clone(), now);
                Change::Started { row: Box::new(row), key: start.key.clone() }
            }
            None if self.before != Some(self.active.state.status) || error != self.active.error => {
                Change::Status { status: self.active.state.status, error: error.clone() }
            }
            None => Change::None,
        };
        self.active.error = error;
        let record = Record { seq: self.active.head + 1, at: now, entries };
        if watchers.is_followed(self.active.id()) {
            self.record = Some(Arc::new(record.clone()));
        }
        Append { saga_id: self.active.id(), record, change }
    }

    fn row(&self, start: &StartRequest, shard: u16, error: Option<String>, now: DateTime<Utc>) -> SagaRow {
        let state = &self.active.state;
        SagaRow {
            id: state.saga_id,
            name: state.name.clone(),
            version: state.version,
            fingerprint: state.fingerprint.to_string(),
            shard,
            status: state.status,
            business_key: start.business_key.clone(),
            owner: start.owner.clone(),
            traceparent: self.active.traceparent.clone(),
            error,
            created_at: now,
            updated_at: now,
            finished_at: state.status.is_final().then_some(now),
        }
    }
}

/// The sagas of one batch.
#[derive(Debug, Default)]
pub(super) struct Batch {
    works: Vec<Option<Work>>,
    of: HashMap<SagaId, usize>,
}

impl Batch {
    pub(super) fn get(&mut self, saga: SagaId) -> Option<&mut Work> {
        self.works.get_mut(*self.of.get(&saga)?)?.as_mut()
    }

    pub(super) fn add(&mut self, work: Work) {
        self.of.insert(work.active.id(), self.works.len());
        self.works.push(Some(work));
    }

    /// Takes a saga out of the batch: nothing of it will be committed.
    pub(super) fn remove(&mut self, saga: SagaId) -> Option<Work> {
        self.works.get_mut(self.of.remove(&saga)?)?.take()
    }

    pub(super) fn into_works(self) -> impl Iterator<Item = Work> {
        self.works.into_iter().flatten()
    }
}

/// Which start key a request takes: two of the same cannot stand in one batch.
pub(super) fn start_key(start: &StartRequest) -> Option<(Arc<str>, String)> {
    let key = start.key.as_ref()?;
    Some((start.definition.name().into(), key.key.clone()))
}
