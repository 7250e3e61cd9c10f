//! The codes that the machine gives by itself, each with a page in `docs/errors`. Participants add their own, which
//! the machine passes on as they are.

/// The cause of a saga that was given up at its deadline.
pub const CAUSE_DEADLINE_PASSED: &str = "deadline_passed";

/// The cause of a saga that an operator abandoned.
pub const CAUSE_GIVEN_UP: &str = "given_up";

pub use contract::saga::{CAUSE_HOLD_EXPIRED, CAUSE_SAGA_CANCELLED, CAUSE_SIGNAL_MISSED};

/// The cause of a step whose child was compensated for a cause that it does not tell.
pub const CAUSE_CHILD_COMPENSATED: &str = "child_compensated";
/// The cause of a step whose child could not begin.
pub const CAUSE_CHILD_UNSTARTABLE: &str = "child_unstartable";
/// The failure of a step whose child was given up by hand.
pub const FAILURE_CHILD_ABANDONED: &str = "child_abandoned";

/// The failure of an attempt that was not answered in time.
pub const FAILURE_REPLY_MISSING: &str = "reply_missing";
/// The failure of an attempt whose reply is not of the command's reply type.
pub const FAILURE_REPLY_UNREADABLE: &str = "reply_unreadable";

/// An operator's action is refused because the saga has ended.
pub const REFUSED_SAGA_FINISHED: &str = "saga_finished";
/// An operator's action is refused because the saga was started under another definition.
pub const REFUSED_DEFINITION_MISMATCH: &str = "definition_mismatch";
/// An operator's action is refused because the definition has no such step.
pub const REFUSED_STEP_UNKNOWN: &str = "step_unknown";
/// A retry is refused because nothing is stuck or waits for its next attempt.
pub const REFUSED_RETRY_IMPOSSIBLE: &str = "retry_impossible";
/// An operator's action is refused because it reached its saga too late.
pub const REFUSED_ACTION_EXPIRED: &str = "action_expired";
/// A skip is refused because the step awaits no outcome, or is under way and nobody said to skip it all the same.
pub const REFUSED_SKIP_IMPOSSIBLE: &str = "skip_impossible";
/// A skip is refused because its reply is not of the command's reply type.
pub const REFUSED_REPLY_MISMATCH: &str = "reply_mismatch";
/// An edit is refused because the step has no command that is stuck or waits for its next attempt.
pub const REFUSED_EDIT_IMPOSSIBLE: &str = "edit_impossible";
/// An edit is refused because what it makes is not of the command's type, or no other than before.
pub const REFUSED_COMMAND_MISMATCH: &str = "command_mismatch";
/// A compensation is not resolved because it is neither stuck nor waits for its next attempt.
pub const REFUSED_RESOLVE_IMPOSSIBLE: &str = "resolve_impossible";
/// A cancel is refused because the pivot was issued.
pub const REFUSED_PIVOT_PASSED: &str = "pivot_passed";
/// A cancel is refused because the saga is being undone already.
pub const REFUSED_SAGA_COMPENSATING: &str = "saga_compensating";
/// A retry, or a new time while the clock is frozen, is refused because the saga is paused.
pub const REFUSED_SAGA_PAUSED: &str = "saga_paused";
/// An operator's action is refused because the saga is abandoned, and only its business object is still to be closed.
pub const REFUSED_SAGA_CLOSING: &str = "saga_closing";
/// A timer is not fired or rescheduled because the step does not wait.
pub const REFUSED_TIMER_NOT_SET: &str = "timer_not_set";

/// A migration is refused because the saga could not have come as far under the other version.
pub const REFUSED_MIGRATION_IMPOSSIBLE: &str = "migration_impossible";

/// A signal is refused because the saga's definition has no step that waits for one of its name.
pub const REFUSED_SIGNAL_UNKNOWN: &str = "signal_unknown";
/// A signal is refused because its payload is not of the type that its step takes.
pub const REFUSED_SIGNAL_MISMATCH: &str = "signal_mismatch";
/// A signal is refused because another one came before under the same id.
pub const REFUSED_SIGNAL_ID_REUSED: &str = "signal_id_reused";
