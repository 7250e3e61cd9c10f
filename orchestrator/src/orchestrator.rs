//! Putting an orchestrator together, and taking it apart in order.

use std::{net::SocketAddr, sync::Arc};

use contract::Route;
use journal::{Journal, JournalError};
use kit::{
    clock::Clock,
    http::{CALLS_MAX, Calls},
    readiness::Readiness,
};
use machine::Catalog;
use messaging::{Broker, BrokerError, QueueName, Topology};
use tokio::{sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    clock_watch, http, maintenance,
    messages::{
        dead_letters, own_queue, pending_requests::PendingRequests, pongs::Pongs, roll_calls::RollCalls,
        unpackers::Unpackers,
    },
    names, ownership,
    settings::Settings,
    shared::Shared,
    starts::{admission::Admission, lanes::LaneTable},
    watchdog,
    watching::{job_followers::JobFollowers, job_news, watchers::Watchers},
};

/// The reason why an orchestrator could not begin.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The journal did not answer.
    #[error("the journal cannot be prepared")]
    Journal(#[source] JournalError),
    /// The broker did not answer.
    #[error("the queues cannot be declared")]
    Broker(#[source] BrokerError),
    /// The system gives no thread.
    #[error("the watch over the lanes cannot begin")]
    Watchdog(#[source] std::io::Error),
    /// The address is taken or not ours.
    #[error("cannot listen on {address}")]
    Listen {
        address: SocketAddr,
        #[source]
        source: std::io::Error,
    },
}

/// A running orchestrator. Dropping it ends everything at once, as a crash would; [`Orchestrator::join`] waits for the
/// orderly end that the token asks for.
pub struct Orchestrator {
    shared: Arc<Shared>,
    address: SocketAddr,
    /// Lanes and what serves them: end first.
    lanes: JoinSet<()>,
    /// The tasks that others still need while the lanes end.
    around: JoinSet<()>,
    stop: CancellationToken,
    /// Ends what is around, after the lanes.
    stop_around: CancellationToken,
}

impl std::fmt::Debug for Orchestrator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Orchestrator").field("address", &self.address).finish_non_exhaustive()
    }
}

/// Runs an orchestrator until the token is cancelled and everything has ended in order.
///
/// # Errors
/// When it cannot begin. Once it runs, lost servers are waited for.
pub async fn run(
    settings: Settings,
    journal: Arc<dyn Journal>,
    broker: Arc<dyn Broker>,
    catalog: Catalog,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
) -> Result<(), RunError> {
    start(settings, journal, broker, catalog, clock, stop).await?.join().await;
    Ok(())
}

