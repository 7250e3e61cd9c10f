//! The gateway's settings: where it listens, and where the parts behind it are.

use std::{collections::BTreeMap, net::SocketAddr};

use clap::{Arg, ArgMatches, Args, Command, FromArgMatches, Parser, value_parser};
use contract::Route;
use ipnet::IpNet;
use kit::{
    settings::{Common, DEVELOPMENT_INTERNAL_TOKEN},
    signed_webhook::WebhookSecrets,
};
use reqwest::Url;
use secrecy::SecretString;

use crate::upstream::Part;

/// Where the gateway listens when it is not told.
pub const LISTEN_DEFAULT: &str = "127.0.0.1:8080";
/// Where the orchestrator is when nothing is said.
pub const ORCHESTRATOR_DEFAULT: &str = "http://127.0.0.1:8081";
/// Where the workers' reads are when nothing is said: one process may run all domains.
pub const WORKERS_DEFAULT: &str = "http://127.0.0.1:8082";

/// Where the operators' pages are when nothing is said.
pub const DASHBOARD_DEFAULT: &str = "http://127.0.0.1:8083";

/// The most open connections: each costs some 20 KB while idle, and two file descriptors while it is served.
const CONNECTIONS_MAX_DEFAULT: usize = 10_000;

/// The most open connections of one address: an office behind one address has so many browsers, and forty such
/// addresses fit.
const ADDRESS_CONNECTIONS_MAX_DEFAULT: usize = 256;

/// The logins and registrations a minute that one address may ask for: an office in the morning.
const LOGINS_PER_MINUTE_DEFAULT: u32 = 30;

/// The searches a minute that one address may ask for: an office at work.
const SEARCHES_PER_MINUTE_DEFAULT: u32 = 600;

/// The door of Sojourn: the only part that clients and operators reach.
#[derive(Debug, Clone, Parser)]
#[command(name = "gateway", version)]
pub struct Cli {
    /// The settings of every program.
    #[command(flatten)]
    pub common: Common,
    /// The address of the door.
    #[arg(long, env = "SOJOURN_GATEWAY_LISTEN", default_value = LISTEN_DEFAULT)]
    pub listen: SocketAddr,
    /// The orchestrators; several are separated by commas, and any of them will do.
    #[arg(long, env = "SOJOURN_ORCHESTRATOR_URL", value_delimiter = ',', default_value = ORCHESTRATOR_DEFAULT)]
    pub orchestrator_url: Vec<Url>,
    /// The dashboard, whose pages are under `/ops`.
    #[arg(long, env = "SOJOURN_DASHBOARD_URL", default_value = DASHBOARD_DEFAULT)]
    pub dashboard_url: Url,
    /// The workers of each domain.
    #[command(flatten)]
    pub domains: DomainUrls,
    /// The shares of a crowd of strangers.
    #[command(flatten)]
    pub crowd: Crowd,
    /// The secrets of the payment provider's webhooks.
    #[command(flatten)]
    pub webhooks: WebhookSecrets,
}

/// The shares of a crowd of strangers, so that others are served beside it.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub struct Crowd {
    /// The most open connections; operators have some beyond it.
    #[arg(long, env = "SOJOURN_CONNECTIONS_MAX", default_value_t = CONNECTIONS_MAX_DEFAULT)]
    pub connections_max: usize,
    /// The most open connections of one address.
    #[arg(long, env = "SOJOURN_ADDRESS_CONNECTIONS_MAX", default_value_t = ADDRESS_CONNECTIONS_MAX_DEFAULT)]
    pub address_connections_max: usize,
    /// The most logins, registrations and refreshes a minute from one address; 0 is no limit.
    #[arg(long, env = "SOJOURN_LOGINS_PER_MINUTE", default_value_t = LOGINS_PER_MINUTE_DEFAULT)]
    pub logins_per_minute: u32,
    /// The most searches a minute from one address; 0 is no limit.
    #[arg(long, env = "SOJOURN_SEARCHES_PER_MINUTE", default_value_t = SEARCHES_PER_MINUTE_DEFAULT)]
    pub searches_per_minute: u32,
    /// The proxies whose `X-Forwarded-For`, `-Host` and `-Proto` are believed, as networks separated by commas.
    /// Without any, none is.
    #[arg(long, env = "SOJOURN_TRUSTED_PROXIES", value_delimiter = ',', value_name = "NETWORKS")]
    pub trusted_proxies: Vec<IpNet>,
}

