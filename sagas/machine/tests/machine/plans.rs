//! Definitions of any shape, for the laws.

use std::time::Duration;

use contract::saga::StepKind;
use machine::{Builder, Definition, DefinitionError, StepHandle, Wake};
use proptest::prelude::*;

use crate::common::{AGAIN, Approval, FEW, Learned, Trip, learn, learn_approval, probe, unprobe};

/// The shape of a random definition.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    steps: Vec<PlannedStep>,
    /// The pivots name only the last of the steps before them.
    direct_only: bool,
    deadline_s: Option<u64>,
    /// An abandoned saga has something to close.
    closes: bool,
}

#[derive(Debug, Clone)]
struct PlannedStep {
    kind: StepKind,
    /// Bit `n`: after the step number `n`, where that is possible.
    after: u16,
    /// The condition's number.
    when: Option<usize>,
    /// Needed only if an odd number of the steps before it have said something.
    if_odd: bool,
    attempts_max: u16,
    learns: bool,
    /// It holds something until a time where participants say so, and can perhaps be extended.
    holds: Option<bool>,
    work: PlannedWork,
}

/// The work of a step on the way forward.
#[derive(Debug, Clone, Copy, PartialEq)]
enum PlannedWork {
    Command,
    Signal { ends: bool },
    Timer,
    Child,
}

const CONDITIONS: [fn(&Trip) -> bool; 4] =
    [|trip| trip.flags & 1 != 0, |trip| trip.flags & 1 == 0, |trip| trip.flags & 2 != 0, |trip| trip.flags & 4 != 0];

/// Definitions of any shape that the builder accepts and any input starts.
pub(crate) fn plans() -> impl Strategy<Value = Plan> {
    let compensatables = prop::collection::vec(planned(StepKind::Compensatable, true), 0..6);
    let retriables = prop::collection::vec(planned(StepKind::Retriable, true), 0..4);
    let parts = (compensatables, 0..3_usize, retriables, prop::option::of(5..2_000_u64), any::<[bool; 3]>());
    parts.prop_map(|(mut steps, pivots, mut retriables, deadline_s, [direct_only, closes, child_pivot])| {
        let all = u16::MAX;
        for number in 0..pivots {
            // Two pivots exclude each other by the first two conditions.
            let when = (pivots == 2).then_some(number);
            steps.push(PlannedStep {
                kind: StepKind::Pivot,
                after: all,
                when,
                if_odd: false,
                attempts_max: 3,
                learns: true,
                holds: None,
                work: if child_pivot { PlannedWork::Child } else { PlannedWork::Command },
            });
        }
        if pivots == 0 {
            retriables.clear();
        }
        steps.append(&mut retriables);
        if steps.is_empty() {
            let work = PlannedWork::Command;
            steps.push(PlannedStep {
                kind: StepKind::Pivot,
                after: 0,
                when: None,
                if_odd: false,
                attempts_max: 2,
                learns: false,
                holds: None,
                work,
            });
        }
        Plan { steps, direct_only, deadline_s, closes }
    })
}

fn planned(kind: StepKind, conditional: bool) -> impl Strategy<Value = PlannedStep> {
    let when = if conditional { prop::option::weighted(0.3, 0..CONDITIONS.len()).boxed() } else { Just(None).boxed() };
    let work = prop_oneof![
        6 => Just(PlannedWork::Command),
        2 => any::<bool>().prop_map(|ends| PlannedWork::Signal { ends }),
        1 => Just(PlannedWork::Timer),
        1 => Just(PlannedWork::Child),
    ];
    let holds = prop::option::of(any::<bool>());
    let parts = (any::<u16>(), when, prop::bool::weighted(0.2), 1..6_u16, any::<bool>(), holds, work);
    parts.prop_map(move |(after, when, if_odd, attempts_max, learns, holds, work)| PlannedStep {
        kind,
        after,
        when,
        if_odd,
        attempts_max,
        learns,
        holds: holds.filter(|_| kind == StepKind::Compensatable),
        work,
    })
}

