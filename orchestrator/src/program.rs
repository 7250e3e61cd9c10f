//! The orchestrator as a program of its own, on PostgreSQL and RabbitMQ, with a catalog of sagas: the agency's in the
//! released program, another one in the benchmark.

use std::sync::Arc;

use journal::{OpenJournalError, PgJournal, PgJournalOptions, postgres::DATABASE};
use kit::settings::SettingsError;
use machine::Catalog;
use messaging::{
    Broker, BrokerError, Namespace,
    rabbitmq::{RabbitBroker, RabbitOptions},
};
use secrecy::ExposeSecret;

use crate::{orchestrator::RunError, settings::Cli};

/// The reason why the program ended badly.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// A setting cannot work.
    #[error("the settings are wrong")]
    Settings(#[from] SettingsError),
    /// The broker's address cannot be read, or it cannot be reached.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// The journal cannot be opened.
    #[error(transparent)]
    Journal(#[from] OpenJournalError),
    /// The orchestrator could not begin.
    #[error(transparent)]
    Run(#[from] RunError),
}

/// Runs until SIGTERM or Ctrl-C, then ends in order. With `--check-config` it only looks at the settings.
///
/// # Errors
/// When it cannot begin. Once it runs, lost servers are waited for.
pub async fn program(cli: Cli, catalog: Catalog) -> Result<(), ProgramError> {
    cli.validate()?;
    let options = RabbitOptions::new(cli.amqp_url.expose_secret(), "orchestrator")?
        .with_namespace(Namespace::new(cli.amqp_namespace.clone()))
        .with_queue_kind(cli.queue_kind);
    let url = cli.database_url.expose_secret();
    kit::postgres::options(url, DATABASE).map_err(OpenJournalError::from)?;
    if cli.common.check_config {
        println!("configuration ok");
        return Ok(());
    }
    kit::telemetry::init(&cli.common);
    kit::metrics::install();
    let stop = kit::shutdown::on_signal();
    let settings = cli.settings();
    let catalog = catalog.with_times_divided(cli.times_divisor).up_to(cli.definitions_up_to.unwrap_or(u32::MAX));
    let clock = cli.common.clock();
    let opening = PgJournalOptions::new(url, cli.shards, settings.instance, clock.now()).with_database(DATABASE);
    let journal = PgJournal::connect(opening).await?;
    let broker = Arc::new(RabbitBroker::connect(options).await?);
    crate::run(settings, journal, Arc::clone(&broker) as Arc<dyn Broker>, catalog, clock, stop).await?;
    broker.close().await;
    Ok(())
}
