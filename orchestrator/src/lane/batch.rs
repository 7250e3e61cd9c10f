//! The sagas of one turn, each with everything that it decided and that is not committed yet.

use std::{collections::HashMap, sync::Arc};

use chrono::{DateTime, Utc};
use contract::{SagaId, saga::SagaStatus};
use journal::{Append, Change, Family, Record, SagaRow, TakenOver};
use machine::{Catalog, ChildCall, ChildStart, CommandToSend, Entry, Input, Verdict};

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
    /// The words for its children after the commit; before the commit also those that begin.
    pub(super) children: Vec<ChildCall>,
    /// The saga in whose append it begins: of a child that begins in this turn.
    pub(super) begins_with: Option<SagaId>,
    /// True when its child ends in this turn: it must not fall asleep before it has heard that.
    pub(super) stays_awake: bool,
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
        Self::new(instance, before)
    }

    /// A saga that begins in this turn.
    pub(super) fn begun(begun: Begun, start: StartRequest) -> Self {
        Self { start: Some(start), ..Self::fresh(begun) }
    }

    /// A child that begins in this turn, in the append of another saga.
    pub(super) fn child(begun: Begun, begins_with: SagaId) -> Self {
        Self { begins_with: Some(begins_with), ..Self::fresh(begun) }
    }

    fn fresh(begun: Begun) -> Self {
        let Begun { instance, entries, commands, children } = begun;
        Self { entries, commands, children, ..Self::new(instance, None) }
    }

    const fn new(instance: SagaInstance, before: Option<SagaStatus>) -> Self {
        Self {
            instance,
            before,
            entries: Vec::new(),
            commands: Vec::new(),
            children: Vec::new(),
            begins_with: None,
            stays_awake: false,
            heard: Vec::new(),
            start: None,
            record: None,
        }
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
        self.advance(catalog, &input.input, now)
    }

    /// Decides something that follows in this turn from what was decided before.
    pub(super) fn advance(&mut self, catalog: &Catalog, input: &Input, now: DateTime<Utc>) -> Result<Verdict, Parked> {
        let Decided { entries, commands, children, verdict } = self.instance.decide(catalog, input, now)?;
        self.entries.extend(entries);
        self.commands.extend(commands);
        self.children.extend(children);
        Ok(verdict)
    }

    /// Takes out the children that are to begin.
    pub(super) fn take_begins(&mut self) -> Vec<ChildStart> {
        let (mut begins, mut others) = (Vec::new(), Vec::new());
        for call in std::mem::take(&mut self.children) {
            match call {
                ChildCall::Begin(start) => begins.push(start),
                ChildCall::Undo { .. } | ChildCall::Ask { .. } => others.push(call),
            }
        }
        self.children = others;
        begins
    }

    /// True when its parent has asked how it stands.
    pub(super) fn is_asked(&self) -> bool {
        self.heard.iter().any(|(input, _)| matches!(input.origin, Origin::Family))
    }

    /// The parent, when this turn brings the saga to its end.
    pub(super) fn ends_for(&self) -> Option<SagaId> {
        let status = self.instance.state.status;
        let ends = status.is_final() && self.before != Some(status);
        self.instance.state.parent.as_ref().filter(|_| ends).map(|parent| parent.saga_id)
    }

    /// The first record of a child, as it goes into the append of the saga that starts it.
    pub(super) fn begin_append(&mut self, shard: u16, now: DateTime<Utc>, wanted: bool) -> journal::Begun {
        let Append { record, sleep, .. } = self.append(shard, now, wanted);
        let row = self.row(shard, self.instance.error.clone(), now);
        journal::Begun { row, record, sleep }
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
        let change = match self.before {
            None => {
                let row = self.row(shard, error.clone(), now);
                let key = self.start.as_ref().and_then(|start| start.key.clone());
                Change::Started { row: Box::new(row), key }
            }
            Some(_) if shows != (Some(status), &error, paused, version) => {
                Change::Row { status, error: error.clone(), taken_over_by, paused }
            }
            Some(_) => Change::None,
        };
        (self.instance.error, self.instance.paused, self.instance.version) = (error, paused, version);
        let sleep = if self.stays_awake { self.instance.stay_awake() } else { self.instance.fall_asleep_or_wake(now) };
        let record = Record { seq: self.instance.head + 1, at: now, entries };
        if wanted {
            self.record = Some(Arc::new(record.clone()));
        }
        let (holds_until, family) = (self.instance.holds_until(), Family { begun: Vec::new(), woken: self.ends_for() });
        Append { saga_id: self.id(), record, holds_until, change, sleep, family }
    }

    fn row(&self, shard: u16, error: Option<String>, now: DateTime<Utc>) -> SagaRow {
        let state = &self.instance.state;
        SagaRow {
            id: state.saga_id,
            name: state.name.clone(),
            version: state.version,
            fingerprint: state.fingerprint.to_string(),
            shard,
            status: state.status,
            business_key: self.instance.names.business_key.clone(),
            owner: self.instance.names.owner.clone(),
            attributes: self.instance.names.attributes.clone(),
            traceparent: self.instance.traceparent,
            parent: state.parent.as_ref().map(|parent| parent.saga_id),
            parent_step: state.parent.as_ref().map(|parent| parent.step.clone()),
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

    /// Takes a saga out of the batch, with the children that were to begin with it: nothing of them will be committed.
    pub(super) fn remove(&mut self, saga: SagaId) -> Option<BatchedSaga> {
        let begins = |child: &BatchedSaga| child.begins_with == Some(saga);
        for child in self.sagas.iter_mut().filter(|child| child.as_ref().is_some_and(begins)) {
            self.places.remove(&child.take()?.id());
        }
        self.sagas.get_mut(self.places.remove(&saga)?)?.take()
    }

    pub(super) fn into_sagas(self) -> impl Iterator<Item = BatchedSaga> {
        self.sagas.into_iter().flatten()
    }
}
