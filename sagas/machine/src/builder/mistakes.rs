//! Everything that can be wrong with a definition, each with a text that says how to put it right.

use std::time::Duration;

use contract::step::{Op, STEP_NAME_BYTES_MAX, StepName};

use crate::step_set::STEPS_MAX;

/// One mistake of a definition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DefinitionError {
    /// The saga's name is not a name.
    #[error("`{name}` is not a saga's name: 1 to {STEP_NAME_BYTES_MAX} of a-z, 0-9 and `-`, starting with a letter")]
    BadSagaName {
        /// As written.
        name: String,
    },
    /// Versions count from 1.
    #[error("a saga's version starts at 1, not 0")]
    VersionZero,
    /// Nothing to do.
    #[error("the saga has no steps")]
    NoSteps,
    /// More than the machine can hold.
    #[error("the saga has {count} steps, more than {STEPS_MAX}")]
    TooManySteps {
        /// How many.
        count: usize,
    },
    /// A step's name is not a name.
    #[error("`{name}` is not a step's name: 1 to {STEP_NAME_BYTES_MAX} of a-z, 0-9 and `-`, starting with a letter")]
    BadStepName {
        /// As written.
        name: String,
    },
    /// Two steps of one name.
    #[error("two steps are called `{step}`")]
    DuplicateStep {
        /// The name.
        step: StepName,
    },
    /// A handle of another builder.
    #[error("step `{step}` comes after a step of another saga: use the handles that this builder's `add()` gave")]
    UnknownHandle {
        /// As written.
        step: String,
    },
    /// More than one point of no return.
    #[error("several steps are pivots ({}): only one may apply to an input, so give each a `when`", names(.steps))]
    SeveralPivots {
        /// All of them.
        steps: Vec<StepName>,
    },
    /// It could not be undone.
    #[error("step `{step}` has no compensation: before the pivot every step needs one")]
    NoCompensation {
        /// The step.
        step: StepName,
    },
    /// It would never be undone.
    #[error("step `{step}` has a compensation that would never run: from the pivot on nothing is undone")]
    CompensationAfterPivot {
        /// The step.
        step: StepName,
    },
    /// It could run after the pivot, or beside it.
    #[error(
        "compensatable step `{step}` does not come before pivot `{pivot}`: it could run when nothing is undone any more"
    )]
    NotBeforePivot {
        /// The step.
        step: StepName,
        /// The pivot.
        pivot: StepName,
    },
    /// It could run while the saga may still turn around.
    #[error("retriable step `{step}` comes after no pivot: it could run while the saga may still be undone")]
    NotAfterPivot {
        /// The step.
        step: StepName,
    },
    /// It could be tried for ever while others' inventory is held.
    #[error("step `{step}` is retried without a bound: before the pivot `attempts_max` is needed")]
    UnboundedRetries {
        /// The step.
        step: StepName,
    },
    /// A retry policy that makes no sense.
    #[error("the retries of `{step}` ({}) make no sense: {mistake}", .op.as_str())]
    BadRetry {
        /// The step.
        step: StepName,
        /// Forward or back.
        op: Op,
        /// Why.
        mistake: &'static str,
    },
    /// No reply could be in time.
    #[error("step `{step}` ({}) awaits its reply for less than a millisecond", .op.as_str())]
    NoTimeToReply {
        /// The step.
        step: StepName,
        /// Forward or back.
        op: Op,
    },
    /// It would be over when it starts.
    #[error("the saga's deadline is less than a millisecond")]
    NoTimeAtAll,
    /// The hold could run out on a saga that takes its time.
    #[error("step `{step}` holds something for {hold:?}, but the saga has no deadline")]
    HoldWithoutDeadline {
        /// The step.
        step: StepName,
        /// How long it holds.
        hold: Duration,
    },
    /// The hold could run out before it is confirmed.
    #[error(
        "step `{step}` holds something for {hold:?}, but the saga's deadline and the steps from the pivot on can take {needed:?}"
    )]
    DeadlineOutlastsHold {
        /// The step.
        step: StepName,
        /// How long it holds.
        hold: Duration,
        /// How long it would have to.
        needed: Duration,
    },
}

fn names(steps: &[StepName]) -> String {
    steps.iter().map(StepName::as_str).collect::<Vec<_>>().join(", ")
}
