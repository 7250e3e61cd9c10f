//! The end of a program: SIGTERM and Ctrl-C become one token that every part watches.

use tokio_util::sync::CancellationToken;

/// A token that is cancelled by the first SIGTERM or SIGINT. A second signal ends the process at once.
#[must_use]
pub fn on_signal() -> CancellationToken {
    let token = CancellationToken::new();
    let cancel = token.clone();
    tokio::spawn(async move {
        wait().await;
        tracing::info!("stopping: what is in flight is finished first");
        cancel.cancel();
        wait().await;
        tracing::warn!("stopping at once");
        std::process::exit(130);
    });
    token
}

async fn wait() {
    use tokio::signal::unix::{SignalKind, signal};
    match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
        (Ok(mut terminate), Ok(mut interrupt)) => {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        }
        (Err(error), _) | (_, Err(error)) => {
            tracing::error!(%error, "signals cannot be watched; only SIGKILL will end this process");
            std::future::pending::<()>().await;
        }
    }
}
