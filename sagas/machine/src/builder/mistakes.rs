//! The mistakes that a definition can have, each with a text that says how to put it right.

use std::time::Duration;

use contract::{
    attributes::{ATTRIBUTE_NAME_BYTES_MAX, ATTRIBUTES_MAX},
    signal::SIGNAL_NAME_BYTES_MAX,
    step::{Op, STEP_NAME_BYTES_MAX, StepName},
};

use crate::step_set::STEPS_MAX;

/// A mistake of a definition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DefinitionError {
    /// The saga's name is not of the form that names have.
    #[error(
        "`{name}` is not a saga's name: 1 to {STEP_NAME_BYTES_MAX} of a-z, 0-9, `-` and `_`, starting with a letter"
    )]
    BadSagaName {
        /// The name as it was written.
        name: String,
    },
    /// The version is 0, but versions count from 1.
    #[error("a saga's version starts at 1, not 0")]
    VersionZero,
    /// The definition has no steps.
    #[error("the saga has no steps")]
    NoSteps,
    /// An attribute's name is not of the form that names have.
    #[error(
        "`{name}` is not an attribute's name: 1 to {ATTRIBUTE_NAME_BYTES_MAX} of a-z, 0-9 and `_`, starting with a letter"
    )]
    BadAttributeName {
        /// The name as it was written.
        name: String,
    },
    /// Two attributes have the same name.
    #[error("two attributes are called `{name}`")]
    DuplicateAttribute {
        /// The name that both have.
        name: String,
    },
    /// The definition has more attributes than a saga may have.
    #[error("the saga has {count} attributes, more than {ATTRIBUTES_MAX}")]
    TooManyAttributes {
        /// The number of attributes.
        count: usize,
    },
    /// The definition has more steps than the machine can hold.
    #[error("the saga has {count} steps, more than {STEPS_MAX}")]
    TooManySteps {
        /// The number of steps.
        count: usize,
    },
    /// A step's name is not of the form that names have.
    #[error("`{name}` is not a step's name: 1 to {STEP_NAME_BYTES_MAX} of a-z, 0-9 and `-`, starting with a letter")]
    BadStepName {
        /// The name as it was written.
        name: String,
    },
    /// Two steps have the same name.
    #[error("two steps are called `{step}`")]
    DuplicateStep {
        /// The name that both have.
        step: StepName,
    },
    /// A step names a step of another builder as its dependency.
    #[error("step `{step}` comes after a step of another saga: use the handles that this builder's `add()` gave")]
    UnknownHandle {
        /// The dependent step's name as it was written.
        step: String,
    },
    /// Several pivots could apply to the same input.
    #[error("several steps are pivots ({}): only one may apply to an input, so give each a `when`", names(.steps))]
    SeveralPivots {
        /// The names of all pivots.
        steps: Vec<StepName>,
    },
    /// A step before the pivot could not be undone.
    #[error("step `{step}` has no compensation: before the pivot every step needs one")]
    NoCompensation {
        /// The name of the step.
        step: StepName,
    },
    /// A step that starts a child saga has a command that undoes it.
    #[error("step `{step}` starts a saga and has a compensation: it is undone by undoing that saga, so leave it out")]
    ChildWithCompensation {
        /// The name of the step.
        step: StepName,
    },
    /// The pivot sends nothing.
    #[error("pivot `{step}` sends no command: a saga cannot be past its point of no return by waiting")]
    PivotWithoutCommand {
        /// The name of the step.
        step: StepName,
    },
    /// It is open on the way whether the pivot is needed.
    #[error("pivot `{step}` has an `if_needed`: without it the saga would have no point of no return; use `when`")]
    PivotPerhapsNeeded {
        /// The name of the step.
        step: StepName,
    },
    /// A step from the pivot on says until when it holds something.
    #[error("step `{step}` holds something until a time, but nothing is held any more from the pivot on")]
    HoldAfterPivot {
        /// The name of the step.
        step: StepName,
    },
    /// A hold can be extended, but its reply does not say until when it lasts.
    #[error("step `{step}` has an `extend`, but no `valid_until` that says when it is needed")]
    ExtensionWithoutValidity {
        /// The name of the step.
        step: StepName,
    },
    /// A step renews a hold of a step that does not come before it.
    #[error("step `{step}` renews the hold of a step that does not come before it")]
    RenewsStranger {
        /// The step's name as it was written.
        step: String,
    },
    /// A signal's name is not of the form that names have.
    #[error(
        "step `{step}` waits for `{name}`, which is not a signal's name: 1 to {SIGNAL_NAME_BYTES_MAX} of a-z, 0-9 and `-`, starting with a letter"
    )]
    BadSignalName {
        /// The step's name as it was written.
        step: String,
        /// The signal's name as it was written.
        name: String,
    },
    /// A signal is awaited for so short a time that none could come.
    #[error("step `{step}` awaits its signal for less than a millisecond")]
    NoTimeToSignal {
        /// The name of the step.
        step: StepName,
    },
    /// A step from the pivot on has a compensation that would never run.
    #[error("step `{step}` has a compensation that would never run: from the pivot on nothing is undone")]
    CompensationAfterPivot {
        /// The name of the step.
        step: StepName,
    },
    /// A compensatable step could run after the pivot, or beside it.
    #[error(
        "compensatable step `{step}` does not come before pivot `{pivot}`: it could run when nothing is undone any more"
    )]
    NotBeforePivot {
        /// The name of the step.
        step: StepName,
        /// The pivot that it does not come before.
        pivot: StepName,
    },
    /// A retriable step could run while the saga may still turn around.
    #[error("retriable step `{step}` comes after no pivot: it could run while the saga may still be undone")]
    NotAfterPivot {
        /// The name of the step.
        step: StepName,
    },
    /// A step before the pivot could be tried for ever while others' inventory is held.
    #[error("step `{step}` is retried without a bound: before the pivot `attempts_max` is needed")]
    UnboundedRetries {
        /// The name of the step.
        step: StepName,
    },
    /// A command that must succeed in the end would be given up.
    #[error(
        "the retries of `{step}` ({}) have a bound: from the pivot on, and back, a command is retried until it succeeds, so leave `attempts_max` out",
        .op.as_str()
    )]
    BoundedRetries {
        /// The name of the step.
        step: StepName,
        /// The direction, forward or back.
        op: Op,
    },
    /// A retry policy makes no sense.
    #[error("the retries of `{step}` ({}) make no sense: {mistake}", .op.as_str())]
    BadRetry {
        /// The name of the step.
        step: StepName,
        /// The direction, forward or back.
        op: Op,
        /// The flaw of the policy, as a clause.
        mistake: &'static str,
    },
    /// A step's reply is awaited for so short a time that none could come.
    #[error("step `{step}` ({}) awaits its reply for less than a millisecond", .op.as_str())]
    NoTimeToReply {
        /// The name of the step.
        step: StepName,
        /// The direction, forward or back.
        op: Op,
    },
    /// The saga's deadline would be over when it starts.
    #[error("the saga's deadline is less than a millisecond")]
    NoTimeAtAll,
    /// A hold could run out, because the saga has no deadline.
    #[error("step `{step}` holds something for {hold:?}, but the saga has no deadline")]
    HoldWithoutDeadline {
        /// The name of the step.
        step: StepName,
        /// The time for which it holds.
        hold: Duration,
    },
    /// A hold could run out before it is confirmed.
    #[error(
        "step `{step}` holds something for {hold:?}, but the saga's deadline and the steps from the pivot on can take {needed:?}"
    )]
    DeadlineOutlastsHold {
        /// The name of the step.
        step: StepName,
        /// The time for which it holds.
        hold: Duration,
        /// The time for which it would have to.
        needed: Duration,
    },
}

fn names(steps: &[StepName]) -> String {
    steps.iter().map(StepName::as_str).collect::<Vec<_>>().join(", ")
}
