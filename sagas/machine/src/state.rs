//! A saga's state, which is the sum of its journal. Built by [`crate::evolve()`] only, and never persisted itself.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use contract::{
    Document, Evidence, RequestId, SagaId, SignalId, SignalName,
    orchestrator_api::ERROR_OF_SAGA,
    saga::{Cause, FieldChange, PauseClock, PausedHolds, SagaStatus},
    step::{Op, StepName},
};

use crate::{entry::Parent, fingerprint::Fingerprint};

/// The sum of a saga's journal.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    /// The id of the instance.
    pub saga_id: SagaId,
    /// The definition's name; empty before the start.
    pub name: String,
    /// The definition's version.
    pub version: u32,
    /// The fingerprint of the definition's shape when the saga started.
    pub fingerprint: Fingerprint,
    /// The start input.
    pub input: Document,
    /// The saga's status.
    pub status: SagaStatus,
    /// The time at which the saga is given up, unless its pivot was issued by then.
    pub deadline_at: Option<DateTime<Utc>>,
    /// The steps that have been touched.
    pub steps: BTreeMap<StepName, StepState>,
    /// The reason why the saga was turned around, when it was.
    pub cause: Option<Cause>,
    /// The pause that the saga is in.
    pub pause: Option<Pause>,
    /// The reason why the saga was given up, once it was and while its business object is to be closed.
    pub given_up: Option<Cause>,
    /// The latest requests of operators that took effect.
    pub requests: Vec<RequestId>,
    /// The step of another saga that started this one.
    pub parent: Option<Parent>,
    /// The child that a cancel went on to, with its cause.
    pub cancelled_child: Option<(SagaId, Cause)>,
    /// The signals that came, in their order. Each has woken a step or is kept for one, so there is at most one a step.
    pub signals: Vec<ReceivedSignal>,
}

/// The pause of a saga.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pause {
    /// The time at which it began.
    pub since: DateTime<Utc>,
    /// The rule for the saga's times.
    pub clock: PauseClock,
    /// The rule for what the saga holds.
    pub holds: PausedHolds,
}

/// A signal that came.
#[derive(Debug, Clone, PartialEq)]
pub struct ReceivedSignal {
    /// The id that its sender gave it.
    pub id: SignalId,
    /// The name of the signal.
    pub name: SignalName,
    /// The signal's payload.
    pub payload: Document,
    /// The step that took it; none while it is kept for one.
    pub taken_by: Option<StepName>,
}

/// The requests that a state remembers: far more than people send within the time in which one could come again.
pub(crate) const REQUESTS_MAX: usize = 32;

/// One step's progress in both directions.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct StepState {
    /// True when the step's condition does not hold for this input, or the step was found not needed.
    pub not_applicable: bool,
    /// The child saga that the step started last.
    pub child: Option<SagaId>,
    /// The progress of the forward command.
    pub action: Progress,
    /// The progress of the compensation.
    pub compensation: Progress,
    /// The progress of the last extension of what the step holds.
    pub extension: Progress,
    /// The reply of the last extension that took effect.
    pub extended: Option<Document>,
    /// The time by which the last extension had to take effect.
    pub extend_by: Option<DateTime<Utc>>,
}

/// The progress of one direction of a step.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Progress {
    /// The phase that this direction is in.
    pub phase: Phase,
    /// The number of sendings in the current round of attempts. An operator's retry begins a new round.
    pub attempts: u16,
    /// The number of the last sending. It rises over all rounds, so that an outdated fault is known as one.
    pub attempt: u16,
    /// The generation of the last sending, see [`contract::step::CommandId::generation`]; 0 before the first.
    pub generation: u16,
    /// True when a sending may have taken effect without a reply.
    pub in_doubt: bool,
    /// The last refusal or fault.
    pub error: Option<Cause>,
    /// True when the last sending's generation was refused: it will be answered the same way for ever.
    pub refused: bool,
    /// True when an operator said what the outcome was.
    pub skipped: bool,
    /// The command as an operator changed it.
    pub edited: Option<EditedCommand>,
    /// The evidence of the person who did it by hand.
    pub resolved: Option<Evidence>,
    /// True when a worker found a sending expired: by its clock, or because the saga's clock stood meanwhile. Further
    /// sendings carry no expiry.
    pub expired: bool,
    /// The time of the first retry of the current round of attempts.
    pub retrying_since: Option<DateTime<Utc>>,
}

/// A command as an operator changed it.
#[derive(Debug, Clone, PartialEq)]
pub struct EditedCommand {
    /// The command as it is sent.
    pub payload: Document,
    /// The difference from what would have been sent.
    pub changes: Vec<FieldChange>,
}

