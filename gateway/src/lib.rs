//! The door: the only part of Sojourn that clients and operators reach. It is thin. It knows who asks and whether the
//! request can be read, and passes it on; what is allowed to happen is decided behind it.
//!
//! ```text
//!  connection limits            server     headers read in time, at most so many, so large
//!   request cleaned             guard      what only the inside may say is taken off; a trace is begun
//!    request id, log, panics,   kit        the same around every program
//!    time and size limits
//!     (limits by address)       --         later: a layer here, keyed by the connection's address
//!      who asks                 auth       the token's signature and claims, per route of the table
//!       (limits by person)      --         later: a layer here, by the route's `limit` class
//!        (roles, tenants)       --         later: finer than the table's `auth`
//!         the route             routes/    one file each; GraphQL will be one more row of the table
//!   response headers            guard      the same on every answer, whoever made it
//! ```

mod auth;
mod door;
mod guard;
mod keys;
mod routes;
mod server;
pub mod settings;
mod table;
mod upstream;

mod card;
mod idempotency;
mod order_request;
mod public;

use std::{net::SocketAddr, sync::Arc};

use kit::{clock::Clock, http::Calls, readiness::Readiness};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub use settings::{Cli, Settings, SettingsError};
pub use table::markdown as route_table;

use crate::door::Door;

/// Why the gateway could not start.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A setting cannot work.
    #[error("the settings are wrong")]
    Settings(#[from] SettingsError),
    /// The HTTP client could not be made.
    #[error("preparing HTTP towards the other parts")]
    Client(#[source] reqwest::Error),
    /// Somebody else listens there, or the address is not this machine's.
    #[error("listening on {address}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
}

/// A gateway that serves.
#[derive(Debug)]
pub struct Gateway {
    /// The address in force.
    pub address: SocketAddr,
    /// What it needs, by name.
    pub readiness: Readiness,
    task: JoinHandle<()>,
}

impl Gateway {
    /// Returns when the gateway has stopped, after its token was cancelled and open requests were answered.
    pub async fn stopped(self) {
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the gateway's server ended unexpectedly");
        }
    }
}

/// Starts a gateway and returns once it listens. It serves until `token` is cancelled. The parts behind it need not be
/// there yet: until they are, `/ready` names them and requests that need them are answered with 503.
///
/// # Errors
/// [`RunError`].
pub async fn start(settings: Settings, clock: Arc<dyn Clock>, token: CancellationToken) -> Result<Gateway, RunError> {
    settings.validate()?;
    let readiness = Readiness::new();
    let door = Door::new(&settings, clock, token.clone()).map_err(RunError::Client)?;
    door.clone().watch(readiness.clone());
    // A connection has one call at a time, so that only callers who hung up can take the places of others.
    let calls = Calls::new(u32::try_from(settings.connections_max).unwrap_or(u32::MAX));
    let router = kit::http::base(table::router(&door, &calls), &kit::metrics::install(), readiness.clone());
    let router = guard::around(router, &settings);
    let (address, task) = server::serve(settings.listen, router, settings.connections_max, calls, token)
        .await
        .map_err(|source| RunError::Listen { address: settings.listen, source })?;
    tracing::info!(%address, "the gateway listens");
    Ok(Gateway { address, readiness, task })
}

/// Runs a gateway on the machine's clock until `token` is cancelled.
///
/// # Errors
/// [`RunError`].
pub async fn run(settings: Settings, token: CancellationToken) -> Result<(), RunError> {
    start(settings, kit::clock::system(), token).await?.stopped().await;
    Ok(())
}
