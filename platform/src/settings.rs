//! The settings of the one-process form of Sojourn.

use std::{net::SocketAddr, path::PathBuf};

use anyhow::{Context, ensure};
use clap::{Parser, Subcommand};
use contract::user::Role;
use kit::settings::Common;
use messaging::rabbitmq::{QueueKind, RabbitOptions};
use secrecy::{ExposeSecret, SecretString};
use workers::DomainSettings;

/// Sojourn, every part in one process: PostgreSQL and messages are its own unless it is told otherwise.
#[derive(Debug, Parser)]
#[command(name = "sojourn", version)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) common: Common,
    /// Where the private PostgreSQL and the signing key are kept.
    #[arg(long, env = "SOJOURN_DATA_DIR", default_value = "data", value_name = "FOLDER")]
    pub(crate) data_dir: PathBuf,
    /// A PostgreSQL server in place of the private one.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub(crate) database_url: Option<SecretString>,
    /// A RabbitMQ in place of the broker within the process.
    #[arg(long, env = "AMQP_URL", hide_env_values = true)]
    pub(crate) amqp_url: Option<SecretString>,
    /// How commands and replies are kept: `classic` in the memory of one broker, `quorum` on the disks of a cluster.
    #[arg(long, env = "SOJOURN_QUEUE_KIND", default_value_t)]
    pub(crate) queue_kind: QueueKind,
    /// The address of the door.
    #[arg(long, env = "SOJOURN_GATEWAY_LISTEN", default_value = gateway::settings::LISTEN_DEFAULT)]
    pub(crate) listen: SocketAddr,
    /// Sends clients of the demonstration to the door, who book, pay and are refused, so that there is something to see.
    #[arg(long, env = "SOJOURN_DEMO_TRAFFIC")]
    pub(crate) demo_traffic: bool,
    /// Whether acts that cannot be taken back need the approval of a second operator: `true` in production unless it is said.
    #[arg(long, env = "SOJOURN_FOUR_EYES", num_args = 0..=1, default_missing_value = "true")]
    pub(crate) four_eyes: Option<bool>,
    #[command(flatten)]
    pub(crate) crowd: gateway::settings::Crowd,
    #[command(flatten)]
    pub(crate) domains: DomainSettings,
    #[command(subcommand)]
    pub(crate) task: Option<Task>,
}

/// A task that is done in place of running Sojourn.
#[derive(Debug, Subcommand)]
pub(crate) enum Task {
    /// Acts for those who have the database: they need no person who is logged in.
    #[command(subcommand)]
    Admin(AdminTask),
}

/// The tasks about people.
#[derive(Debug, Subcommand)]
pub(crate) enum AdminTask {
    /// Makes a person who operates: the first one, who makes the others with `sagactl people`.
    CreateOperator {
        /// The address to log in with.
        #[arg(long)]
        email: String,
        /// The name to address the person by.
        #[arg(long)]
        name: String,
        /// The role: viewer, operator or admin.
        #[arg(long, default_value = "admin")]
        role: Role,
        /// Reads the password from stdin instead of asking for it.
        #[arg(long)]
        password_stdin: bool,
    },
    /// Ends the sessions of the demonstration's people, and refuses them new ones.
    DisableDemonstration,
}

impl Cli {
    /// Finds what cannot work before anything is started.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        ensure!(
            !self.common.is_production() || (self.database_url.is_some() && self.amqp_url.is_some()),
            "production keeps its data on real servers: set DATABASE_URL and AMQP_URL"
        );
        ensure!(
            !self.common.is_production() || !self.demo_traffic,
            "the traffic of the demonstration books trips that nobody takes: production starts without --demo-traffic"
        );
        self.domains.offer_keys(self.common.is_production())?;
        self.domains.user.check(self.common.is_production())?;
        self.domains.payment.check(self.common.is_production())?;
        if let Some(url) = &self.database_url {
            kit::postgres::options(url.expose_secret(), "postgres").context("DATABASE_URL")?;
        }
        if let Some(url) = &self.amqp_url {
            RabbitOptions::new(url.expose_secret(), "sojourn").context("AMQP_URL")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn production_takes_no_traffic_of_the_demonstration() {
        let servers = ["--database-url=postgres://me:pw@127.0.0.1:1/x", "--amqp-url=amqp://me:pw@127.0.0.1:1/%2f"];
        let arguments = ["sojourn", "--environment=production", "--demo-traffic"].into_iter().chain(servers);
        let refused = Cli::try_parse_from(arguments).unwrap().check().unwrap_err().to_string();
        assert!(refused.contains("--demo-traffic"), "{refused}");
    }
}
