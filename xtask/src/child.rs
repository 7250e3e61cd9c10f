//! Child processes that a task runs to their end, with the terminal's signals handled in order.
//!
//! A child has a process group of its own, so that Ctrl-C reaches xtask alone, which hands it on: the
//! child ends first, and then the servers that it uses.

use std::{
    ffi::OsStr,
    process::{ExitCode, ExitStatus},
    time::Duration,
};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    process::Command,
    signal::unix::{SignalKind, signal},
    time::timeout,
};

/// How long a child may take to end after it was told to.
const STOP_LIMIT: Duration = Duration::from_secs(60);

/// How a child ended.
#[derive(Debug, Clone, Copy)]
pub(crate) enum End {
    /// By itself.
    Exited(ExitStatus),
    /// Because xtask was told to stop, with this signal.
    Stopped(Signal),
}

impl End {
    pub(crate) fn is_success(self) -> bool {
        matches!(self, End::Exited(status) if status.success())
    }

    /// What xtask itself ends with.
    pub(crate) fn code(self) -> ExitCode {
        match self {
            End::Exited(status) => {
                let code = status.code().and_then(|code| u8::try_from(code).ok());
                code.map_or(ExitCode::FAILURE, ExitCode::from)
            }
            // As shells say it.
            End::Stopped(signal) => {
                ExitCode::from(u8::try_from(128 + signal.as_raw()).unwrap_or(u8::MAX))
            }
        }
    }
}

/// Cargo itself, in this workspace.
pub(crate) fn cargo<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(arguments: I) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command
        .args(arguments)
        .current_dir(crate::workspace::root());
    // What cargo told xtask about xtask is not true of the children.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_")
            || text.starts_with("CARGO_MANIFEST_")
            || text == "CARGO_BIN_NAME"
        {
            command.env_remove(name);
        }
    }
    command
}

/// Waits for Ctrl-C or a polite request to end.
pub(crate) async fn told_to_stop() -> anyhow::Result<Signal> {
    let mut interrupt = signal(SignalKind::interrupt()).context("could not listen for Ctrl-C")?;
    let mut terminate = signal(SignalKind::terminate()).context("could not listen for SIGTERM")?;
    let mut hangup = signal(SignalKind::hangup()).context("could not listen for SIGHUP")?;
    tokio::select! {
        _ = interrupt.recv() => Ok(Signal::INT),
        _ = terminate.recv() => Ok(Signal::TERM),
        _ = hangup.recv() => Ok(Signal::HUP),
    }
}

/// Runs a child to its end, or until xtask is told to stop; then the child gets the same signal and a while to end.
pub(crate) async fn run(mut command: Command) -> anyhow::Result<End> {
    let shown = format!("{:?}", command.as_std().get_program());
    let stop = told_to_stop();
    let mut child = command
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("could not run {shown}"))?;
    let group = child
        .id()
        .and_then(|pid| i32::try_from(pid).ok())
        .and_then(Pid::from_raw);
    tokio::select! {
        ended = child.wait() => Ok(End::Exited(ended?)),
        signal = stop => {
            let signal = signal?;
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
    }
}

/// Runs a child that must succeed and returns what it printed.
pub(crate) async fn output(mut command: Command) -> anyhow::Result<Vec<u8>> {
    let shown = format!("{:?}", command.as_std());
    let output = command
        .output()
        .await
        .with_context(|| format!("could not run {shown}"))?;
    if !output.status.success() {
        bail!(
            "{shown} failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(output.stdout)
}
