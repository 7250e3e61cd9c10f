//! Holds that expire: until when what a saga holds is valid, and what is to be done about it before its pivot is issued.
//!
//! ```text
//!             extend            give up        valid until
//!   ------------|------------------|----------------|---->
//!               <---- window ----->|<--- margin ---->
//! ```
//!
//! The pivot is issued only before the time to give up comes, so that it is carried out while all is held. Its margin is the
//! time for which the pivot's reply is awaited, or the one that its child is given. These times are of the wall clock: a participant that holds something does not
//! know that the saga's clock stands.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use contract::{
    saga::StepKind,
    step::{Op, StepName},
};

use crate::{
    definition::Definition,
    queries::pivot_issued,
    retry::later,
    state::{Phase, State, StepState},
    step::{Extension, Step, Work},
    step_set::StepSet,
    wake::storable,
};

/// The sendings of an extension for which there is time before its hold is given up: one may be lost, and another find its
/// domain restarting.
const EXTENSION_SENDINGS: u32 = 3;

/// Something that a saga holds until a time.
pub(crate) struct Hold<'d> {
    pub(crate) step: &'d Step,
    /// The time at which the participant lets go of it.
    pub(crate) valid_until: DateTime<Utc>,
    pub(crate) next: HoldNext,
}

/// The next thing to be done about a hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HoldNext {
    /// An extension is to be sent.
    Extend {
        at: DateTime<Utc>,
        /// The time at which it is given up.
        give_up_at: DateTime<Utc>,
        /// The time that it has at least, although it is begun late.
        window: Duration,
    },
    /// The saga is to be turned around.
    GiveUp { at: DateTime<Utc> },
}

impl HoldNext {
    pub(crate) const fn at(self) -> DateTime<Utc> {
        match self {
            Self::Extend { at, .. } | Self::GiveUp { at } => at,
        }
    }
}

/// The earliest time at which something lapses that a saga holds, while its pivot is not issued.
#[must_use]
pub fn holds_until(definition: &Definition, state: &State) -> Option<DateTime<Utc>> {
    holds(definition, state).iter().map(|hold| hold.valid_until).min()
}

/// The time until which what a step holds is valid, while the saga depends on it.
#[must_use]
pub fn valid_until(definition: &Definition, state: &State, step: &StepName) -> Option<DateTime<Utc>> {
    holds(definition, state).iter().find(|hold| hold.step.name == *step).map(|hold| hold.valid_until)
}

/// The holds that the pivot depends on, while it is not issued.
pub(crate) fn holds<'d>(definition: &'d Definition, state: &State) -> Vec<Hold<'d>> {
    let goes_on = state.direction() == Op::Action && state.given_up.is_none() && !state.status.is_final();
    let counts = goes_on && definition.fits(state);
    let has_holds = definition.steps.iter().any(Step::holds);
    if !has_holds || !counts || pivot_issued(definition, state) {
        return Vec::new();
    }
    let renewed = renewed(definition, state);
    let steps = definition.steps.iter().enumerate().filter(|(position, _)| !renewed.contains(*position));
    let holds = steps.filter_map(|(position, step)| {
        let touched = state.steps.get(&step.name)?;
        let valid_until = storable(read_validity(step, touched)?);
        let give_up_at = earlier(valid_until, margin(definition, position));
        Some(Hold { step, valid_until, next: next(step, touched, give_up_at) })
    });
    holds.collect()
}

/// True while an extension is under way or waits to be sent again.
pub(crate) fn is_extending(state: &State) -> bool {
    state.steps.values().any(|step| step.extension.is_open())
}

/// The holds whose place another step's hold has taken.
fn renewed(definition: &Definition, state: &State) -> StepSet {
    let done = |step: &&Step| state.progress(&step.name, Op::Action).is_some_and(crate::state::Progress::is_done);
    definition.steps.iter().filter(done).fold(StepSet::default(), |renewed, step| renewed.union(step.renews))
}

fn read_validity(step: &Step, touched: &StepState) -> Option<DateTime<Utc>> {
    let (Some(validity), Phase::Done { reply }) = (&step.validity, &touched.action.phase) else { return None };
    match (&touched.extended, &step.extension) {
        (Some(reply), Some(extension)) => (extension.validity)(reply),
        (Some(_) | None, _) => validity(reply),
    }
}

fn next(step: &Step, touched: &StepState, give_up_at: DateTime<Utc>) -> HoldNext {
    match (&step.extension, touched.extend_by) {
        (Some(_), Some(by)) if touched.extension.is_open() => HoldNext::GiveUp { at: by },
        // One that was extended and is no later over for it would be extended for ever.
        (Some(extension), by) if by.is_none_or(|by| by < give_up_at) => {
            let window = window(extension);
            let at = earlier(give_up_at, window);
            HoldNext::Extend { at: by.map_or(at, |by| at.max(by)), give_up_at, window }
        }
        (Some(_) | None, _) => HoldNext::GiveUp { at: give_up_at },
    }
}

/// The time that a pivot needs to be carried out while a step's hold lasts. A child is started with what is held last: the
/// holds that are renewed before need not last for it too.
fn margin(definition: &Definition, held: usize) -> Duration {
    let pivots = definition.steps.iter().filter(|step| step.kind == StepKind::Pivot);
    let needed = pivots.filter_map(|pivot| match pivot.work() {
        Work::Command(command) => Some(command.reply_within),
        Work::Child(child) => (!is_renewed_later(definition, held)).then_some(child.margin),
        Work::Signal(_) | Work::Timer => None,
    });
    needed.max().unwrap_or_default()
}

/// True for a hold whose place another step's hold takes before the pivot.
pub(crate) fn is_renewed_later(definition: &Definition, held: usize) -> bool {
    definition.steps.iter().any(|step| step.renews.contains(held))
}

/// The time that an extension needs, with its retries.
const fn window(extension: &Extension) -> Duration {
    extension.command.reply_within.saturating_mul(EXTENSION_SENDINGS)
}

/// The time by which an extension that begins now must have taken effect.
pub(crate) fn extend_by(now: DateTime<Utc>, give_up_at: DateTime<Utc>, window: Duration) -> DateTime<Utc> {
    storable(give_up_at.max(later(now, window)))
}

fn earlier(time: DateTime<Utc>, by: Duration) -> DateTime<Utc> {
    let earlier = TimeDelta::from_std(by).ok().and_then(|by| time.checked_sub_signed(by));
    storable(earlier.unwrap_or(DateTime::UNIX_EPOCH))
}
