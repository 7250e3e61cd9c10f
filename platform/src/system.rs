//! All parts started in the order of their needs, and stopped in the opposite one.

use std::{
    io::ErrorKind,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    path::Path,
    sync::Arc,
};

use anyhow::{Context, Result, anyhow};
use contract::Route;
use dashboard::Dashboard;
use gateway::Gateway;
use journal::{PgJournal, PgJournalOptions};
use messaging::{
    Broker, BrokerError,
    in_process::InProcessBroker,
    rabbitmq::{RabbitBroker, RabbitOptions},
};
use orchestrator::Orchestrator;
use private_servers::{Postgres, PostgresOptions};
use reqwest::Url;
use secrecy::ExposeSecret;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use worker_runtime::Worker;

use crate::{settings::Cli, traffic::Traffic};

/// How many shards a new journal gets: one process needs no more, and each costs a connection.
const SHARDS: u16 = 2;

/// A port that only this machine reaches.
const ANY_LOOPBACK_PORT: &str = "127.0.0.1:0";

/// Everything that runs. Each part has a token of its own, so that they can end one after the other.
pub(crate) struct System {
    gateway: (Gateway, CancellationToken),
    dashboard: (Dashboard, CancellationToken),
    orchestrator: (Orchestrator, CancellationToken),
    worker: (Worker, CancellationToken),
    brokers: Vec<Arc<dyn Broker>>,
    postgres: Option<Postgres>,
}

impl System {
    /// Starts all parts.
    pub(crate) async fn start(cli: &Cli) -> Result<Self> {
        // First, because it alone can be taken by a program that is not ours: that is told before anything is made.
        let door = bind_door(cli.listen).await?;
        let clock = kit::clock::system();
        let catalog = catalog::all().context("the catalogue of sagas is wrong")?;
        let (postgres, database_url) = database(cli).await?;
        let [for_worker, for_orchestrator] = brokers(cli).await?;

        let token = CancellationToken::new();
        let worker = start_worker(cli, &database_url, Arc::clone(&for_worker), token.clone()).await?;
        let worker_address = worker.address().context("the worker serves nothing")?;
        let worker = (worker, token);

        let token = CancellationToken::new();
        let mut settings = orchestrator::Settings::development(loopback()?);
        let options = PgJournalOptions::new(&database_url, SHARDS, settings.instance, clock.now())
            .with_database(journal::postgres::DATABASE);
        let journal = PgJournal::connect(options).await.context("the journal cannot be opened")?;
        settings.internal_token = cli.common.internal_token.clone();
        settings.four_eyes = cli.four_eyes.unwrap_or_else(|| cli.common.is_production());
        let broker = Arc::clone(&for_orchestrator);
        let clock_of_lanes = Arc::clone(&clock);
        let orchestrator =
            orchestrator::start(settings, journal, broker, catalog, clock_of_lanes, token.clone()).await?;
        let orchestrator_address = orchestrator.address();
        let orchestrator = (orchestrator, token);

        let token = CancellationToken::new();
        let door_address = door.local_addr().context("the door has no address")?;
        let mut settings = dashboard::Settings::development(loopback()?, url(reached(door_address))?);
        settings.internal_token = cli.common.internal_token.clone();
        settings.production = cli.common.is_production();
        let dashboard = (dashboard::start(settings, Arc::clone(&clock), token.clone()).await?, token);

        let token = CancellationToken::new();
        let mut settings = gateway::Settings::development(cli.listen, url(orchestrator_address)?, url(worker_address)?);
        settings.internal_token = cli.common.internal_token.clone();
        settings.production = cli.common.is_production();
        settings.crowd = cli.crowd.clone();
        settings.dashboard = vec![url(dashboard.0.address)?];
        settings.webhooks = cli.domains.payment.webhook_secrets.clone();
        let gateway = (gateway::start_on(door, settings, clock, token.clone())?, token);
        Ok(Self { gateway, dashboard, orchestrator, worker, brokers: vec![for_worker, for_orchestrator], postgres })
    }

    /// Tells a newcomer where everything is.
    pub(crate) fn announce(&self, cli: &Cli) {
        let door = format!("http://{}", self.gateway.0.address);
        println!("Sojourn is open.");
        println!("  door         {door}   (try {door}/ready)");
        println!("  operators    {door}/ops, or `sagactl --url {door} list`");
        if let Some(password) = cli.domains.user.demo_password(cli.common.is_production()) {
            let secret = password.expose_secret();
            let shown = if secret == worker_user::DEVELOPMENT_DEMO_PASSWORD { secret } else { "(as configured)" };
            println!("  client       {}   password {shown}", worker_user::DEMO_CLIENT_EMAIL);
            println!("  operator     {}   password {shown}", worker_user::DEMO_OPERATOR_EMAIL);
            println!("  viewer       {}   password {shown}", worker_user::DEMO_VIEWER_EMAIL);
            println!("  admin        {}   password {shown}", worker_user::DEMO_ADMIN_EMAIL);
        }
        match &self.postgres {
            Some(postgres) => {
                let (user, port, file) = (postgres.user(), postgres.port(), postgres.password_file());
                println!("  PostgreSQL   127.0.0.1:{port}, user {user}, password in {}   (private)", file.display());
            }
            None => println!("  PostgreSQL   as DATABASE_URL says"),
        }
        println!(
            "  messages     {}",
            if cli.amqp_url.is_some() { "RabbitMQ, as AMQP_URL says" } else { "within the process" }
        );
        println!("Ctrl-C stops everything.");
    }

