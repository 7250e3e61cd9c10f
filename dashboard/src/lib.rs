//! The operators' pages: a client of the door, as `sagactl` is one. It holds sessions and draws; what is true stands in the
//! orchestrator, and what is allowed is decided there and at the door.
//!
//! ```text
//!  browser --/ops, cookie--> gateway --internal token--> dashboard   guard: only our own pages change something
//!                                                          visitor: whose session it is
//!                                                          pages/*: read by the door, shown by view/* and templates
//!                                                          looks: what many open pages share
//!                                                          over: logins of sessions that nobody has ended
//!  gateway <--/ops/api, the session's token------------- door
//! ```

mod app;
mod assets;
mod attention;
mod cookies;
mod door;
mod failure;
mod frame;
mod guard;
mod half_logins;
mod looks;
mod over;
mod pages;
mod routes;
mod session;
pub mod settings;
mod view;
mod visitor;

use std::{net::SocketAddr, sync::Arc};

use kit::{clock::Clock, http::Calls, readiness::Readiness};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub use settings::{Cli, Settings};

use crate::app::App;

/// A reason why the dashboard could not start.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The HTTP client could not be made.
    #[error("preparing HTTP towards the door")]
    Client(#[source] reqwest::Error),
    /// Another program listens there, or the address is not this machine's.
    #[error("listening on {address}")]
    Listen {
        /// The address that was asked for.
        address: SocketAddr,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
}

/// A running dashboard.
#[derive(Debug)]
pub struct Dashboard {
    /// The address in force.
    pub address: SocketAddr,
    task: JoinHandle<std::io::Result<()>>,
}

impl Dashboard {
    /// Returns when the dashboard has stopped, after its token was cancelled and open requests were answered.
    pub async fn stopped(self) {
        match self.task.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "the dashboard's server failed"),
            Err(error) => tracing::error!(%error, "the dashboard's server ended unexpectedly"),
        }
    }
}

/// Starts a dashboard and returns once it listens. It serves until `token` is cancelled. The door need not be there yet.
///
/// # Errors
/// [`RunError`] names what could not be done.
pub async fn start(settings: Settings, clock: Arc<dyn Clock>, token: CancellationToken) -> Result<Dashboard, RunError> {
    let app = App::new(&settings, clock, token.clone()).map_err(RunError::Client)?;
    tokio::spawn(over::end_sessions(app.clone(), over::LOOK_EVERY));
    let pages = kit::http::require_internal_token(routes::router(app), &settings.internal_token);
    let router = kit::http::base(pages, &kit::metrics::install(), Readiness::new());
    let calls = Calls::new(kit::http::CALLS_MAX);
    let served = kit::http::serve(settings.listen, router, calls, token).await;
    let (address, task) = served.map_err(|source| RunError::Listen { address: settings.listen, source })?;
    tracing::info!(%address, "the dashboard listens");
    Ok(Dashboard { address, task })
}

/// Runs a dashboard on the machine's clock until `token` is cancelled.
///
/// # Errors
/// [`RunError`] names what could not be done.
pub async fn run(settings: Settings, token: CancellationToken) -> Result<(), RunError> {
    start(settings, kit::clock::system(), token).await?.stopped().await;
    Ok(())
}
