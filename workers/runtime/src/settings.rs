//! The settings of a worker.

use std::{net::SocketAddr, time::Duration};

use secrecy::SecretString;

use crate::limits;

/// In front of the domain's name, the name of its database.
pub const DATABASE_PREFIX: &str = "sojourn_";

/// How a worker runs.
#[derive(Debug, Clone)]
pub struct Settings {
    /// A PostgreSQL server; the path of the URL is ignored.
    pub database_url: String,
    /// In front of the domain's name, the name of its database; [`DATABASE_PREFIX`] but for tests.
    pub database_prefix: String,
    /// The most reads of each domain that use its database at a time.
    pub read_connections_max: u32,
    /// Where the internal HTTP is served; port 0 asks the system for one. `None`: nowhere.
    pub listen: Option<SocketAddr>,
    /// The token that callers of the internal HTTP have to show.
    pub internal_token: SecretString,
    /// The most commands in one transaction.
    pub batch_commands_max: usize,
    /// The most deliveries held unacknowledged, each domain.
    pub prefetch_commands: u16,
    /// The most outside calls at a time, each domain.
    pub outside_calls_max: usize,
    /// After so many tries an event that keeps failing goes to the dead letters.
    pub event_tries_max: u32,
    /// How long a stopping worker may take for what it holds.
    pub drain_max: Duration,
    /// The version of the program, as it is told in a roll call.
    pub version: String,
}

impl Settings {
    /// The defaults, which have reasons: see [`crate::limits`].
    #[must_use]
    pub fn new(database_url: impl Into<String>, internal_token: SecretString) -> Self {
        Self {
            database_url: database_url.into(),
            database_prefix: DATABASE_PREFIX.to_owned(),
            read_connections_max: limits::READ_CONNECTIONS_MAX,
            listen: None,
            internal_token,
            batch_commands_max: limits::BATCH_COMMANDS_MAX,
            prefetch_commands: limits::PREFETCH_COMMANDS,
            outside_calls_max: limits::OUTSIDE_CALLS_MAX,
            event_tries_max: limits::EVENT_TRIES_MAX,
            drain_max: limits::DRAIN_MAX,
            version: kit::version::VERSION.to_owned(),
        }
    }
}