impl Default for Crowd {
    fn default() -> Self {
        Self {
            connections_max: CONNECTIONS_MAX_DEFAULT,
            address_connections_max: ADDRESS_CONNECTIONS_MAX_DEFAULT,
            logins_per_minute: LOGINS_PER_MINUTE_DEFAULT,
            searches_per_minute: SEARCHES_PER_MINUTE_DEFAULT,
            trusted_proxies: Vec::new(),
        }
    }
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
            dashboard: vec![self.dashboard_url.clone()],
            domains: self.domains.0.clone(),
            crowd: self.crowd.clone(),
            webhooks: self.webhooks.clone(),
        }
    }
}

/// Where the workers of each domain are: one flag `--<domain>-url` for each domain of the contract.
#[derive(Debug, Clone)]
pub struct DomainUrls(BTreeMap<Route, Vec<Url>>);

impl DomainUrls {
    fn flag(route: Route) -> String {
        format!("{}-url", route.as_str())
    }
}

impl Args for DomainUrls {
    fn augment_args(command: Command) -> Command {
        command.args(Route::ALL.map(|route| {
            let name = route.as_str();
            Arg::new(Self::flag(route))
                .long(Self::flag(route))
                .env(format!("SOJOURN_{}_URL", name.to_uppercase()))
                .value_name(format!("{}_URL", name.to_uppercase()))
                .value_delimiter(',')
                .value_parser(value_parser!(Url))
                .default_value(WORKERS_DEFAULT)
                .action(clap::ArgAction::Append)
                .help(format!("The workers that run the domain `{name}`"))
        }))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for DomainUrls {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let urls = |route| matches.get_many::<Url>(&Self::flag(route)).into_iter().flatten().cloned().collect();
        Ok(Self(Route::ALL.map(|route| (route, urls(route))).into()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// The settings of a gateway, however the process that runs it came by them.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where the door listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The token that the parts of the installation show each other.
    pub internal_token: SecretString,
    /// True in front of clients: browsers are told to insist on TLS.
    pub production: bool,
    /// The orchestrators; any of them will do.
    pub orchestrator: Vec<Url>,
    /// The dashboard; one address, as it keeps its sessions in its memory. None where there are no pages.
    pub dashboard: Vec<Url>,
    /// The workers of each domain; any of them will do.
    pub domains: BTreeMap<Route, Vec<Url>>,
    /// The shares of a crowd of strangers.
    pub crowd: Crowd,
    /// The secrets of the payment provider's webhooks.
    pub webhooks: WebhookSecrets,
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
            dashboard: Vec::new(),
            domains: Route::ALL.map(|route| (route, vec![workers.clone()])).into(),
            crowd: Crowd::default(),
            webhooks: WebhookSecrets::development(),
        }
    }
}

/// A setting that cannot work.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// An address that is not one of an HTTP server.
    #[error("--{part}-url: `{url}` is not an http or https address of a host")]
    NotHttp {
        /// The part whose address it is.
        part: &'static str,
        /// The address as it was given.
        url: String,
    },
    /// Everybody could forge the payment provider's webhooks.
    #[error(
        "SOJOURN_PAYMENT_WEBHOOK_SECRETS: production needs secrets of its own, from the payment provider, of 24 bytes at least"
    )]
    WeakWebhookSecret,
    /// A part without an address.
    #[error("--{part}-url: at least one address is needed")]
    NoAddress {
        /// The part whose address it is.
        part: &'static str,
    },
}

impl Settings {
    /// Looks for addresses that cannot be called.
    ///
    /// # Errors
    /// [`SettingsError`] names the setting.
    pub fn validate(&self) -> Result<(), SettingsError> {
        if self.production && self.webhooks.are_weak() {
            return Err(SettingsError::WeakWebhookSecret);
        }
        let urls_of = |route| self.domains.get(&route).map_or(&[][..], Vec::as_slice);
        let domains = Route::ALL.map(|route| (Part::Domain(route), urls_of(route)));
        let orchestrator = (Part::Orchestrator, self.orchestrator.as_slice());
        let dashboard = (Part::Dashboard, self.dashboard.as_slice());
        for (part, urls) in domains.into_iter().chain([orchestrator, dashboard]) {
            let (part, optional) = (part.as_str(), part == Part::Dashboard);
            if urls.is_empty() && !optional {
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
