//! The parts as separate processes: the released orchestrator with the benchmark's saga in place of the agency's, and
//! the released worker runtime with the benchmark's handlers.

use std::{net::SocketAddr, sync::Arc};

use anyhow::{Context, anyhow};
use contract::Route;
use kit::settings::Common;
use machine::Catalog;
use messaging::{
    Broker,
    rabbitmq::{QueueKind, RabbitBroker, RabbitOptions},
};
use secrecy::{ExposeSecret, SecretString};
use sqlx::migrate::Migrator;
use worker_runtime::Domain;

use crate::workload::{
    Answered, Authorize, ConfirmOrder, CreateOrder, HoldRoom, Participant, RejectOrder, ReleaseRoom, Void, definition,
    stuck_definition,
};

/// Makes the benchmark's tables in each domain's database.
pub(crate) static MIGRATOR: Migrator = sqlx::migrate!("./migrations");

/// The arguments of a worker of the benchmark.
#[derive(Debug, clap::Args)]
pub(crate) struct WorkerCli {
    #[command(flatten)]
    common: Common,
    /// The domain, such as `order`.
    #[arg(value_parser = route)]
    domain: Route,
    /// The PostgreSQL server.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    database_url: SecretString,
    /// The address of RabbitMQ.
    #[arg(long, env = "AMQP_URL", hide_env_values = true)]
    amqp_url: SecretString,
    /// How commands and replies are kept.
    #[arg(long, env = "SOJOURN_QUEUE_KIND", default_value_t)]
    queue_kind: QueueKind,
    /// The address of the internal HTTP interface.
    #[arg(long)]
    listen: SocketAddr,
}

/// Runs an orchestrator until it is told to stop.
pub(crate) async fn run_orchestrator(cli: orchestrator::Cli) -> anyhow::Result<()> {
    let wrong = |mistakes| anyhow!("the benchmark's definition is wrong: {mistakes:?}");
    let catalog = Catalog::new([definition().map_err(wrong)?, stuck_definition().map_err(wrong)?])?;
    Ok(orchestrator::program(cli, catalog).await?)
}

/// Runs a worker until it is told to stop.
pub(crate) async fn run_worker(cli: WorkerCli) -> anyhow::Result<()> {
    kit::telemetry::init(&cli.common);
    let domain = Domain::new(cli.domain, &MIGRATOR);
    let domain = match cli.domain {
        Route::Order => domain
            .action::<CreateOrder>(Participant)
            .compensation::<RejectOrder>(Participant, |_| Answered {})
            .action::<ConfirmOrder>(Participant),
        Route::Accommodation => {
            domain.action::<HoldRoom>(Participant).compensation::<ReleaseRoom>(Participant, |_| Answered {})
        }
        Route::Payment => domain.action::<Authorize>(Participant).compensation::<Void>(Participant, |_| Answered {}),
        _ => return Err(anyhow!("the benchmark has no such domain")),
    };
    let mut settings = worker_runtime::Settings::new(cli.database_url.expose_secret(), cli.common.internal_token);
    settings.listen = Some(cli.listen);
    let options = RabbitOptions::new(cli.amqp_url.expose_secret(), "bench worker")?.with_queue_kind(cli.queue_kind);
    let broker: Arc<dyn Broker> = Arc::new(RabbitBroker::connect(options).await?);
    let token = kit::shutdown::on_signal();
    let worker = worker_runtime::start(vec![domain], settings, broker, kit::clock::system(), token).await;
    worker.context("the worker cannot start")?.finished().await;
    Ok(())
}

fn route(name: &str) -> Result<Route, String> {
    let known = Route::ALL.into_iter().find(|route| route.as_str() == name);
    known.ok_or_else(|| format!("there is no domain `{name}`"))
}
