//! One domain as a worker runs it: its database opened, its queues declared, its tasks started.

use std::{future::Future, sync::Arc};

use axum::Router;
use contract::command::Route;
use kit::{clock::Clock, readiness::Readiness};
use messaging::{Broker, Topology};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{
    bulkheads::Bulkheads,
    connection_monitor,
    consumer::Consumer,
    domain::{Background, Commands, Domain, Reads, Resources},
    engine::Engine,
    events::{handler::Subscriptions, outbox::Events, relay::Relay, subscriber::Subscriber},
    failure::pauses,
    pruner::Pruner,
    settings::{DATABASE_PREFIX, Settings},
    start_error::StartError,
};

/// The parts that all domains of a worker share.
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) broker: Arc<dyn Broker>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) readiness: Readiness,
    /// Cancelled when nothing more is to be taken.
    pub(crate) token: CancellationToken,
    /// Cancelled when nothing is worth waiting for any more.
    pub(crate) stop: CancellationToken,
}

/// A domain that runs.
pub(crate) struct RunningDomain {
    pub(crate) bulkheads: Bulkheads,
    pub(crate) reads: Router,
    pub(crate) tasks: Vec<JoinHandle<()>>,
}

/// Opens a domain's database, with its tables and the runtime's, without running the domain: for acts of those who have
/// the database, such as the first person of an installation.
///
/// # Errors
/// [`StartError`] names what is missing.
pub async fn open_resources(
    database_url: &str,
    domain: &Domain,
    clock: Arc<dyn Clock>,
) -> Result<Resources, StartError> {
    let database = format!("{DATABASE_PREFIX}{}", domain.route.as_str());
    let bulkheads = Bulkheads::open(database_url, &database, 1, domain, clock.now()).await?;
    let (pool, events) = (bulkheads.jobs, Events::new(domain.route));
    Ok(Resources { pool, clock, token: CancellationToken::new(), events })
}

impl Shared {
    /// Makes the queues of a domain: its commands, and the events that it has subscribed to.
    pub(crate) async fn declare(&self, domain: &Domain) -> Result<(), StartError> {
        let name = domain.route.as_str();
        let mut topology = Topology::new().with_commands(name);
        if !domain.subscriptions.is_empty() {
            let kinds: Vec<&str> = domain.subscriptions.keys().copied().collect();
            topology = topology.with_events(name, &kinds);
        }
        let declared = self.broker.declare(&topology).await;
        declared.map_err(|source| StartError::Declare { domain: name, source })
    }

    /// Opens a domain's database and runs the domain.
    pub(crate) async fn run(&self, domain: Domain) -> Result<RunningDomain, StartError> {
        let name = domain.route.as_str();
        let database = format!("{}{name}", self.settings.database_prefix);
        let Settings { database_url, read_connections_max, .. } = &self.settings;
        let bulkheads =
            Bulkheads::open(database_url, &database, *read_connections_max, &domain, self.clock.now()).await?;
        let events = Events::new(domain.route);
        let resources = Resources {
            pool: bulkheads.jobs.clone(),
            clock: Arc::clone(&self.clock),
            token: self.token.clone(),
            events: events.clone(),
        };
        for check in domain.checks {
            let checked = check(resources.clone()).await;
            checked.map_err(|source| StartError::Check { domain: name, source })?;
        }
        for task in domain.setups {
            task(resources.clone()).await;
        }
        let engine = Arc::new(Engine {
            bulkheads: bulkheads.clone(),
            clock: Arc::clone(&self.clock),
            events,
            lock_order: domain.lock_order,
            domain: name,
            readiness: self.readiness.clone(),
            stop: self.stop.clone(),
        });
        engine.readiness.set(&engine.need(), Ok(()));
        let mut tasks = self.messages(&engine, domain.route, domain.commands, domain.subscriptions);
        tasks.push(tokio::spawn(connection_monitor::run(Arc::clone(&engine), self.token.clone())));
        let pruner = Pruner::new(bulkheads.jobs.clone(), Arc::clone(&self.clock), name, domain.retentions);
        let drain = self.token.clone();
        tasks.push(tokio::spawn(async move { pruner.run(drain).await }));
        tasks.extend(domain.background.into_iter().map(|task: Background| tokio::spawn(task(resources.clone()))));
        let resources = Resources { pool: bulkheads.reads.clone(), ..resources };
        let reads = nested_reads(domain.route, domain.reads, &resources);
        Ok(RunningDomain { bulkheads, reads, tasks })
    }

    /// Takes commands and events in, and tells events.
    fn messages(
        &self,
        engine: &Arc<Engine>,
        route: Route,
        commands: Commands,
        subscriptions: Subscriptions,
    ) -> Vec<JoinHandle<()>> {
        let relay = Relay {
            pool: engine.bulkheads.jobs.clone(),
            events: engine.events.clone(),
            broker: Arc::clone(&self.broker),
            domain: engine.domain,
            drain: CancellationToken::new(),
            stop: self.stop.clone(),
        };
        let subscribes = !subscriptions.is_empty();
        let subscriber = Arc::new(Subscriber {
            engine: Arc::clone(engine),
            subscriptions,
            broker: Arc::clone(&self.broker),
            event_tries_max: self.settings.event_tries_max.max(1),
            drain: self.token.clone(),
        });
        let consumer = Arc::new(Consumer {
            engine: Arc::clone(engine),
            route,
            commands,
            broker: Arc::clone(&self.broker),
            batch_commands_max: self.settings.batch_commands_max.max(1),
            prefetch_commands: self.settings.prefetch_commands.max(1),
            outside_calls_max: self.settings.outside_calls_max.max(1),
            drain: self.token.clone(),
        });
        let (domain, drain, all_committed) = (engine.domain, self.token.clone(), relay.drain.clone());
        let taking = tokio::spawn(async move {
            let take_commands = keep_running(domain, &drain, || {
                let consumer = Arc::clone(&consumer);
                async move { consumer.run().await }
            });
            let take_events = async {
                if subscribes {
                    keep_running(domain, &drain, || {
                        let subscriber = Arc::clone(&subscriber);
                        async move { subscriber.run().await }
                    })
                    .await;
                }
            };
            tokio::join!(take_commands, take_events);
            // The relay ends last: the last commit's events are still published.
            all_committed.cancel();
        });
        vec![taking, tokio::spawn(async move { relay.run().await })]
    }
}

/// A domain's reads at their place.
pub(crate) fn nested_reads(route: Route, reads: Option<Reads>, resources: &Resources) -> Router {
    match reads {
        None => Router::new(),
        Some(reads) => Router::new().nest(&format!("/internal/{}", route.as_str()), reads(resources)),
    }
}

/// A consumer that ends before its time is started again: what it held comes back to it from the broker.
async fn keep_running<F>(domain: &'static str, drain: &CancellationToken, run: impl Fn() -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    for pause in pauses() {
        let ended = tokio::spawn(run()).await;
        if drain.is_cancelled() {
            return;
        }
        match ended {
            Ok(()) => tracing::warn!(domain, "the subscription ended; subscribing again"),
            Err(error) => tracing::error!(domain, %error, "the consumer failed; it is started again"),
        }
        if drain.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
            return;
        }
    }
}
