//! A saga as people see it, replayed from the journal by the very functions that advance it.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use contract::orchestrator_api::{DeadLetterView, RecordView, SagaPause, SagaSummary, SagaView, SignalView};
use contract::saga::Cause;
use journal::{Record, SagaRow, Stored};
use machine::{Catalog, Pause, ReceivedSignal, State, describe, evolve};
use serde_json::Value;

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
        for entry in &record.entries {
            evolve(&mut self.state, entry);
        }
        self.seq = record.seq;
        let entries = record.entries.iter().map(|entry| serde_json::to_value(entry).unwrap_or(Value::Null)).collect();
        let (steps, cause) = match definition_of(&self.catalog, &self.state) {
            Ok(definition) => (describe(&definition, &self.state), self.state.cause.clone()),
            Err(parked) => (Vec::new(), Some(parked_cause(&parked))),
        };
        RecordView { seq: record.seq, at: record.at, entries, status: self.state.status, steps, cause }
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

fn parked_cause(parked: &Parked) -> Cause {
    Cause { step: None, code: parked.code().to_owned(), message: parked.to_string(), refused: false }
}
