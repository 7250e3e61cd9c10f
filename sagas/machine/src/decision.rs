//! The answer of [`crate::decide()`] and [`crate::start()`]: entries to commit, commands to publish after the commit,
//! and the state that the saga is in then.

use std::time::Duration;

use chrono::{DateTime, Utc};
use contract::{Document, SagaId, command::Route, saga::Cause, step::CommandId};
use serde_json::value::RawValue;

use crate::{
    entry::{Entry, Parent},
    state::State,
    step::CommandSpec,
};

/// The consequence of one input: the caller commits the entries, then publishes the commands. It asks
/// [`crate::next_wake()`] when the reached state wants to hear that time has passed.
#[derive(Debug)]
pub struct Decision {
    /// To be appended to the journal, all or none; empty when nothing changes.
    pub entries: Vec<Entry>,
    /// The state after these entries, as [`crate::evolve()`] gives it: the caller takes it over and evolves nothing.
    pub state: State,
    /// To be published after the commit.
    pub commands: Vec<CommandToSend>,
    /// To be done with child sagas: what begins is committed together with the entries, the rest is told afterwards.
    pub children: Vec<ChildCall>,
    /// The verdict for the sender of the input.
    pub verdict: Verdict,
}

/// A command, complete but for what the shell adds: message id, reply address and trace.
#[derive(Debug, Clone)]
pub struct CommandToSend {
    /// The command's identity, stable over retries.
    pub command_id: CommandId,
    /// The number of this sending.
    pub attempt: u16,
    /// The command's name.
    pub name: &'static str,
    /// The command's version.
    pub version: u16,
    /// The domain that carries it out.
    pub route: Route,
    /// The time after which a worker must no longer start it; none for what must succeed in the end.
    pub expires_at: Option<DateTime<Utc>>,
    /// The time for which its reply is awaited, from its confirmed publishing on.
    pub reply_within: Duration,
    /// The command as JSON.
    pub payload: Box<RawValue>,
}

/// A word of a saga to a child of it.
#[derive(Debug, Clone, PartialEq)]
pub enum ChildCall {
    /// The child begins.
    Begin(ChildStart),
    /// The child is to be undone. A child that is past its point of no return goes on.
    Undo {
        /// The id of the child.
        child: SagaId,
        /// The cause of its parent.
        cause: Cause,
    },
    /// The child's end is to be told, when it has ended.
    Ask {
        /// The id of the child.
        child: SagaId,
    },
}

/// A child saga that begins.
#[derive(Debug, Clone, PartialEq)]
pub struct ChildStart {
    /// The id of the child.
    pub child: SagaId,
    /// The step that starts it.
    pub parent: Parent,
    /// The name of the child's definition.
    pub name: &'static str,
    /// The version of the child's definition.
    pub version: u32,
    /// The child's input.
    pub input: Document,
}

/// The answer to the sender of an input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It changed the saga.
    Accepted,
    /// It changed nothing, as it should: a duplicate, a late or an outdated reply, nothing due.
    Ignored(&'static str),
    /// A reply to a command that this saga never sent.
    Unknown(String),
    /// An operator's action that is not possible now; the text says why, and which action is.
    Refused {
        /// One of [`crate::codes`].
        code: &'static str,
        /// The explanation for people.
        message: String,
    },
}

impl Decision {
    /// A decision that leaves the saga as it is.
    pub(crate) const fn unchanged(state: State, verdict: Verdict) -> Self {
        Self { entries: Vec::new(), state, commands: Vec::new(), children: Vec::new(), verdict }
    }
}

impl CommandToSend {
    pub(crate) const fn new(
        spec: &CommandSpec,
        command_id: CommandId,
        attempt: u16,
        expires_at: Option<DateTime<Utc>>,
        payload: Box<RawValue>,
    ) -> Self {
        let CommandSpec { name, version, route, reply_within, .. } = *spec;
        Self { command_id, attempt, name, version, route, expires_at, reply_within, payload }
    }
}