/// Starts an orchestrator: declares its queues, listens, and queues for every shard.
///
/// # Errors
/// When it cannot begin.
pub async fn start(
    settings: Settings,
    journal: Arc<dyn Journal>,
    broker: Arc<dyn Broker>,
    catalog: Catalog,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
) -> Result<Orchestrator, RunError> {
    let shards = journal.shards();
    let instance = settings.instance.to_string();
    journal.prepare(clock.now()).await.map_err(RunError::Journal)?;
    broker.declare(&topology(shards, &instance)).await.map_err(RunError::Broker)?;
    let admission = Admission::new(&settings.limits, broker.state());
    let shared = Arc::new(Shared {
        journal,
        broker,
        catalog: Arc::new(catalog),
        started_at: clock.now(),
        clock,
        readiness: Readiness::new(),
        shards,
        own_queue: QueueName::orchestrator(&instance),
        admission,
        lanes: LaneTable::new(),
        watchers: Arc::new(Watchers::new(settings.limits.watchers_max)),
        job_followers: Arc::new(JobFollowers::new(settings.limits.watchers_max)),
        pending_requests: PendingRequests::default(),
        pending_questions: PendingRequests::default(),
        pending_counts: PendingRequests::default(),
        pending_lanes: PendingRequests::default(),
        roll_calls: RollCalls::default(),
        unpackers: Unpackers::default(),
        pongs: Pongs::default(),
        watchdog: Arc::default(),
        forsaken: watch::Sender::default(),
        settings,
    });
    let readiness = &shared.readiness;
    readiness.set(names::NEED_JOURNAL, Ok(()));
    readiness.set(names::NEED_SHARDS, Err("this orchestrator owns no shard yet".to_owned()));

    for definition in shared.catalog.iter() {
        for machine::Finding { rule, step, message } in machine::lint(definition) {
            let (saga, version) = (definition.name(), definition.version());
            tracing::warn!(saga, version, %step, %rule, message, "the linter found something in a definition");
        }
    }

    watchdog::start(&shared.watchdog, watchdog::end_process).map_err(RunError::Watchdog)?;
    let stop_around = CancellationToken::new();
    let address = shared.settings.listen;
    let calls = Calls::new(CALLS_MAX);
    let router = http::router(&shared, &calls, &stop);
    let served = kit::http::serve(address, router, calls, stop_around.clone()).await;
    let (address, server) = served.map_err(|source| RunError::Listen { address, source })?;
    tracing::info!(%address, instance, shards, "the orchestrator listens");

    let mut around = JoinSet::new();
    let ends_server = server.abort_handle();
    around.spawn(async move {
        let _ends_with_this_task = AbortOnDrop(ends_server);
        if let Ok(Err(error)) = server.await {
            tracing::error!(%error, "the HTTP server broke");
        }
    });
    around.spawn(own_queue::listen(Arc::clone(&shared), stop_around.clone()));
    around.spawn(job_news::serve(Arc::clone(&shared), stop_around.clone()));
    around.spawn(dead_letters::collect(Arc::clone(&shared), stop_around.clone()));
    around.spawn(maintenance::prepare_daily(Arc::clone(&shared), stop_around.clone()));
    around.spawn(maintenance::report_broker(Arc::clone(&shared), stop_around.clone()));
    around.spawn(ownership::forsake(Arc::clone(&shared), stop_around.clone()));
    around.spawn(clock_watch::watch(Arc::clone(&shared.clock), stop_around.clone()));
    around.spawn(ownership::report(Arc::clone(&shared), stop_around.clone()));
    let mut lanes = JoinSet::new();
    for shard in 0..shards {
        lanes.spawn(ownership::supervise(Arc::clone(&shared), shard, stop.clone()));
    }
    lanes.spawn(ownership::balance(Arc::clone(&shared), stop.clone()));
    lanes.spawn(close_the_door(Arc::clone(&shared), stop.clone()));
    Ok(Orchestrator { shared, address, lanes, around, stop, stop_around })
}

impl Orchestrator {
    /// The address of the HTTP interface.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Readiness, with the missing needs by name.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        self.shared.readiness.clone()
    }

    /// The number of shards that this process owns, and every change of it.
    #[must_use]
    pub fn owned_shards(&self) -> tokio::sync::watch::Receiver<usize> {
        self.shared.lanes.owned()
    }

    /// Asks for the orderly end.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Waits for the orderly end: no starts are taken any more, the lanes finish and give their shards up, then the
    /// HTTP interface closes.
    pub async fn join(mut self) {
        while self.lanes.join_next().await.is_some() {}
        self.stop_around.cancel();
        let around = async { while self.around.join_next().await.is_some() {} };
        if tokio::time::timeout(self.shared.settings.limits.drain, around).await.is_err() {
            tracing::warn!("requests that are still open are cut off");
        }
        tracing::info!("the orchestrator has stopped");
    }
}

struct AbortOnDrop(tokio::task::AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// From the first sign of the end, no start is admitted and readiness says why.
async fn close_the_door(shared: Arc<Shared>, stop: CancellationToken) {
    stop.cancelled().await;
    shared.admission.close();
    shared.readiness.set(names::NEED_SERVING, Err("this orchestrator is stopping".to_owned()));
}

/// The commands' queues are declared too: what is sent before a domain's first worker ever started waits there.
fn topology(shards: u16, instance: &str) -> Topology {
    let commands = Route::ALL.into_iter().fold(Topology::new(), |all, route| all.with_commands(route.as_str()));
    (0..shards).fold(commands, Topology::with_replies).with_orchestrator(instance)
}