/// The phases of one direction of a step.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Phase {
    /// The command was never sent.
    #[default]
    Idle,
    /// The command was sent, and its reply is awaited.
    Outstanding {
        /// The time at which the reply is due. Past it the saga's clock stands, until the reply comes or is known to be
        /// missing.
        reply_by: DateTime<Utc>,
    },
    /// An attempt failed, and the next one waits for its time. A late definite reply still counts.
    Waiting {
        /// The time of the next attempt.
        retry_at: DateTime<Utc>,
    },
    /// The step waits for a signal.
    AwaitingSignal {
        /// The name of the signal.
        signal: SignalName,
        /// The time at which the signal is missed; none for a step that waits without end.
        miss_at: Option<DateTime<Utc>>,
    },
    /// The step waits for a time.
    AwaitingTime {
        /// The time at which the step is done.
        fire_at: DateTime<Utc>,
    },
    /// The step waits for the end of a child saga, or for the end of its undoing.
    AwaitingChild {
        /// The id of the child.
        child: SagaId,
    },
    /// The command took effect, the signal was taken, the time came, or the child saga ended well.
    Done {
        /// The command's reply, the signal's payload, or the child's result.
        reply: Document,
    },
    /// The command met a business refusal, or the signal did not come in time.
    Refused,
    /// Attempts ran out before the pivot, or the saga was turned around in the meantime: counts as in doubt, and
    /// replies no longer count.
    GivenUp,
    /// An operator has to act. A late definite reply still counts.
    Stuck,
}

impl State {
    /// The state of a saga before its first entry.
    #[must_use]
    pub fn new(saga_id: SagaId) -> Self {
        Self {
            saga_id,
            name: String::new(),
            version: 0,
            fingerprint: Fingerprint::default(),
            input: Document::default(),
            status: SagaStatus::Running,
            deadline_at: None,
            steps: BTreeMap::new(),
            cause: None,
            pause: None,
            given_up: None,
            requests: Vec::new(),
            parent: None,
            cancelled_child: None,
            signals: Vec::new(),
        }
    }

    /// The progress of one direction, when the step was ever touched.
    #[must_use]
    pub fn progress(&self, step: &StepName, op: Op) -> Option<&Progress> {
        self.steps.get(step).map(|step| step.progress(op))
    }

    /// The direction in which the saga goes. What closes a saga that was given up is an action.
    #[must_use]
    pub const fn direction(&self) -> Op {
        if self.cause.is_some() && self.given_up.is_none() { Op::Compensation } else { Op::Action }
    }

    /// The time since which the saga's clock is frozen by a pause.
    #[must_use]
    pub fn frozen_since(&self) -> Option<DateTime<Utc>> {
        self.pause.filter(|pause| pause.clock == PauseClock::Freeze).map(|pause| pause.since)
    }

    /// True while the saga sends nothing of this direction that it has not sent. What it holds is kept all the same.
    pub(crate) fn holds_back(&self, op: Op) -> bool {
        match op {
            Op::Action | Op::Compensation => self.pause.is_some(),
            Op::Extension => self.lets_holds_lapse(),
        }
    }

    /// True while what the saga holds is not looked after.
    pub(crate) fn lets_holds_lapse(&self) -> bool {
        self.pause.is_some_and(|pause| pause.holds == PausedHolds::Lapse)
    }

    /// True while no command of the saga is under way.
    #[must_use]
    pub fn is_quiescent(&self) -> bool {
        let is_under_way = |step: &StepState| {
            [&step.action, &step.compensation, &step.extension]
                .into_iter()
                .any(|half| matches!(half.phase, Phase::Outstanding { .. }))
        };
        self.status.is_final() || !self.steps.values().any(is_under_way)
    }

    /// Groups sagas that failed the same way: `step/code` of what is stuck, else of what turned the saga around.
    #[must_use]
    pub fn error_fingerprint(&self) -> Option<String> {
        let stuck = self.steps.iter().find_map(|(name, step)| {
            let stuck = [&step.action, &step.compensation].into_iter().find(|half| half.phase == Phase::Stuck)?;
            let code = stuck.error.as_ref().map_or("stuck", |error| error.code.as_str());
            Some(format!("{name}/{code}"))
        });
        stuck.or_else(|| {
            let cause = self.cause.as_ref()?;
            let step = cause.step.as_ref().map_or(ERROR_OF_SAGA, StepName::as_str);
            Some(format!("{step}/{}", cause.code))
        })
    }
}

impl StepState {
    /// True when something was sent for it, or waited for, in either direction.
    #[must_use]
    pub fn was_begun(&self) -> bool {
        [&self.action, &self.compensation].iter().any(|half| half.was_issued() || half.phase != Phase::Idle)
    }

    /// The progress of one direction.
    #[must_use]
    pub const fn progress(&self, op: Op) -> &Progress {
        match op {
            Op::Action => &self.action,
            Op::Compensation => &self.compensation,
            Op::Extension => &self.extension,
        }
    }

