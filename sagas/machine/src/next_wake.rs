//! The next time at which a saga wants to hear that time has passed.

use chrono::{DateTime, Utc};

use crate::{
    definition::Definition,
    holds::holds,
    queries::{deadline, first_due, is_due, ops, waits},
    state::{Phase, State},
};

/// The time at which something falls due by itself: a retry, a step's timer, the end of its wait for a signal, what is to
/// be done about a hold, or the saga's own deadline. A reply that is awaited is none of these, because only the caller
/// knows whether its domain answers anything.
#[must_use]
pub fn next_wake(definition: &Definition, state: &State, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    if !definition.fits(state) || state.status.is_final() {
        return None;
    }
    let retries = definition.at_work(state).iter().flat_map(|step| {
        let retries = ops(state).iter().filter(|op| !state.holds_back(**op)).filter_map(|op| {
            let (Phase::Waiting { retry_at }, Some(spec)) =
                (&state.progress(&step.name, *op)?.phase, step.command(*op))
            else {
                return None;
            };
            Some(if is_due(*retry_at, spec, now) { now.min(*retry_at) } else { *retry_at })
        });
        retries.collect::<Vec<_>>()
    });
    // Behind a reply that is due before it, the deadline stands still until that reply has come, or is missing.
    let first_due = first_due(state);
    let deadline = deadline(definition, state).filter(|deadline| first_due.is_none_or(|due| *deadline <= due));
    let waits = waits(state).filter_map(|(_, progress)| progress.wake_at());
    let own_times = waits.chain(deadline).filter(|_| state.frozen_since().is_none());
    let holds = holds(definition, state).into_iter().map(|hold| hold.next.at());
    let holds = holds.filter(|_| !state.lets_holds_lapse());
    retries.chain(own_times).chain(holds).min()
}
