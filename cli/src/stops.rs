//! The two ends that come from outside a command: a Ctrl-C, and the end of the time that it was given.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::failure::{Exit, Failure};

/// The cause that ended a command before its work was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    Interrupted,
    TimeOver,
}

/// The signs that a command is to end.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stops {
    interrupted: CancellationToken,
    time_over: CancellationToken,
    seconds: Option<u32>,
}

impl Stops {
    /// Listens for Ctrl-C, and counts the seconds from now, if there is a limit. A second Ctrl-C, while a command winds up, ends
    /// the program at once.
    pub(crate) fn listen(seconds: Option<u32>) -> Self {
        let stops = Self { seconds, ..Self::default() };
        let interrupted = stops.interrupted.clone();
        tokio::spawn(async move {
            if tokio::signal::ctrl_c().await.is_ok() {
                interrupted.cancel();
            }
            if tokio::signal::ctrl_c().await.is_ok() {
                std::process::exit(i32::from(Exit::Interrupted.code()));
            }
        });
        if let Some(seconds) = seconds {
            let time_over = stops.time_over.clone();
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_secs(seconds.into())).await;
                time_over.cancel();
            });
        }
        stops
    }

    /// Waits for either of them.
    pub(crate) async fn reached(&self) -> Stop {
        tokio::select! {
            () = self.interrupted.cancelled() => Stop::Interrupted,
            () = self.time_over.cancelled() => Stop::TimeOver,
        }
    }

    /// Waits for the end of the time: a request that is under way is awaited until then, whatever a person presses.
    pub(crate) async fn time_over(&self) {
        self.time_over.cancelled().await;
    }

    /// As a Ctrl-C does.
    #[cfg(test)]
    pub(crate) fn interrupt(&self) {
        self.interrupted.cancel();
    }

    /// How a command ends that was stopped so.
    pub(crate) fn failure(&self, stop: Stop) -> Failure {
        match stop {
            Stop::Interrupted => Failure::interrupted(),
            Stop::TimeOver => Failure::error(format!("not done within {} s", self.seconds.unwrap_or_default())),
        }
    }
}
