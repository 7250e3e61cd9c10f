//! The dashboard's settings: where it listens, and where the door is.

use std::net::SocketAddr;

use clap::Parser;
use kit::settings::{Common, DEVELOPMENT_INTERNAL_TOKEN};
use reqwest::Url;
use secrecy::SecretString;

/// Where the dashboard listens when it is not told.
const LISTEN_DEFAULT: &str = "127.0.0.1:8083";
/// Where the door is when nothing is said.
const GATEWAY_DEFAULT: &str = "http://127.0.0.1:8080";

/// The operators' pages, behind the door.
#[derive(Debug, Clone, Parser)]
#[command(name = "dashboard", version)]
pub struct Cli {
    /// The settings of every program.
    #[command(flatten)]
    pub common: Common,
    /// The address that the door passes pages on to.
    #[arg(long, env = "SOJOURN_DASHBOARD_LISTEN", default_value = LISTEN_DEFAULT)]
    pub listen: SocketAddr,
    /// The door, through which the dashboard logs operators in and acts for them.
    #[arg(long, env = "SOJOURN_GATEWAY_URL", default_value = GATEWAY_DEFAULT)]
    pub gateway_url: Url,
}

impl Cli {
    /// The settings of a process that just started.
    #[must_use]
    pub fn settings(&self) -> Settings {
        Settings {
            listen: self.listen,
            gateway: self.gateway_url.clone(),
            internal_token: self.common.internal_token.clone(),
            production: self.common.is_production(),
        }
    }
}

/// The settings of a dashboard, however the process that runs it came by them.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The address to listen at; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The address of the door.
    pub gateway: Url,
    /// The token that the parts of the installation show each other: only the door reaches the dashboard.
    pub internal_token: SecretString,
    /// True where cookies travel over TLS only.
    pub production: bool,
}

impl Settings {
    /// For a development machine.
    #[must_use]
    pub fn development(listen: SocketAddr, gateway: Url) -> Self {
        Self { listen, gateway, internal_token: SecretString::from(DEVELOPMENT_INTERNAL_TOKEN), production: false }
    }
}
