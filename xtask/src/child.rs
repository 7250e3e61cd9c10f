//! Child processes that a task runs to their end, with the terminal's signals handled in order.
//!
//! A child has a process group of its own, so that Ctrl-C reaches xtask alone, which hands it on: the
//! child ends first, and then the servers that it uses.

use std::{
    ffi::OsStr,
    process::{ExitCode, ExitStatus, Stdio},
    time::Duration,
};

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    process::Command,
    signal::unix::{SignalKind, signal},
    sync::watch,
    time::timeout,
};
use xtask::workspace;

/// How long a child may take to end after it was told to.
const STOP_LIMIT: Duration = Duration::from_secs(60);

/// How a child ended.
#[derive(Debug, Clone, Copy)]
pub(crate) enum End {
    Exited(ExitStatus),
    /// Because xtask was told to stop, with this signal.
    Stopped(Signal),
}

impl End {
    pub(crate) fn is_success(self) -> bool {
        matches!(self, End::Exited(status) if status.success())
    }

    /// The exit code that xtask itself ends with.
    pub(crate) fn code(self) -> ExitCode {
        match self {
            End::Exited(status) => {
                let code = status.code().and_then(|code| u8::try_from(code).ok());
                code.map_or(ExitCode::FAILURE, ExitCode::from)
            }
            // As shells say it.
            End::Stopped(signal) => ExitCode::from(u8::try_from(128 + signal.as_raw()).unwrap_or(u8::MAX)),
        }
    }
}

/// Cargo itself, in this workspace.
pub(crate) fn cargo<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(arguments: I) -> Command {
    let mut command = Command::new(workspace::cargo_program());
    command.args(arguments).current_dir(workspace::root());
    // What cargo told xtask about xtask is not true of the children.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") || text == "CARGO_BIN_NAME" {
            command.env_remove(name);
        }
    }
    command
}

/// Says when xtask was told to end. One for the whole run: a signal between two children counts for the next.
#[derive(Debug, Clone)]
pub(crate) struct Stop {
    told: watch::Receiver<Option<Signal>>,
}

impl Stop {
    /// Listens for Ctrl-C and polite requests to end from now on.
    pub(crate) fn listen() -> anyhow::Result<Stop> {
        let mut interrupt = signal(SignalKind::interrupt()).context("could not listen for Ctrl-C")?;
        let mut terminate = signal(SignalKind::terminate()).context("could not listen for SIGTERM")?;
        let mut hangup = signal(SignalKind::hangup()).context("could not listen for SIGHUP")?;
        let (tell, told) = watch::channel(None);
        tokio::spawn(async move {
            let signal = tokio::select! {
                _ = interrupt.recv() => Signal::INT,
                _ = terminate.recv() => Signal::TERM,
                _ = hangup.recv() => Signal::HUP,
            };
            let _ = tell.send(Some(signal));
            // Kept open: a closed channel would read as a second signal.
            tell.closed().await;
        });
        Ok(Stop { told })
    }

    /// Whether xtask was told to end.
    pub(crate) fn has_told(&self) -> Option<Signal> {
        *self.told.borrow()
    }

    /// Waits until xtask is told to end.
    pub(crate) async fn told(&self) -> Signal {
        match self.told.clone().wait_for(Option::is_some).await {
            Ok(signal) => signal.unwrap_or(Signal::TERM),
            // The listener ends only with the runtime.
            Err(_) => std::future::pending().await,
        }
    }
}

/// Runs a child to its end, or until xtask is told to stop; then the child gets the same signal and a while to end.
pub(crate) async fn run(mut command: Command, stop: &Stop) -> anyhow::Result<End> {
    let shown = format!("{:?}", command.as_std().get_program());
    // A child outside the terminal's foreground group would be stopped if it read from the terminal.
    command.stdin(Stdio::null()).process_group(0).kill_on_drop(true);
    let mut child = command.spawn().with_context(|| format!("could not run {shown}"))?;
    let group = child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
    let signal = tokio::select! {
        ended = child.wait() => return Ok(End::Exited(ended?)),
        signal = stop.told() => signal,
    };
    if let Some(group) = group {
        // An error means that it has just ended.
        let _ = kill_process_group(group, signal);
        if timeout(STOP_LIMIT, child.wait()).await.is_err() {
            eprintln!("{shown} did not end within {} s and is killed", STOP_LIMIT.as_secs());
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
    Ok(End::Stopped(signal))
}
