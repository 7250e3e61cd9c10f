//! Some domains run together in one process: opened, consumed, served, and drained at the end.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, middleware};
use contract::command::Route;
use kit::{
    clock::Clock,
    http::{self, CALLS_MAX, Calls},
    metrics::MetricsHandle,
    postgres,
    readiness::Readiness,
};
use messaging::{Broker, BrokerError, Topology};
use secrecy::SecretString;
use sqlx::{PgPool, migrate::Migrator};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{
    connection_monitor,
    consumer::Consumer,
    domain::{Domain, Reads, Resources},
    engine::Engine,
    events::{outbox::Events, relay::Relay},
    failure::pauses,
    limits, prune,
};

/// In front of the domain's name, the name of its database.
pub const DATABASE_PREFIX: &str = "sojourn_";

/// Where the runtime notes its own migrations, beside those of the domain.
const MIGRATIONS_TABLE: &str = "_runtime_migrations";

/// How a worker runs.
#[derive(Debug, Clone)]
pub struct Settings {
    /// A PostgreSQL server; the path of the URL is ignored.
    pub database_url: String,
    /// In front of the domain's name, the name of its database; [`DATABASE_PREFIX`] but for tests.
    pub database_prefix: String,
    /// The most connections to each domain's database; at least [`limits::CONNECTIONS_MIN`] are used.
    pub connections_max: u32,
    /// Where the internal HTTP is served; port 0 asks the system for one. `None`: nowhere.
    pub listen: Option<SocketAddr>,
    /// What callers of the internal HTTP have to show.
    pub internal_token: SecretString,
    /// The most commands in one transaction.
    pub batch_commands_max: usize,
    /// The most deliveries held unacknowledged, each domain.
    pub prefetch_commands: u16,
    /// The most outside calls at a time, each domain.
    pub outside_calls_max: usize,
    /// How long a stopping worker may take for what it holds.
    pub drain_max: Duration,
}

impl Settings {
    /// The defaults, which have reasons: see [`crate::limits`].
    #[must_use]
    pub fn new(database_url: impl Into<String>, internal_token: SecretString) -> Self {
        Self {
            database_url: database_url.into(),
            database_prefix: DATABASE_PREFIX.to_owned(),
            connections_max: limits::CONNECTIONS_MAX,
            listen: None,
            internal_token,
            batch_commands_max: limits::BATCH_COMMANDS_MAX,
            prefetch_commands: limits::PREFETCH_COMMANDS,
            outside_calls_max: limits::OUTSIDE_CALLS_MAX,
            drain_max: limits::DRAIN_MAX,
        }
    }
}

/// Why a worker did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A domain's database cannot be opened.
    #[error("the database of `{domain}` cannot be opened")]
    Database {
        /// Whose.
        domain: &'static str,
        /// Why, and what to do.
        #[source]
        source: postgres::OpenError,
    },
    /// The runtime's own tables cannot be made.
    #[error("the runtime's tables in the database of `{domain}` cannot be made")]
    Migrate {
        /// Whose.
        domain: &'static str,
        /// Why.
        #[source]
        source: sqlx::migrate::MigrateError,
    },
    /// The queues cannot be declared.
    #[error("the queue of `{domain}` cannot be declared")]
    Declare {
        /// Whose.
        domain: &'static str,
        /// Why.
        #[source]
        source: BrokerError,
    },
    /// The address cannot be listened at.
    #[error("cannot listen at {address}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// A worker that runs.
#[derive(Debug)]
pub struct Worker {
    address: Option<SocketAddr>,
    readiness: Readiness,
    pools: Vec<PgPool>,
    tasks: Vec<JoinHandle<()>>,
    stop_late: JoinHandle<()>,
}

impl Worker {
    /// Where the internal HTTP is served.
    #[must_use]
    pub const fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// What is missing at the moment.
    #[must_use]
    pub const fn readiness(&self) -> &Readiness {
        &self.readiness
    }

