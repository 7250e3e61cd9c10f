//! What a decision asks the shell to do, once its entries are committed.

use chrono::{DateTime, Utc};
use contract::{command::Route, step::CommandId};
use serde_json::value::RawValue;

use crate::entry::Entry;

/// What one input leads to: first commit the entries, then act.
#[derive(Debug)]
pub struct Decision {
    /// To be appended to the journal, all or none; empty when nothing changes.
    pub entries: Vec<Entry>,
    /// To be carried out after the commit.
    pub effects: Vec<Effect>,
    /// What the sender of the input may be told.
    pub verdict: Verdict,
}

/// One act of the shell.
#[derive(Debug, Clone)]
pub enum Effect {
    /// Publish this command.
    Send(CommandToSend),
    /// Give the machine [`crate::Input::TimePassed`] at this time. Always the earliest due time of the saga: it
    /// replaces the one before.
    WakeAt(DateTime<Utc>),
    /// Nothing is due any more: forget the wake-up.
    Sleep,
}

/// A command, complete but for what the shell adds: message id, reply address and trace.
#[derive(Debug, Clone)]
pub struct CommandToSend {
    /// The work, stable over retries.
    pub command_id: CommandId,
    /// Which sending this is.
    pub attempt: u16,
    /// The command's name.
    pub name: &'static str,
    /// The command's version.
    pub version: u16,
    /// The domain.
    pub route: Route,
    /// When a worker must no longer start it: the reply's deadline.
    pub deadline: DateTime<Utc>,
    /// The command.
    pub payload: Box<RawValue>,
}

/// What became of an input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It changed the saga.
    Accepted,
    /// It changed nothing, as it should: a duplicate, a late or an outdated reply, nothing due.
    Ignored(&'static str),
    /// A reply to a command that this saga never sent.
    Unknown(String),
    /// An operator's action that is not possible now; the text says why and what is.
    Refused {
        /// A stable word.
        code: &'static str,
        /// For people.
        message: String,
    },
}