impl Plan {
    /// The same plan with time enough for every reply.
    pub(crate) fn unhurried(mut self) -> Self {
        self.deadline_s = self.deadline_s.map(|deadline_s| deadline_s + 600);
        self
    }

    /// The same plan with all the time there is.
    pub(crate) fn without_deadline(mut self) -> Self {
        self.deadline_s = None;
        self
    }

    pub(crate) fn build(&self) -> Result<Definition, Vec<DefinitionError>> {
        let mut saga = Builder::<Trip, Learned>::new("planned", 1);
        if let Some(deadline_s) = self.deadline_s {
            saga.deadline(Duration::from_secs(deadline_s));
        }
        if self.closes {
            saga.on_abandon(unprobe);
        }
        let mut handles = Vec::new();
        let mut pivots = Vec::new();
        let mut retriables = Vec::new();
        let mut needed = Vec::new();
        for (number, planned) in self.steps.iter().enumerate() {
            let chosen = |at: usize| planned.after & (1 << (at % 16)) != 0;
            let earlier = handles.iter().enumerate().filter(|(at, _)| chosen(*at));
            let mut after: Vec<_> = earlier.map(|(_, handle)| *handle).collect();
            let retry = match planned.kind {
                StepKind::Compensatable => FEW.attempts_max(planned.attempts_max),
                StepKind::Pivot | StepKind::Retriable => AGAIN,
            };
            let name = format!("step-{number}");
            let mut step = saga.step(&name).compensation_retry(AGAIN);
            match planned.kind {
                // A wait needs no compensation, and may have one.
                StepKind::Compensatable if planned.work == PlannedWork::Child => {}
                StepKind::Compensatable if planned.work == PlannedWork::Command || planned.learns => {
                    step = step.compensate(unprobe);
                }
                StepKind::Compensatable => {}
                StepKind::Pivot => {
                    step = step.pivot();
                    // Directly after every step, or after those that nothing else comes after.
                    let last = |handle: &StepHandle| !self.direct_only || !needed.contains(handle);
                    after.retain(|handle| !pivots.contains(handle) && last(handle));
                }
                StepKind::Retriable => {
                    step = step.retriable();
                    // Directly after the pivots, or by way of another retriable.
                    if !after.iter().any(|handle| retriables.contains(handle)) {
                        after.extend(&pivots);
                    }
                }
            }
            if let Some(when) = planned.when {
                step = step.when(CONDITIONS[when]);
            }
            if planned.if_odd {
                step = step.if_needed(|_, learned| learned.said.len() % 2 == 1);
            }
            if planned.kind == StepKind::Compensatable {
                needed.extend(&after);
            }
            let step = step.after(after);
            let handle = match planned.work {
                PlannedWork::Command => {
                    let mut step = step.command(probe).retry(retry);
                    if planned.learns {
                        step = step.on_reply(learn);
                    }
                    if let Some(extends) = planned.holds {
                        step = step.valid_until(|echo| echo.until);
                        step = if extends { step.extend(probe, |echo| echo.until) } else { step };
                    }
                    step.add()
                }
                PlannedWork::Signal { ends: true } => {
                    let signal = step.signal::<Approval>(&format!("signal-{number}"));
                    signal.within(Duration::from_secs(5)).on_signal(learn_approval).add()
                }
                PlannedWork::Signal { ends: false } => step.signal::<Approval>(&format!("signal-{number}")).add(),
                PlannedWork::Child => step.child("leg", 1, probe).on_end(learn_approval).add(),
                PlannedWork::Timer => step.timer(|_, _| Wake::After(Duration::from_secs(2))).add(),
            };
            match planned.kind {
                StepKind::Compensatable => {}
                StepKind::Pivot => pivots.push(handle),
                StepKind::Retriable => retriables.push(handle),
            }
            handles.push(handle);
        }
        saga.build()
    }
}
