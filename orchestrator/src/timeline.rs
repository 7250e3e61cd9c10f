//! The timeline of a saga, read from its journal: each entry about a step ends the span that the step was in, and may begin
//! the next one.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use contract::{
    orchestrator_api::{SPANS_MAX, SpanEnd, Spent, Timeline, TimelineSpan},
    step::{Op, StepName},
};
use journal::Stored;
use machine::Entry;

/// The change that an entry makes to one step's time.
struct Change<'a> {
    step: &'a StepName,
    op: Op,
    /// The end of the span that the step was in.
    end: SpanEnd,
    /// The span that begins, with the number of its attempt.
    next: Option<(Spent, Option<u16>)>,
}

pub(crate) fn timeline(stored: &Stored) -> Timeline {
    let mut spans: Vec<TimelineSpan> = Vec::new();
    // The place of the span that each step is in.
    let mut open: BTreeMap<(StepName, Op), usize> = BTreeMap::new();
    for record in &stored.records {
        for entry in &record.entries {
            if ends_all(entry) {
                open.values().for_each(|at| end(&mut spans, *at, record.at, SpanEnd::Left));
                open.clear();
            }
            let Some(Change { step, op, end: how, next }) = change(entry) else { continue };
            let key = (step.clone(), op);
            if let Some(at) = open.remove(&key) {
                end(&mut spans, at, record.at, how);
            }
            if let Some((spent, attempt)) = next {
                open.insert(key, spans.len());
                let (step, from) = (step.clone(), record.at);
                spans.push(TimelineSpan { step, op, spent, attempt, from, until: None, end: None });
            }
        }
    }
    spans.drain(..spans.len().saturating_sub(SPANS_MAX));
    Timeline { began_at: stored.row.created_at, ended_at: stored.row.finished_at, spans }
}

fn end(spans: &mut [TimelineSpan], at: usize, until: DateTime<Utc>, how: SpanEnd) {
    if let Some(span) = spans.get_mut(at) {
        (span.until, span.end) = (Some(until), Some(how));
    }
}

/// True for an entry after which no step goes on as before.
const fn ends_all(entry: &Entry) -> bool {
    matches!(
        entry,
        Entry::CompensationStarted { .. }
            | Entry::ClosingStarted { .. }
            | Entry::SagaCompleted
            | Entry::SagaCompensated
            | Entry::SagaAbandoned
    )
}

fn change(entry: &Entry) -> Option<Change<'_>> {
    let (step, op, end, next) = match entry {
        Entry::CommandDispatched { step, op, attempt, .. } => {
            (step, *op, SpanEnd::Left, Some((Spent::UnderWay, Some(*attempt))))
        }
        Entry::CommandDone { step, op, .. } | Entry::StepSkipped { step, op, .. } => (step, *op, SpanEnd::Done, None),
        Entry::CommandRefused { step, op, .. } => (step, *op, SpanEnd::Refused, None),
        Entry::CommandFailed { step, op, attempt, retry_at, .. } => {
            let again = retry_at.map(|_| (Spent::Retry, Some(attempt.saturating_add(1))));
            (step, *op, SpanEnd::Failed, again)
        }
        Entry::AttentionNeeded { step, op, .. } => (step, *op, SpanEnd::Failed, Some((Spent::Person, None))),
        Entry::CompensationResolved { step, .. } => (step, Op::Compensation, SpanEnd::Done, None),
        Entry::SignalAwaited { step, .. } => (step, Op::Action, SpanEnd::Left, Some((Spent::Signal, None))),
        Entry::SignalTaken { step, .. } | Entry::TimerFired { step } => (step, Op::Action, SpanEnd::Done, None),
        Entry::SignalMissed { step, .. } => (step, Op::Action, SpanEnd::Refused, None),
        Entry::TimerSet { step, .. } => (step, Op::Action, SpanEnd::Left, Some((Spent::Time, None))),
        Entry::ChildAwaited { step, op, .. } => (step, *op, SpanEnd::Left, Some((Spent::Child, None))),
        Entry::StepNotNeeded { step } => (step, Op::Action, SpanEnd::Left, None),
        Entry::SagaStarted { .. }
        | Entry::CompensationStarted { .. }
        | Entry::OperatorActed { .. }
        | Entry::ClosingStarted { .. }
        | Entry::CommandEdited { .. }
        | Entry::SignalReceived { .. }
        | Entry::ExtensionBegun { .. }
        | Entry::DefinitionChanged { .. }
        | Entry::ClockStood { .. }
        | Entry::SagaPaused { .. }
        | Entry::SagaResumed { .. }
        | Entry::SagaCompleted
        | Entry::SagaCompensated
        | Entry::SagaAbandoned => return None,
    };
    Some(Change { step, op, end, next })
}