    /// Waits until everything has ended, which it does once the token given to [`start`] is cancelled: in its own time,
    /// or [`limits::LET_GO_MAX`] after the time for draining.
    pub async fn finished(self) {
        let Self { pools, mut tasks, mut stop_late, .. } = self;
        let ended = async {
            for task in &mut tasks {
                if let Err(error) = task.await {
                    tracing::error!(%error, "a part of the worker ended badly");
                }
            }
            // Whoever stops the database next finds no connection in use.
            for pool in &pools {
                pool.close().await;
            }
        };
        tokio::select! {
            () = ended => stop_late.abort(),
            _ = &mut stop_late => {
                tracing::warn!("a part of the worker waits for a server that does not answer, and is left behind");
                for task in &tasks {
                    task.abort();
                }
            }
        }
    }
}

/// Opens the domains' databases, declares their queues, and runs them until `token` is cancelled; then what was taken
/// is finished, answered and acknowledged.
///
/// # Errors
/// [`StartError`] names what is missing and how to get it. After the start nothing ends the worker but the token: a
/// database or broker that goes away is waited for, and named by `/ready`.
pub async fn start(
    domains: Vec<Domain>,
    settings: Settings,
    broker: Arc<dyn Broker>,
    clock: Arc<dyn Clock>,
    token: CancellationToken,
) -> Result<Worker, StartError> {
    let metrics = kit::metrics::install();
    let readiness = Readiness::new();
    let stop = CancellationToken::new();
    let mut tasks = vec![tokio::spawn(watch_broker(Arc::clone(&broker), readiness.clone(), token.clone()))];
    let stop_late = tokio::spawn(stop_late(token.clone(), settings.drain_max, stop.clone()));
    let mut reads = Router::new();
    let mut pools = Vec::new();
    for domain in domains {
        let running = Running { settings: &settings, broker: &broker, clock: &clock, token: &token, stop: &stop };
        let (pool, domain_reads, domain_tasks) = running.start(domain, readiness.clone()).await?;
        pools.push(pool);
        reads = reads.merge(domain_reads);
        tasks.extend(domain_tasks);
    }
    let address = match settings.listen {
        None => None,
        Some(address) => {
            let (address, server) =
                serve(address, reads, &settings.internal_token, &metrics, readiness.clone(), token).await?;
            tasks.push(server);
            Some(address)
        }
    };
    Ok(Worker { address, readiness, pools, tasks, stop_late })
}

/// What every domain of a worker shares.
struct Running<'a> {
    settings: &'a Settings,
    broker: &'a Arc<dyn Broker>,
    clock: &'a Arc<dyn Clock>,
    token: &'a CancellationToken,
    stop: &'a CancellationToken,
}

impl Running<'_> {
    async fn start(
        &self,
        domain: Domain,
        readiness: Readiness,
    ) -> Result<(PgPool, Router, Vec<JoinHandle<()>>), StartError> {
        let name = domain.route.as_str();
        let database = format!("{}{name}", self.settings.database_prefix);
        let connections_max = self.settings.connections_max.max(limits::CONNECTIONS_MIN);
        let pool = open(&self.settings.database_url, &database, connections_max, &domain).await?;
        let topology = Topology::new().with_commands(name);
        let declared = self.broker.declare(&topology).await;
        declared.map_err(|source| StartError::Declare { domain: name, source })?;

        let events = Events::new(domain.route);
        let resources = Resources {
            pool: pool.clone(),
            clock: Arc::clone(self.clock),
            token: self.token.clone(),
            events: events.clone(),
        };
        for task in domain.setups {
            task(resources.clone()).await;
        }
        let engine = Arc::new(Engine {
            pool: pool.clone(),
            clock: Arc::clone(self.clock),
            events: events.clone(),
            domain: name,
            readiness,
            stop: self.stop.clone(),
        });
        engine.readiness.set(&engine.need(), Ok(()));
        let mut tasks = vec![tokio::spawn(connection_monitor::run(Arc::clone(&engine), self.token.clone()))];
        let consumer = Consumer {
            engine,
            route: domain.route,
            commands: domain.commands,
            broker: Arc::clone(self.broker),
            batch_commands_max: self.settings.batch_commands_max.max(1),
            prefetch_commands: self.settings.prefetch_commands.max(1),
            outside_calls_max: self.settings.outside_calls_max.max(1),
            drain: self.token.clone(),
        };
        let relay = Relay {
            pool: pool.clone(),
            events,
            broker: Arc::clone(self.broker),
            domain: name,
            drain: CancellationToken::new(),
            stop: self.stop.clone(),
        };
        tasks.push(tokio::spawn(prune::run(pool.clone(), Arc::clone(self.clock), name, self.token.clone())));
        for task in domain.background {
            tasks.push(tokio::spawn(task(resources.clone())));
        }
        // The relay ends after the consumer: the last commit's events are still published.
        let consumer_done = relay.drain.clone();
        tasks.push(tokio::spawn(async move { relay.run().await }));
        tasks.push(tokio::spawn(async move {
            keep_running(consumer).await;
            consumer_done.cancel();
        }));
        let reads = nested_reads(domain.route, domain.reads, &resources);
        Ok((pool, reads, tasks))
    }
}

