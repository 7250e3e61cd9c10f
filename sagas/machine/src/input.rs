//! The inputs that reach a saga after its start, as one closed enum.

use chrono::{DateTime, Utc};
use contract::{
    Document, RequestId, SagaId, SignalId, SignalName,
    command::Outcome,
    saga::{Action, Cause},
    step::CommandId,
};

/// One thing that reaches a saga.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// A participant answered.
    Replied {
        /// The id of the command that is answered.
        command_id: CommandId,
        /// The number of the attempt that is answered.
        attempt: u16,
        /// The participant's outcome.
        outcome: Outcome<Document>,
    },
    /// The command ended in the dead letters, which counts as a fault of that attempt.
    DeadLettered {
        /// The id of the command.
        command_id: CommandId,
        /// The number of the attempt.
        attempt: u16,
        /// The reason that the dead letter gives.
        reason: String,
    },
    /// An attempt's reply is missing: it is overdue, while its domain has answered what was sent later. A domain that
    /// answers nothing is no reason for this input: then the saga's clock stands.
    ReplyMissing {
        /// The id of the command.
        command_id: CommandId,
        /// The number of the attempt.
        attempt: u16,
    },
    /// A signal came from outside.
    Signaled(Signal),
    /// A child saga has come to its end.
    ChildEnded {
        /// The id of the child.
        child: SagaId,
        /// The child's end.
        end: ChildEnd,
    },
    /// The saga is a child, and its parent wants it undone, for this cause.
    Undo {
        /// The parent's cause.
        cause: Cause,
    },
    /// Time has passed: retries, timers and waits that are due by `now`, and the deadline, are acted on. Harmless when none is.
    TimePassed,
    /// An operator acts.
    Operator {
        /// The person, and the reason given.
        operator: Operator,
        /// The action that is asked for.
        action: Action,
        /// The terms on which it is to take effect.
        terms: Terms,
    },
}

/// The end of a child saga.
#[derive(Debug, Clone, PartialEq)]
pub enum ChildEnd {
    /// Every step that applies took effect.
    Completed {
        /// The result, as the child's definition makes it.
        result: Document,
    },
    /// Everything was undone.
    Compensated {
        /// The cause of the child, when it tells one.
        cause: Option<Cause>,
    },
    /// An operator gave it up as it stood.
    Abandoned,
}

/// The terms on which an operator's action is to take effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Terms {
    /// The request, which is carried out once however often it comes.
    pub request_id: Option<RequestId>,
    /// The time from which nobody waits for it any more, so that it is not to take effect.
    pub expires_at: Option<DateTime<Utc>>,
}

/// The person who acts on a saga by hand, and the reason given. Journaled as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Operator {
    /// The person's identity, such as a user's id.
    pub actor: String,
    /// The person's role at the time.
    pub role: String,
    /// The reason in the person's own words.
    pub reason: String,
}

/// A signal from outside.
#[derive(Debug, Clone, PartialEq)]
pub struct Signal {
    /// The id that its sender gave it: a signal that comes again under the same id is the same.
    pub id: SignalId,
    /// The name of the signal.
    pub name: SignalName,
    /// The signal's payload.
    pub payload: Document,
    /// The person or part that sent it, when it is known.
    pub actor: Option<String>,
}
