//! How a command can end other than well, and the exit code of each ending: scripts rely on them, so they are
//! written once, here.

use std::{fmt, io};

use contract::RequestId;

/// The documented exit codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Everything was done.
    Ok,
    /// Something failed that none of the others names.
    Error,
    /// The command line, or what it selects, is wrong; nothing was done.
    Usage,
    /// No token, an expired one, or not an operator's.
    Auth,
    /// No such saga or dead letter.
    NotFound,
    /// Of several, some were done and some were not.
    Partial,
    /// The saga does not allow it where it stands now.
    Conflict,
    /// No answer came, or it was lost: a change may have taken effect.
    Unsure,
    Interrupted,
}

impl Exit {
    /// The number that the shell sees.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Error => 1,
            Self::Usage => 2,
            Self::Auth => 3,
            Self::NotFound => 4,
            Self::Partial => 5,
            Self::Conflict => 6,
            Self::Unsure => 7,
            Self::Interrupted => 130,
        }
    }
}

/// Why a command stopped.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    /// For people, on stderr; empty when there is nothing left to say.
    pub(crate) message: String,
    /// True when it was turned away before anything was done, and may be asked again in a moment.
    pub(crate) turned_away: bool,
    /// The server's word for it; empty when it has none.
    pub(crate) code: String,
}

impl Failure {
    /// A failure of its own kind.
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), turned_away: false, code: String::new() }
    }

    /// A failure that no other exit code names.
    pub(crate) fn error(message: impl Into<String>) -> Self {
        Self::new(Exit::Error, message)
    }

    /// A wrong command line that clap cannot see.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// The failure of a change: one whose answer was lost says so.
    pub(crate) fn of_change(self) -> Self {
        match self.exit {
            Exit::Unsure => {
                let message = format!("{}; it may have taken effect: look before you repeat it", self.message);
                Self::new(Exit::Unsure, message)
            }
            _ => self,
        }
    }

    /// The failure of a change that has a name: it may be repeated under it.
    pub(crate) fn of_named_change(self, id: RequestId) -> Self {
        match self.exit {
            Exit::Unsure => {
                let message =
                    format!("{}; it may have taken effect: look, or repeat it with --request-id {id}", self.message);
                Self::new(Exit::Unsure, message)
            }
            _ => self,
        }
    }

    /// The failure of a question: whether it was heard makes no difference.
    pub(crate) fn of_question(self) -> Self {
        match self.exit {
            Exit::Unsure => Self::error(self.message),
            _ => self,
        }
    }

    pub(crate) fn interrupted() -> Self {
        Self::new(Exit::Interrupted, "interrupted")
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// A reader that went away (`sagactl list | head`) ends the program quietly and well; other output errors are said.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Self::new(Exit::Ok, "")
        } else {
            Self::error(format!("cannot write the output: {error}"))
        }
    }
}
