//! What the gateway can be told: where it listens, and where the parts behind it are.

use std::net::SocketAddr;

use clap::Parser;
use kit::settings::{Common, DEVELOPMENT_INTERNAL_TOKEN};
use reqwest::Url;
use secrecy::SecretString;

/// Where the gateway listens when it is not told.
pub const LISTEN_DEFAULT: &str = "127.0.0.1:8080";
/// Where the orchestrator is when nothing is said.
pub const ORCHESTRATOR_DEFAULT: &str = "http://127.0.0.1:8081";
/// Where the workers' reads are when nothing is said: one process may run all domains.
pub const WORKERS_DEFAULT: &str = "http://127.0.0.1:8082";

/// The most open connections: each costs some 20 KB while idle, and file descriptors end at some point. Past it new
/// ones wait in the system's queue.
pub const CONNECTIONS_MAX_DEFAULT: usize = 10_000;

/// The door of Sojourn: the only part that clients and operators reach.
#[derive(Debug, Clone, Parser)]
#[command(name = "gateway", version)]
pub struct Cli {
    /// What every program takes.
    #[command(flatten)]
    pub common: Common,
    /// The address of the door.
    #[arg(long, env = "SOJOURN_GATEWAY_LISTEN", default_value = LISTEN_DEFAULT)]
    pub listen: SocketAddr,
    /// The orchestrators; several are separated by commas, and any of them will do.
    #[arg(long, env = "SOJOURN_ORCHESTRATOR_URL", value_delimiter = ',', default_value = ORCHESTRATOR_DEFAULT)]
    pub orchestrator_url: Vec<Url>,
    /// The workers that run the domain `user`.
    #[arg(long, env = "SOJOURN_USER_URL", value_delimiter = ',', default_value = WORKERS_DEFAULT)]
    pub user_url: Vec<Url>,
    /// The workers that run the domain `order`.
    #[arg(long, env = "SOJOURN_ORDER_URL", value_delimiter = ',', default_value = WORKERS_DEFAULT)]
    pub order_url: Vec<Url>,
    /// The workers that run the domain `flights`.
    #[arg(long, env = "SOJOURN_FLIGHTS_URL", value_delimiter = ',', default_value = WORKERS_DEFAULT)]
    pub flights_url: Vec<Url>,
    /// The workers that run the domain `accommodation`.
    #[arg(long, env = "SOJOURN_ACCOMMODATION_URL", value_delimiter = ',', default_value = WORKERS_DEFAULT)]
    pub accommodation_url: Vec<Url>,
    /// The most open connections; past it new ones wait.
    #[arg(long, env = "SOJOURN_CONNECTIONS_MAX", default_value_t = CONNECTIONS_MAX_DEFAULT)]
    pub connections_max: usize,
}

impl Cli {
    /// The settings of a process that just started.
    #[must_use]
    pub fn settings(&self) -> Settings {
        Settings {
            listen: self.listen,
            internal_token: self.common.internal_token.clone(),
            production: self.common.is_production(),
            orchestrator: self.orchestrator_url.clone(),
            user: self.user_url.clone(),
            order: self.order_url.clone(),
            flights: self.flights_url.clone(),
            accommodation: self.accommodation_url.clone(),
            connections_max: self.connections_max,
        }
    }
}

/// What a gateway is told by whoever runs it in a process.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where the door listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// What the parts of the installation show each other.
    pub internal_token: SecretString,
    /// True in front of clients: browsers are told to insist on TLS.
    pub production: bool,
    /// Any of these.
    pub orchestrator: Vec<Url>,
    /// Any of these.
    pub user: Vec<Url>,
    /// Any of these.
    pub order: Vec<Url>,
    /// Any of these.
    pub flights: Vec<Url>,
    /// Any of these.
    pub accommodation: Vec<Url>,
    /// Past it new connections wait.
    pub connections_max: usize,
}

impl Settings {
    /// For a development machine: one orchestrator, one process with all domains, the development token.
    #[must_use]
    pub fn development(listen: SocketAddr, orchestrator: Url, workers: Url) -> Self {
        Self {
            listen,
            internal_token: SecretString::from(DEVELOPMENT_INTERNAL_TOKEN),
            production: false,
            orchestrator: vec![orchestrator],
            user: vec![workers.clone()],
            order: vec![workers.clone()],
            flights: vec![workers.clone()],
            accommodation: vec![workers],
            connections_max: CONNECTIONS_MAX_DEFAULT,
        }
    }
}

/// What is wrong with the settings.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// Not something that HTTP can be spoken with.
    #[error("--{part}-url: `{url}` is not an http or https address of a host")]
    NotHttp {
        /// Whose address.
        part: &'static str,
        /// The address.
        url: String,
    },
    /// Nothing to speak with.
    #[error("--{part}-url: at least one address is needed")]
    NoAddress {
        /// Whose address.
        part: &'static str,
    },
}

impl Settings {
    /// Looks for what cannot work.
    ///
    /// # Errors
    /// [`SettingsError`] names the setting.
    pub fn validate(&self) -> Result<(), SettingsError> {
        let parts = [
            ("orchestrator", &self.orchestrator),
            ("user", &self.user),
            ("order", &self.order),
            ("flights", &self.flights),
            ("accommodation", &self.accommodation),
        ];
        for (part, urls) in parts {
            if urls.is_empty() {
                return Err(SettingsError::NoAddress { part });
            }
            let wrong = urls.iter().find(|url| !matches!(url.scheme(), "http" | "https") || !url.has_host());
            if let Some(url) = wrong {
                return Err(SettingsError::NotHttp { part, url: url.to_string() });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_orchestrators_are_separated_by_commas_or_repeated() {
        let load = |args: &[&str]| Cli::try_parse_from([&["gateway"], args].concat()).unwrap().settings();
        let commas = load(&["--orchestrator-url", "http://a:1,http://b:2"]);
        let repeated = load(&["--orchestrator-url", "http://a:1", "--orchestrator-url", "http://b:2"]);
        assert_eq!(commas.orchestrator, repeated.orchestrator);
        assert_eq!(commas.orchestrator.len(), 2);
    }

    #[test]
    fn an_address_without_a_host_is_named() {
        let cli = Cli::try_parse_from(["gateway", "--flights-url", "mailto:x@y.example"]).unwrap();
        assert!(cli.settings().validate().unwrap_err().to_string().contains("--flights-url"));
    }
}