    pub(crate) const fn progress_mut(&mut self, op: Op) -> &mut Progress {
        match op {
            Op::Action => &mut self.action,
            Op::Compensation => &mut self.compensation,
            Op::Extension => &mut self.extension,
        }
    }

    pub(crate) const fn all_mut(&mut self) -> [&mut Progress; 3] {
        [&mut self.action, &mut self.compensation, &mut self.extension]
    }
}

impl Progress {
    /// True when it was ever sent.
    #[must_use]
    pub const fn was_issued(&self) -> bool {
        self.generation > 0
    }

    /// True when it took effect.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        matches!(self.phase, Phase::Done { .. })
    }

    /// True when an operator's retry sends it again now.
    #[must_use]
    pub const fn can_be_retried(&self) -> bool {
        match self.phase {
            Phase::Waiting { .. } | Phase::Stuck => true,
            Phase::Idle | Phase::Outstanding { .. } | Phase::AwaitingChild { .. } => false,
            Phase::AwaitingSignal { .. } | Phase::AwaitingTime { .. } => false,
            Phase::Done { .. } | Phase::Refused | Phase::GivenUp => false,
        }
    }

    /// True while it waits for a signal or a time: nothing has happened yet that could be in doubt.
    #[must_use]
    pub const fn is_a_wait(&self) -> bool {
        match self.phase {
            Phase::AwaitingSignal { .. } | Phase::AwaitingTime { .. } => true,
            Phase::AwaitingChild { .. } => false,
            Phase::Idle | Phase::Outstanding { .. } | Phase::Waiting { .. } => false,
            Phase::Done { .. } | Phase::Refused | Phase::GivenUp | Phase::Stuck => false,
        }
    }

    /// The child that it waits for.
    #[must_use]
    pub const fn awaited_child(&self) -> Option<SagaId> {
        match self.phase {
            Phase::AwaitingChild { child } => Some(child),
            Phase::AwaitingSignal { .. } | Phase::AwaitingTime { .. } => None,
            Phase::Idle | Phase::Outstanding { .. } | Phase::Waiting { .. } => None,
            Phase::Done { .. } | Phase::Refused | Phase::GivenUp | Phase::Stuck => None,
        }
    }

    /// True while an outcome is still awaited, from a participant, a signal, the clock or a person.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        match self.phase {
            Phase::Outstanding { .. } | Phase::Waiting { .. } | Phase::Stuck => true,
            Phase::AwaitingSignal { .. } | Phase::AwaitingTime { .. } | Phase::AwaitingChild { .. } => true,
            Phase::Idle | Phase::Done { .. } | Phase::Refused | Phase::GivenUp => false,
        }
    }

    /// The time since which an open direction is retried.
    pub(crate) const fn retrying_since(&self) -> Option<DateTime<Utc>> {
        match self.phase {
            Phase::Outstanding { .. } | Phase::Waiting { .. } => self.retrying_since,
            Phase::AwaitingSignal { .. } | Phase::AwaitingTime { .. } | Phase::AwaitingChild { .. } => None,
            Phase::Idle | Phase::Done { .. } | Phase::Refused | Phase::GivenUp | Phase::Stuck => None,
        }
    }

    /// The time at which its reply or its next attempt is due.
    #[must_use]
    pub const fn due_at(&self) -> Option<DateTime<Utc>> {
        match self.phase {
            Phase::Outstanding { reply_by } => Some(reply_by),
            Phase::Waiting { retry_at } => Some(retry_at),
            Phase::AwaitingSignal { .. } | Phase::AwaitingTime { .. } | Phase::AwaitingChild { .. } => None,
            Phase::Idle | Phase::Done { .. } | Phase::Refused | Phase::GivenUp | Phase::Stuck => None,
        }
    }

    /// The time that it waits for, or at which it misses its signal. It is of the wall clock, and never stands.
    #[must_use]
    pub const fn wake_at(&self) -> Option<DateTime<Utc>> {
        match self.phase {
            Phase::AwaitingSignal { miss_at, .. } => miss_at,
            Phase::AwaitingTime { fire_at } => Some(fire_at),
            Phase::AwaitingChild { .. } => None,
            Phase::Idle | Phase::Outstanding { .. } | Phase::Waiting { .. } => None,
            Phase::Done { .. } | Phase::Refused | Phase::GivenUp | Phase::Stuck => None,
        }
    }
}

/// The words of [`Phase`] for messages and tables.
impl std::fmt::Display for Phase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Idle => "not sent",
            Self::Outstanding { .. } => "awaiting its reply",
            Self::Waiting { .. } => "waiting for its next attempt",
            Self::AwaitingSignal { .. } => "waiting for its signal",
            Self::AwaitingTime { .. } => "waiting for its time",
            Self::AwaitingChild { .. } => "waiting for its child saga",
            Self::Done { .. } => "done",
            Self::Refused => "refused",
            Self::GivenUp => "given up",
            Self::Stuck => "waiting for a person",
        })
    }
}
