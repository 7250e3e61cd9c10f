//! A saga as people see it, replayed from the journal by the very functions that advance it.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use contract::orchestrator_api::{DeadLetterView, RecordView, SagaPause, SagaSummary, SagaView, SignalView, StepView};
use contract::saga::Cause;
use journal::{Record, SagaRow, Stored};
use machine::{Catalog, Pause, ReceivedSignal, State, describe, evolve};
use serde_json::{Map, Value, json};

use crate::saga_instance::{Parked, definition_of, replay};

/// A line of a listing.
pub(crate) fn summary(row: &SagaRow, holds_until: Option<DateTime<Utc>>) -> SagaSummary {
    SagaSummary {
        id: row.id,
        name: row.name.clone(),
        version: row.version,
        status: row.status,
        business_key: row.business_key.clone(),
        owner: row.owner.clone(),
        attributes: row.attributes.clone(),
        parent: row.parent,
        parent_step: row.parent_step.clone(),
        error: row.error.clone(),
        paused: row.paused,
        created_at: row.created_at,
        updated_at: row.updated_at,
        finished_at: row.finished_at,
        holds_until,
    }
}

/// A saga as it stands. One that this orchestrator leaves alone is shown as far as it can be read, with the reason as
/// its cause.
pub(crate) fn saga(catalog: &Catalog, stored: &Stored, dead_letters: Vec<DeadLetterView>) -> SagaView {
    let head = stored.records.last().map_or(0, |record| record.seq);
    let mut view = SagaView {
        summary: summary(&stored.row, None),
        input: Value::Null,
        steps: Vec::new(),
        cause: None,
        pause: None,
        deadline_at: None,
        next_wake_at: None,
        signals: Vec::new(),
        dead_letters,
        head,
    };
    let state = match replay(stored) {
        Ok(state) => state,
        Err(parked) => {
            view.cause = Some(parked_cause(&parked));
            return view;
        }
    };
    view.input = state.input.to_value().unwrap_or_default();
    view.cause.clone_from(&state.cause);
    view.pause = pause(&state);
    let signals = state.signals.iter();
    let signals = signals.map(|ReceivedSignal { id, name, taken_by, .. }| SignalView {
        id: id.clone(),
        name: name.clone(),
        step: taken_by.clone(),
    });
    view.signals = signals.collect();
    match definition_of(catalog, &state) {
        Ok(definition) => {
            view.steps = describe(&definition, &state);
            view.summary.holds_until = machine::holds_until(&definition, &state);
            view.deadline_at = machine::deadline(&definition, &state);
            if !state.status.is_final() {
                let last = stored.records.last().map_or(stored.row.updated_at, |record| record.at);
                view.next_wake_at = machine::next_wake(&definition, &state, last);
            }
        }
        Err(parked) => view.cause = Some(parked_cause(&parked)),
    }
    view
}

/// The pause that a saga is in.
pub(crate) fn pause(state: &State) -> Option<SagaPause> {
    let Pause { since, clock, holds } = state.pause?;
    Some(SagaPause { since, clock, holds, quiescent: state.is_quiescent() })
}

/// Replays a journal record by record, for the journal page and the stream of events.
pub(crate) struct Replay {
    catalog: Arc<Catalog>,
    state: State,
    /// The number of the last record that was replayed.
    pub(crate) seq: u64,
}

impl Replay {
    pub(crate) fn new(catalog: Arc<Catalog>, row: &SagaRow) -> Self {
        Self { catalog, state: State::new(row.id), seq: 0 }
    }

    /// The next record, and where the saga stands after it.
    pub(crate) fn record(&mut self, record: &Record) -> RecordView {
        self.pass(record);
        self.told(record)
    }

    /// The next record, of which nothing is told.
    pub(crate) fn pass(&mut self, record: &Record) {
        for entry in &record.entries {
            evolve(&mut self.state, entry);
        }
        self.seq = record.seq;
    }

    /// The record that was passed last, and where the saga stands after it.
    pub(crate) fn told(&self, record: &Record) -> RecordView {
        let entries = record.entries.iter().map(|entry| serde_json::to_value(entry).unwrap_or(Value::Null)).collect();
        let (steps, cause) = match definition_of(&self.catalog, &self.state) {
            Ok(definition) => (describe(&definition, &self.state), self.state.cause.clone()),
            Err(parked) => (Vec::new(), Some(parked_cause(&parked))),
        };
        RecordView { seq: record.seq, at: record.at, entries, status: self.state.status, steps, cause }
    }

    /// The saga as it stands, as one document: what its records change, each under a name of its own.
    pub(crate) fn document(&self) -> Value {
        let state = &self.state;
        let mut document = Map::new();
        let mut put =
            |name: &str, value: Option<Value>| drop(value.map(|value| document.insert(name.to_owned(), value)));
        put("status", serde_json::to_value(state.status).ok());
        put("version", Some(state.version.into()));
        put("cause", state.cause.as_ref().and_then(|cause| serde_json::to_value(cause).ok()));
        put("pause", pause(state).and_then(|pause| serde_json::to_value(pause).ok()));
        put("deadline_at", state.deadline_at.and_then(|at| serde_json::to_value(at).ok()));
        put("input", state.input.to_value().ok());
        put("steps", Some(self.steps(state)));
        let signals = state.signals.iter().map(|signal| {
            let taken_by = signal.taken_by.as_ref().map(ToString::to_string);
            (signal.id.to_string(), json!({ "name": signal.name, "taken_by": taken_by }))
        });
        put("signals", Some(Value::Object(signals.collect())));
        Value::Object(document)
    }

    /// The document of the saga before its first record: none of its steps is begun, and nothing is known.
    pub(crate) fn document_unbegun(&self) -> Value {
        json!({ "steps": self.steps(&State::new(self.state.saga_id)), "signals": {} })
    }

    /// Where each step of the saga's definition stands in a state of it.
    fn steps(&self, state: &State) -> Value {
        let steps = definition_of(&self.catalog, &self.state).map(|definition| describe(&definition, state));
        let steps = steps.unwrap_or_default().into_iter().map(|step| (step.name.to_string(), progress(&step)));
        Value::Object(steps.collect())
    }

    /// True while the saga is paused.
    pub(crate) const fn paused(&self) -> bool {
        self.state.pause.is_some()
    }

    /// Groups sagas that failed the same way.
    pub(crate) fn error(&self) -> Option<String> {
        self.state.error_fingerprint()
    }

    /// The earliest time at which something lapses that the saga holds.
    pub(crate) fn holds_until(&self) -> Option<DateTime<Utc>> {
        machine::holds_until(&*definition_of(&self.catalog, &self.state).ok()?, &self.state)
    }
}

/// The fields of a step that its definition says, and no record changes.
const OF_THE_DEFINITION: [&str; 6] = ["name", "kind", "work", "compensation", "extension", "after"];

/// Where a step stands.
fn progress(step: &StepView) -> Value {
    let mut fields = match serde_json::to_value(step) {
        Ok(Value::Object(fields)) => fields,
        Ok(_) | Err(_) => Map::new(),
    };
    fields.retain(|name, _| !OF_THE_DEFINITION.contains(&name.as_str()));
    Value::Object(fields)
}

fn parked_cause(parked: &Parked) -> Cause {
    Cause { step: None, code: parked.code().to_owned(), message: parked.to_string(), refused: false }
}