    /// The traffic of the demonstration, where it is wished for.
    pub(crate) fn traffic(&self, cli: &Cli) -> Result<Option<Traffic>> {
        let password = cli.domains.user.demo_password(cli.common.is_production());
        let Some(password) = password.filter(|_| cli.demo_traffic) else { return Ok(None) };
        let door = url(reached(self.gateway.0.address))?;
        println!("Clients of the demonstration book trips, until Ctrl-C: see {door}ops.");
        Ok(Some(Traffic::start(door, worker_user::DEMO_CLIENT_EMAIL, password.clone(), kit::clock::system())))
    }

    /// Ends the parts: the door first, the database last.
    pub(crate) async fn stop(self) {
        let (gateway, token) = self.gateway;
        token.cancel();
        gateway.stopped().await;
        let (dashboard, token) = self.dashboard;
        token.cancel();
        dashboard.stopped().await;
        let (orchestrator, token) = self.orchestrator;
        token.cancel();
        orchestrator.join().await;
        let (worker, token) = self.worker;
        token.cancel();
        worker.finished().await;
        for broker in self.brokers {
            broker.close().await;
        }
        if let Some(mut postgres) = self.postgres {
            postgres.stop().await;
        }
        println!("Sojourn is closed; the data is kept.");
    }
}

async fn bind_door(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| match error.kind() {
        ErrorKind::AddrInUse => anyhow!(
            "another program listens on {address}: stop it, or give the door another address, such as `--listen \
             127.0.0.1:8090`"
        ),
        _ => anyhow!(error).context(format!("the door cannot listen on {address}")),
    })
}

/// The server that was asked for, or a private one.
pub(crate) async fn database(cli: &Cli) -> Result<(Option<Postgres>, String)> {
    if let Some(url) = &cli.database_url {
        return Ok((None, url.expose_secret().to_owned()));
    }
    let options = PostgresOptions::at(cli.data_dir.join("postgresql"));
    let postgres = Postgres::start(options).await.context("the private PostgreSQL cannot be started")?;
    let url = postgres.url("postgres");
    Ok((Some(postgres), url))
}

/// One client of the broker for each side, as separate programs would have.
async fn brokers(cli: &Cli) -> Result<[Arc<dyn Broker>; 2]> {
    let Some(url) = &cli.amqp_url else {
        let broker = InProcessBroker::new();
        return Ok([Arc::new(broker.another_client()), Arc::new(broker)]);
    };
    let url = url.expose_secret();
    let options = |client: &str| Ok::<_, BrokerError>(RabbitOptions::new(url, client)?.with_queue_kind(cli.queue_kind));
    let worker = RabbitBroker::connect(options("sojourn workers")?).await?;
    let orchestrator = RabbitBroker::connect(options("sojourn orchestrator")?).await?;
    Ok([Arc::new(worker), Arc::new(orchestrator)])
}

async fn start_worker(
    cli: &Cli,
    database_url: &str,
    broker: Arc<dyn Broker>,
    token: CancellationToken,
) -> Result<Worker> {
    let clock = kit::clock::system();
    let mut choices = cli.domains.clone();
    // The default lies beside the other data, wherever that is.
    if choices.user.jwt_signing_key_file == Path::new(worker_user::SIGNING_KEY_FILE_DEFAULT) {
        choices.user.jwt_signing_key_file = cli.data_dir.join("jwt-signing-key.pem");
    }
    // Browsers find the sandbox's page at this very door.
    if choices.payment.sandbox_door_url.as_str() == worker_payment::SANDBOX_DOOR_URL_DEFAULT {
        choices.payment.sandbox_door_url = url(cli.listen)?;
    }
    let production = cli.common.is_production();
    let domains =
        Route::ALL.into_iter().map(|route| workers::domain(route, &choices, database_url, &clock, production));
    let domains = domains.collect::<Result<Vec<_>, _>>()?;
    let mut settings = worker_runtime::Settings::new(database_url, cli.common.internal_token.clone());
    settings.listen = Some(loopback()?);
    Ok(worker_runtime::start(domains, settings, broker, clock, token).await?)
}

fn loopback() -> Result<SocketAddr> {
    Ok(ANY_LOOPBACK_PORT.parse()?)
}

/// The address at which this machine itself reaches a listener, which may listen at all of its addresses.
fn reached(listening: SocketAddr) -> SocketAddr {
    let loopback = if listening.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() };
    if listening.ip().is_unspecified() { SocketAddr::new(loopback, listening.port()) } else { listening }
}

fn url(address: SocketAddr) -> Result<Url> {
    Ok(Url::parse(&format!("http://{address}"))?)
}