/// Opens a domain's database with the domain's own tables and the runtime's.
pub(crate) async fn open(
    url: &str,
    database: &str,
    connections_max: u32,
    domain: &Domain,
) -> Result<PgPool, StartError> {
    let name = domain.route.as_str();
    let pool = postgres::open(url, database, connections_max, domain.migrator).await;
    let pool = pool.map_err(|source| StartError::Database { domain: name, source })?;
    migrate(&pool).await.map_err(|source| StartError::Migrate { domain: name, source })?;
    Ok(pool)
}

/// A domain's reads at their place.
pub(crate) fn nested_reads(route: Route, reads: Option<Reads>, resources: &Resources) -> Router {
    match reads {
        None => Router::new(),
        Some(reads) => Router::new().nest(&format!("/internal/{}", route.as_str()), reads(resources)),
    }
}

/// Makes the runtime's tables.
pub(crate) async fn migrate(pool: &PgPool) -> Result<(), sqlx::migrate::MigrateError> {
    let mut migrator: Migrator = sqlx::migrate!("../../migrations/runtime");
    migrator.dangerous_set_table_name(MIGRATIONS_TABLE);
    migrator.run(pool).await
}

/// A consumer that ends before its time is started again: what it held comes back to it from the broker.
async fn keep_running(consumer: Consumer) {
    let consumer = Arc::new(consumer);
    for pause in pauses() {
        let running = Arc::clone(&consumer);
        let ended = tokio::spawn(async move { running.run().await }).await;
        if consumer.drain.is_cancelled() {
            return;
        }
        let domain = consumer.engine.domain;
        match ended {
            Ok(()) => tracing::warn!(domain, "the subscription ended; subscribing again"),
            Err(error) => tracing::error!(domain, %error, "the consumer failed; it is started again"),
        }
        if consumer.drain.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
            return;
        }
    }
}

async fn serve(
    address: SocketAddr,
    reads: Router,
    internal_token: &SecretString,
    metrics: &MetricsHandle,
    readiness: Readiness,
    token: CancellationToken,
) -> Result<(SocketAddr, JoinHandle<()>), StartError> {
    let calls = Calls::new(CALLS_MAX);
    let reads = reads.layer(middleware::from_fn_with_state(calls.clone(), http::run_to_end));
    let router = http::base(http::require_internal_token(reads, internal_token), metrics, readiness);
    let served = http::serve(address, router, calls, token).await;
    let (bound, server) = served.map_err(|source| StartError::Listen { address, source })?;
    let task = tokio::spawn(async move {
        match server.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "the internal HTTP ended"),
            Err(error) => tracing::error!(%error, "the internal HTTP ended badly"),
        }
    });
    Ok((bound, task))
}

/// Keeps readiness in step with the broker's connection.
async fn watch_broker(broker: Arc<dyn Broker>, readiness: Readiness, token: CancellationToken) {
    let mut connected = broker.connected();
    loop {
        let state = if *connected.borrow_and_update() { Ok(()) } else { Err("no connection to the broker".to_owned()) };
        readiness.set("broker", state);
        match token.run_until_cancelled(connected.changed()).await {
            Some(Ok(())) => {}
            Some(Err(_)) | None => return,
        }
    }
}

/// Gives the drain its time, then ends all waiting, and ends itself when that too has had its time.
async fn stop_late(token: CancellationToken, drain_max: Duration, stop: CancellationToken) {
    token.cancelled().await;
    tokio::time::sleep(drain_max).await;
    stop.cancel();
    tokio::time::sleep(limits::LET_GO_MAX).await;
}
