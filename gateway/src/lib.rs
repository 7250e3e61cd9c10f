//! The door: the only part of Sojourn that clients and operators reach. It is thin. It knows who asks and whether the
//! request can be read, and passes it on; what is allowed to happen is decided behind it.
//!
//! ```text
//!  connection limits            server     headers read in time, at most so many, so large; connections and places
//!                                          of each address (connections, address)
//!   request cleaned             middleware what only the inside may say is taken off; a trace is begun
//!    request id, log, panics,   kit        the same around every program
//!    time and size limits
//!      who asks too much        endpoint   rates of an address (throttle); a reserve for operators
//!      who asks                 access     the token's signature and claims, by the route's `access`
//!       a place and a task      kit        the call runs to its end, also when its caller hangs up
//!        the route             routes/    declared beside its handler; a saga's start is client_saga's
//!   response headers            middleware the same on every response, the kit's own ones too
//! ```

mod access;
mod address;
mod app;
mod audited;
mod called_at;
mod client_saga;
mod code_guesses;
mod connections;
mod endpoint;
mod fields;
mod guesses;
mod hop;
mod idempotency;
mod keys;
mod middleware;
mod part;
mod rights;
mod routes;
mod saga_reads;
mod server;
pub mod settings;
mod streams;
mod throttle;
mod upstream;
mod views;

use std::{net::SocketAddr, sync::Arc};

use kit::{clock::Clock, http::Calls, readiness::Readiness};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

pub use routes::route_table;
pub use settings::{Cli, Settings, SettingsError};

use crate::{
    address::TrustedProxies,
    app::App,
    connections::{Connections, RESERVE_MAX},
    upstream::Part,
};

/// The files that one connection may need: its own, and one towards the part that answers it.
const FILES_OF_A_CONNECTION: usize = 2;

/// The files of everything else: logs, the listener, looks at the parts.
const OWN_FILES: usize = 200;

/// A reason why the gateway could not start.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A setting cannot work.
    #[error("the settings are wrong")]
    Settings(#[from] SettingsError),
    /// The HTTP client could not be made.
    #[error("preparing HTTP towards the other parts")]
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

/// A running gateway.
#[derive(Debug)]
pub struct Gateway {
    /// The address in force.
    pub address: SocketAddr,
    /// The parts behind the door that are missing, by name.
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
/// [`RunError`] names what could not be done.
pub async fn start(settings: Settings, clock: Arc<dyn Clock>, token: CancellationToken) -> Result<Gateway, RunError> {
    let address = settings.listen;
    let bound = TcpListener::bind(address).await;
    start_on(bound.map_err(|source| RunError::Listen { address, source })?, settings, clock, token)
}

/// Starts a gateway at an address that is bound already, for a program that would not begin anything without it.
///
/// # Errors
/// [`RunError`] names what could not be done.
pub fn start_on(
    listener: TcpListener,
    settings: Settings,
    clock: Arc<dyn Clock>,
    token: CancellationToken,
) -> Result<Gateway, RunError> {
    settings.validate()?;
    let bound = listener.local_addr();
    let address = bound.map_err(|source| RunError::Listen { address: settings.listen, source })?;
    let readiness = Readiness::new();
    let app = App::new(&settings, clock, token.clone()).map_err(RunError::Client)?;
    app.clone().watch(parts(), readiness.clone());
    let connections_max = connections_that_fit(settings.crowd.connections_max);
    // A connection has one call at a time, so that only callers who hung up can take the places of others.
    let calls = Calls::new(u32::try_from(connections_max + RESERVE_MAX).unwrap_or(u32::MAX));
    let router = kit::http::base(routes::router(&app, &calls), &kit::metrics::install(), readiness.clone());
    let router = middleware::around(router, &settings);
    let crowd = server::Crowd {
        connections: Connections::new(connections_max, settings.crowd.address_connections_max),
        proxies: TrustedProxies::new(&settings.crowd.trusted_proxies),
    };
    let task = server::serve(listener, router, crowd, calls, token);
    tracing::info!(%address, "the gateway listens");
    Ok(Gateway { address, readiness, task })
}

/// The wanted number of connections, or as many as the system gives this process files for: more would be accepted and
/// then fail.
fn connections_that_fit(wanted: usize) -> usize {
    let wanted = wanted.max(1);
    let needed = (wanted + RESERVE_MAX) * FILES_OF_A_CONNECTION + OWN_FILES;
    let files = kit::files::raise_limit(needed);
    if files >= needed {
        return wanted;
    }
    let fit = (files.saturating_sub(OWN_FILES) / FILES_OF_A_CONNECTION).saturating_sub(RESERVE_MAX).max(1);
    tracing::warn!(wanted, fit, files, needed, "fewer connections are taken: the limit of open files is too low");
    fit
}

/// The parts that routes need.
fn parts() -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    for endpoint in routes::ROUTES {
        if !parts.contains(&endpoint.part) {
            parts.push(endpoint.part);
        }
    }
    parts
}

/// Runs a gateway on the machine's clock until `token` is cancelled.
///
/// # Errors
/// [`RunError`] names what could not be done.
pub async fn run(settings: Settings, token: CancellationToken) -> Result<(), RunError> {
    start(settings, kit::clock::system(), token).await?.stopped().await;
    Ok(())
}
