//! The sagas of one turn, each with everything that it decided and that is not committed yet.

use std::{collections::HashMap, sync::Arc};

use chrono::{DateTime, Utc};
use contract::{SagaId, saga::SagaStatus};
use journal::{Append, Change, Record, SagaRow, TakenOver};
use machine::{Catalog, CommandToSend, Entry, Verdict};

use super::input::{Origin, PendingInput};
use crate::{
    saga_instance::{Begun, Decided, Parked, SagaInstance},
    starts::lanes::StartRequest,
};

/// An operator's action is refused because the saga has moved on since the operator looked at it.
const REFUSED_HEAD_MOVED: &str = "head_moved";

/// One saga's part of a turn.
#[derive(Debug)]
pub(super) struct BatchedSaga {
    /// The saga as it stands after the last decision.
    pub(super) instance: SagaInstance,
    /// The status as committed; none before the start.
    pub(super) before: Option<SagaStatus>,
    pub(super) entries: Vec<Entry>,
    pub(super) commands: Vec<CommandToSend>,
    /// The inputs that were decided, each with the machine's verdict.
    pub(super) heard: Vec<(PendingInput, Verdict)>,
    pub(super) start: Option<StartRequest>,
    /// The record for this process's followers of the saga.
    pub(super) record: Option<Arc<Record>>,
}

impl BatchedSaga {
    /// A saga as the journal holds it.
    pub(super) fn loaded(instance: SagaInstance) -> Self {
        let before = Some(instance.state.status);
        let (entries, commands, heard) = (Vec::new(), Vec::new(), Vec::new());
        Self { instance, before, entries, commands, heard, start: None, record: None }
    }

    /// A saga that begins in this turn.
    pub(super) fn begun(begun: Begun, start: StartRequest) -> Self {
        let Begun { instance, entries, commands } = begun;
        Self { instance, before: None, entries, commands, heard: Vec::new(), start: Some(start), record: None }
    }

    pub(super) const fn id(&self) -> SagaId {
        self.instance.id()
    }

    /// Whether the input may stand in one record with the ones before it.
    pub(super) fn goes_with(&self, input: &PendingInput) -> bool {
        self.heard.is_empty() || !(input.alone || self.heard.iter().any(|(other, _)| other.alone))
    }

    /// Decides one input on top of the ones before it.
    pub(super) fn decide(
        &mut self,
        catalog: &Catalog,
        input: &PendingInput,
        now: DateTime<Utc>,
    ) -> Result<Verdict, Parked> {
        if let Some(verdict) = self.moved_on(&input.origin) {
            return Ok(verdict);
        }
        let Decided { entries, commands, verdict } = self.instance.decide(catalog, &input.input, now)?;
        self.entries.extend(entries);
        self.commands.extend(commands);
        Ok(verdict)
    }

    /// The verdict on an act of somebody who has not seen the saga's last record.
    fn moved_on(&self, origin: &Origin) -> Option<Verdict> {
        let Origin::Act { request_id, if_head: Some(seen), .. } = origin else { return None };
        // What was decided in this turn is a record by the time that the answer arrives.
        let head = self.instance.head + u64::from(!self.entries.is_empty());
        if head == *seen || self.instance.state.requests.contains(request_id) {
            return None;
        }
        let message = format!("the saga has come to record {head}, and the action was meant for record {seen}");
        Some(Verdict::Refused { code: REFUSED_HEAD_MOVED, message })
    }

    /// True when a timer fired and the machine had nothing to do: it must not fire again at once.
    pub(super) fn was_woken_in_vain(&self) -> bool {
        let in_vain = |(input, verdict): &(PendingInput, Verdict)| {
            matches!(input.origin, Origin::Timer) && matches!(verdict, Verdict::Ignored(_))
        };
        self.heard.iter().any(in_vain)
    }

    /// The append of everything that was decided; takes the entries out.
    /// The record is kept besides when it is `wanted` by those who follow the saga.
    pub(super) fn append(&mut self, shard: u16, now: DateTime<Utc>, wanted: bool) -> Append {
        let entries = std::mem::take(&mut self.entries);
        let (error, paused) = (self.instance.state.error_fingerprint(), self.instance.state.pause.is_some());
        let status = self.instance.state.status;
        let state = &self.instance.state;
        let taken_over = state.version != self.instance.version;
        let taken_over_by =
            taken_over.then(|| TakenOver { version: state.version, fingerprint: state.fingerprint.to_string() });
        let version = state.version;
        let shows = (self.before, &self.instance.error, self.instance.paused, self.instance.version);
        let change = match &self.start {
            Some(start) => {
                let row = self.row(start, shard, error.clone(), now);
                Change::Started { row: Box::new(row), key: start.key.clone() }
            }
            None if shows != (Some(status), &error, paused, version) => {
                Change::Row { status, error: error.clone(), taken_over_by, paused }
            }
            None => Change::None,
        };
        (self.instance.error, self.instance.paused, self.instance.version) = (error, paused, version);
        let sleep = self.instance.fall_asleep_or_wake(now);
        let record = Record { seq: self.instance.head + 1, at: now, entries };
        if wanted {
            self.record = Some(Arc::new(record.clone()));
        }
        Append { saga_id: self.id(), record, holds_until: self.instance.holds_until(), change, sleep }
    }

    fn row(&self, start: &StartRequest, shard: u16, error: Option<String>, now: DateTime<Utc>) -> SagaRow {
        let state = &self.instance.state;
        SagaRow {
            id: state.saga_id,
            name: state.name.clone(),
            version: state.version,
            fingerprint: state.fingerprint.to_string(),
            shard,
            status: state.status,
            business_key: start.business_key.clone(),
            owner: start.owner.clone(),
            traceparent: self.instance.traceparent,
            error,
            paused: state.pause.is_some(),
            created_at: now,
            updated_at: now,
            finished_at: state.status.is_final().then_some(now),
        }
    }
}

/// The sagas of one turn, in the order in which they came into it.
#[derive(Debug, Default)]
pub(super) struct Batch {
    sagas: Vec<Option<BatchedSaga>>,
    places: HashMap<SagaId, usize>,
}

impl Batch {
    pub(super) fn get(&mut self, saga: SagaId) -> Option<&mut BatchedSaga> {
        self.sagas.get_mut(*self.places.get(&saga)?)?.as_mut()
    }

    pub(super) fn add(&mut self, saga: BatchedSaga) {
        self.places.insert(saga.id(), self.sagas.len());
        self.sagas.push(Some(saga));
    }

    /// Takes a saga out of the batch: nothing of it will be committed.
    pub(super) fn remove(&mut self, saga: SagaId) -> Option<BatchedSaga> {
        self.sagas.get_mut(self.places.remove(&saga)?)?.take()
    }

    pub(super) fn into_sagas(self) -> impl Iterator<Item = BatchedSaga> {
        self.sagas.into_iter().flatten()
    }
}
