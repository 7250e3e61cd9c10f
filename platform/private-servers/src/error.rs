//! The failures of a private server while it is found, prepared, started or stopped. Each variant says
//! what was being done, and where a person can act, what to do.

use std::{io, path::PathBuf, time::Duration};

/// A private server could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server's programs are not on this machine.
    #[error(
        "{server} is not installed: run `cargo xtask run` or `cargo xtask test`, which get it, or install it with \
         `{install}`, or name its place in {variable}"
    )]
    Missing {
        /// The server that is missing.
        server: &'static str,
        /// The command that installs it.
        install: String,
        /// The environment variable that names its place.
        variable: &'static str,
    },
    /// The data folder was made by a version of PostgreSQL that is not on this machine.
    #[error("{} holds data of PostgreSQL {wanted}, but only these are installed: {found}", folder.display())]
    WrongVersion {
        folder: PathBuf,
        /// The major version that made it.
        wanted: String,
        /// The major versions that are installed.
        found: String,
    },
    /// Another process works in the data folder.
    #[error("{} is in use by another process: stop it first, or choose another data folder", folder.display())]
    InUse { folder: PathBuf },
    /// The folder belongs to another user and this process may not run as that user.
    #[error("{} belongs to another user (uid {uid}): run as that user, or choose another data folder", folder.display())]
    ForeignFolder { folder: PathBuf, uid: u32 },
    /// Root started the server, and its user is missing and could not be made.
    #[error(
        "PostgreSQL cannot run as root, and its user {user} could not be made: make it with `useradd --system --user-group {user}`"
    )]
    NoUser {
        /// The user's name.
        user: &'static str,
    },
    /// The server does not know the password that lies beside its data.
    #[error(
        "PostgreSQL does not take the password in {}: remove that file, and the next start sets a new password",
        file.display()
    )]
    WrongPassword {
        /// Where the password lies.
        file: PathBuf,
    },
    /// A file or folder could not be read or written.
    #[error("could not {doing} {}", path.display())]
    File {
        doing: &'static str,
        /// To which file or folder.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// A program could not be started at all.
    #[error("could not run {program}")]
    Spawn {
        program: String,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// A program ended with an error.
    #[error("{program} failed ({status}):\n{output}")]
    Failed {
        program: String,
        status: String,
        /// The end of what it printed.
        output: String,
    },
    /// The server ended while it was starting.
    #[error("{server} ended while it was starting ({status}); the end of {}:\n{tail}", log.display())]
    Ended {
        server: &'static str,
        status: String,
        log: PathBuf,
        /// The end of its log.
        tail: String,
    },
    /// The server did not accept connections in time.
    #[error("{server} did not accept connections within {} s; the end of {}:\n{tail}", limit.as_secs(), log.display())]
    Slow {
        server: &'static str,
        /// How long it was waited for.
        limit: Duration,
        log: PathBuf,
        /// The end of its log.
        tail: String,
    },
    /// No free port was found, or the demanded one is taken.
    #[error("no free port on 127.0.0.1 for {server}: {detail}")]
    Port {
        server: &'static str,
        /// Which ports were tried.
        detail: String,
    },
    /// A statement was not carried out.
    #[error("PostgreSQL at 127.0.0.1:{port} did not carry out `{statement}`: {message}")]
    Statement {
        /// The server's port.
        port: u16,
        statement: String,
        /// The server's or the connection's answer.
        message: String,
    },
    /// A package could not be installed.
    #[error("{server} is missing and was not installed ({reason}): run `{install}`")]
    Install {
        /// The server that is missing.
        server: &'static str,
        /// Why installing it failed.
        reason: String,
        /// The command that installs it.
        install: String,
    },
}

impl Error {
    /// For `map_err` on file operations.
    pub(crate) fn file(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Error {
        let path = path.into();
        move |source| Error::File { doing, path, source }
    }
}
