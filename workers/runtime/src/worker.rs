//! Some domains run together in one process: opened, consumed, served, and drained at the end.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, middleware};
use kit::{
    clock::Clock,
    http::{self, CALLS_MAX, Calls},
    metrics::MetricsHandle,
    readiness::Readiness,
};
use messaging::Broker;
use secrecy::SecretString;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{
    bulkheads::Bulkheads, domain::Domain, limits, roll_call::Presence, running_domain::Shared, settings::Settings,
    start_error::StartError,
};

/// A worker that runs.
#[derive(Debug)]
pub struct Worker {
    address: Option<SocketAddr>,
    readiness: Readiness,
    bulkheads: Vec<Bulkheads>,
    tasks: Vec<JoinHandle<()>>,
    stop_late: JoinHandle<()>,
}

impl Worker {
    /// Where the internal HTTP is served.
    #[must_use]
    pub const fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// The needs of the worker, and which of them are missing at the moment.
    #[must_use]
    pub const fn readiness(&self) -> &Readiness {
        &self.readiness
    }

    /// Waits until everything has ended, which it does once the token given to [`start`] is cancelled: in its own time,
    /// or [`limits::LET_GO_MAX`] after the time for draining.
    pub async fn finished(self) {
        let Self { bulkheads, mut tasks, mut stop_late, .. } = self;
        let ended = async {
            for task in &mut tasks {
                if let Err(error) = task.await {
                    tracing::error!(%error, "a part of the worker ended badly");
                }
            }
            // A database that is stopped next finds no connection in use.
            for bulkheads in &bulkheads {
                bulkheads.close().await;
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
    let shared = Shared { settings, broker, clock, readiness: readiness.clone(), token: token.clone(), stop };
    // All queues are there before any domain tells of anything: an event without a queue to take it would be lost.
    for domain in &domains {
        shared.declare(domain).await?;
    }
    let (version, now) = (&shared.settings.version, shared.clock.now());
    let routes = domains.iter().map(|domain| domain.route).collect();
    let presence = Presence::declare(&shared.broker, version, now, routes).await.map_err(StartError::DeclareOwn)?;
    let mut reads = Router::new();
    let mut bulkheads = Vec::new();
    for domain in domains {
        let running = shared.run(domain).await?;
        bulkheads.push(running.bulkheads);
        reads = reads.merge(running.reads);
        tasks.extend(running.tasks);
    }
    tasks.push(tokio::spawn(presence.answer(token.clone())));
    let Settings { listen, internal_token, .. } = shared.settings;
    let address = match listen {
        None => None,
        Some(address) => {
            let (address, server) = serve(address, reads, &internal_token, &metrics, readiness.clone(), token).await?;
            tasks.push(server);
            Some(address)
        }
    };
    Ok(Worker { address, readiness, bulkheads, tasks, stop_late })
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

/// Keeps readiness in step with the broker's state.
async fn watch_broker(broker: Arc<dyn Broker>, readiness: Readiness, token: CancellationToken) {
    let mut state = broker.state();
    loop {
        let ready = state.borrow_and_update().ready();
        readiness.set("broker", ready);
        match token.run_until_cancelled(state.changed()).await {
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
