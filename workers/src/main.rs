//! `worker flights payment` runs those domains in one process.

use std::{net::SocketAddr, sync::Arc};

use anyhow::Context;
use clap::Parser;
use contract::Route;
use kit::settings::Common;
use messaging::{
    Broker, Namespace,
    rabbitmq::{QueueKind, RabbitBroker, RabbitOptions},
};
use secrecy::{ExposeSecret, SecretString};
use workers::{DomainSettings, domain, names, route};

/// The workers of Sojourn: they carry out the commands of one domain or several.
#[derive(Debug, Parser)]
#[command(name = "worker", version)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[arg(required = true, value_parser = route, value_name = "DOMAIN", help = format!("The domains to run: {}", names()))]
    domains: Vec<Route>,
    /// The PostgreSQL server, as postgres://user:password@host:port; each domain has its own database there.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    database_url: SecretString,
    /// RabbitMQ, as amqp://user:password@host:port/vhost.
    #[arg(long, env = "AMQP_URL", hide_env_values = true)]
    amqp_url: SecretString,
    /// Stands in front of every queue's name, so that installations can share a broker.
    #[arg(long, env = "SOJOURN_AMQP_NAMESPACE", default_value = "")]
    amqp_namespace: String,
    /// How commands and replies are kept: `classic` in the memory of one broker, `quorum` on the disks of a cluster.
    #[arg(long, env = "SOJOURN_QUEUE_KIND", default_value_t)]
    queue_kind: QueueKind,
    /// The address of the internal HTTP interface.
    #[arg(long, env = "SOJOURN_WORKER_LISTEN", default_value = "127.0.0.1:8082")]
    listen: SocketAddr,
    /// The most commands in one transaction.
    #[arg(long, env = "SOJOURN_WORKER_BATCH_MAX", default_value_t = worker_runtime::limits::BATCH_COMMANDS_MAX)]
    batch_max: usize,
    /// The most reads of each domain that use its database at a time.
    #[arg(
        long,
        env = "SOJOURN_WORKER_READ_CONNECTIONS_MAX",
        default_value_t = worker_runtime::limits::READ_CONNECTIONS_MAX,
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    read_connections_max: u32,
    /// Knows only versions of commands up to this one, as an earlier program does. For tests of rolling upgrades; production
    /// refuses it.
    #[arg(long, env = COMMANDS_UP_TO_ENV, hide = true)]
    commands_up_to: Option<u16>,
    #[command(flatten)]
    settings: DomainSettings,
}

/// The name of the setting that makes a program an earlier one.
const COMMANDS_UP_TO_ENV: &str = "SOJOURN_COMMANDS_UP_TO";

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut cli: Cli = kit::settings::load();
    cli.common.validate()?;
    cli.common.validate_for_tests(COMMANDS_UP_TO_ENV, cli.commands_up_to.is_some())?;
    if cli.domains.iter().any(|route| matches!(route, Route::Flights | Route::Accommodation)) {
        cli.settings.offer_keys(cli.common.is_production())?;
    }
    if cli.domains.contains(&Route::Payment) {
        cli.settings.payment.check(cli.common.is_production())?;
    }
    cli.domains.sort_unstable();
    cli.domains.dedup();
    let names: Vec<&str> = cli.domains.iter().map(|route| route.as_str()).collect();
    let broker = RabbitOptions::new(cli.amqp_url.expose_secret(), format!("worker {}", names.join(" ")))?
        .with_namespace(Namespace::new(cli.amqp_namespace.clone()))
        .with_queue_kind(cli.queue_kind);
    let url = cli.database_url.expose_secret();
    kit::postgres::options(url, "postgres")?;
    if cli.common.check_config {
        println!("configuration ok");
        return Ok(());
    }
    kit::telemetry::init(&cli.common);
    let token = kit::shutdown::on_signal();
    let clock = cli.common.clock();
    let domains =
        cli.domains.iter().map(|route| domain(*route, &cli.settings, url, &clock, cli.common.is_production()));
    let known = |domain: worker_runtime::Domain| domain.up_to(cli.commands_up_to.unwrap_or(u16::MAX));
    let domains = domains.map(|domain| domain.map(known)).collect::<Result<Vec<_>, _>>()?;
    let mut settings = worker_runtime::Settings::new(url, cli.common.internal_token.clone());
    settings.listen = Some(cli.listen);
    settings.batch_commands_max = cli.batch_max;
    settings.read_connections_max = cli.read_connections_max;
    let broker = Arc::new(RabbitBroker::connect(broker).await?);
    let worker = worker_runtime::start(domains, settings, Arc::clone(&broker) as Arc<dyn Broker>, clock, token)
        .await
        .context("the worker cannot start")?;
    worker.finished().await;
    broker.close().await;
    Ok(())
}
