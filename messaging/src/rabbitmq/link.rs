//! One connection under supervision: dialed, prepared, offered, watched, and dialed again.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::{Stream, StreamExt};
use lapin::{Connection, ConnectionProperties, Event};
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout, timeout_at},
};
use tokio_util::sync::CancellationToken;

use crate::{
    broker::BrokerState,
    error::BrokerError,
    metrics,
    pauses::{PAUSE_MAX, pauses},
    rabbitmq::{
        address::Address,
        declare::{self, Remembered},
        options::{CLOSE_TIMEOUT, FirstConnect, Installation},
    },
    topology::QueueName,
};

/// How long dialing and declaring may take together before it counts as failed.
const DIAL_TIMEOUT: Duration = Duration::from_secs(20);

/// How often the state of a connection is looked at besides its events, since one kind of end (closed by the
/// broker with a code that lapin does not know) sends no event. Looks at memory, not at the broker.
const STATE_LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// The purpose of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Publishing,
    Consuming,
}

impl Role {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Publishing => "publishing",
            Self::Consuming => "consuming",
        }
    }
}

/// The state of both connections, which is that of the worse one.
#[derive(Debug)]
pub(super) struct Readiness {
    of_roles: Mutex<[BrokerState; 2]>,
    of_both: watch::Sender<BrokerState>,
}

impl Default for Readiness {
    fn default() -> Self {
        Self { of_roles: Mutex::new([BrokerState::Away; 2]), of_both: watch::Sender::new(BrokerState::Away) }
    }
}

impl Readiness {
    pub(super) fn subscribe(&self) -> watch::Receiver<BrokerState> {
        self.of_both.subscribe()
    }

    fn set(&self, role: Role, state: BrokerState) {
        metrics::connection_state(role.name(), state);
        let mut of_roles = self.of_roles.lock().unwrap_or_else(PoisonError::into_inner);
        of_roles[role as usize] = state;
        let worse = of_roles[0].max(of_roles[1]);
        self.of_both.send_if_modified(|known| std::mem::replace(known, worse) != worse);
    }
}

/// The recipe for one more connection.
pub(super) struct Dialer {
    address: Address,
    name: String,
    role: Role,
    installation: Installation,
    remembered: Arc<Remembered>,
}

impl Dialer {
    pub(super) fn new(
        address: Address,
        client_name: &str,
        role: Role,
        installation: Installation,
        remembered: Arc<Remembered>,
    ) -> Self {
        let name = format!("{client_name} {}", role.name());
        Self { address, name, role, installation, remembered }
    }

    /// One connection, with everything that was declared before declared again.
    async fn dial(&self) -> Result<Connection, BrokerError> {
        let properties = ConnectionProperties::default().with_connection_name(self.name.as_str().into());
        let dialing = async {
            let connection = Connection::connect_uri(self.address.uri(), properties).await?;
            declare::apply(&connection, &self.installation, &self.remembered.queues()).await?;
            Ok::<_, lapin::Error>(connection)
        };
        let outcome = match timeout(DIAL_TIMEOUT, dialing).await {
            Ok(outcome) => outcome.map_err(Into::into),
            Err(elapsed) => Err(elapsed.into()),
        };
        outcome.map_err(|source| BrokerError::Connect { address: self.address.to_string(), source })
    }

    /// Dials until it works.
    async fn dial_for_ever(&self) -> Connection {
        let mut pauses = pauses();
        loop {
            let error = match self.dial().await {
                Ok(connection) => return connection,
                Err(error) => error,
            };
            let pause = pauses.next().unwrap_or(PAUSE_MAX);
            let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
            tracing::warn!(role = self.role.name(), %error, cause, pause_ms = pause.as_millis(), "no connection to the broker");
            sleep(pause).await;
        }
    }
}

/// A connection that is up right now.
pub(super) struct Live {
    /// Counts the connections of the link.
    pub(super) epoch: u64,
    pub(super) connection: Connection,
}

/// The current connection of one role, and its supervisor's way to offer the next.
pub(super) struct Link {
    role: Role,
    live: watch::Sender<Option<Arc<Live>>>,
    state: watch::Sender<BrokerState>,
    ended: CancellationToken,
    closing: CancellationToken,
    readiness: Arc<Readiness>,
}

impl Link {
    /// Makes the first connection and starts the supervisor.
    pub(super) async fn open(
        dialer: Dialer,
        first_connect: FirstConnect,
        readiness: &Arc<Readiness>,
        closing: &CancellationToken,
    ) -> Result<Arc<Self>, BrokerError> {
        let connection = match first_connect {
            FirstConnect::FailFast => dialer.dial().await?,
            FirstConnect::RetryForever => dialer.dial_for_ever().await,
        };
        let link = Arc::new(Self {
            role: dialer.role,
            live: watch::Sender::new(None),
            state: watch::Sender::new(BrokerState::Away),
            ended: CancellationToken::new(),
            closing: closing.clone(),
            readiness: Arc::clone(readiness),
        });
        // Offered here and not by the task, so that the caller can publish as soon as this returns.
        let first = link.offer(1, connection);
        tokio::spawn(Arc::clone(&link).supervise(dialer, first));
        Ok(link)
    }

    pub(super) fn role(&self) -> Role {
        self.role
    }

    /// The connection of this instant.
    pub(super) fn current(&self) -> Option<Arc<Live>> {
        self.live.borrow().clone()
    }

    /// The state of this connection.
    pub(super) fn state(&self) -> watch::Receiver<BrokerState> {
        self.state.subscribe()
    }

    /// Waits for a connection; `None` when the client closes.
    pub(super) async fn wait(&self) -> Option<Arc<Live>> {
        let mut live = self.live.subscribe();
        tokio::select! {
            () = self.closing.cancelled() => None,
            found = live.wait_for(Option::is_some) => found.ok().and_then(|live| live.clone()),
        }
    }

    /// Waits until the supervisor has closed the connection and left.
    pub(super) async fn closed(&self) {
        self.ended.cancelled().await;
    }

    /// Does something over the current connection, and again over the next one when that connection is lost
    /// meanwhile, for as long as `patience` lasts. A refusal by the broker itself is final.
    pub(super) async fn run<T, F>(
        &self,
        doing: &str,
        patience: Duration,
        attempt: impl Fn(Arc<Live>) -> F + Send + Sync,
    ) -> Result<(Arc<Live>, T), BrokerError>
    where
        T: Send,
        F: Future<Output = lapin::Result<T>> + Send,
    {
        let deadline = Instant::now() + patience;
        let mut pauses = pauses();
        let mut met = String::from("none was made in time");
        let unavailable =
            |detail: &str| BrokerError::Unavailable { doing: doing.to_owned(), detail: detail.to_owned() };
        loop {
            let Ok(live) = timeout_at(deadline, self.wait()).await else {
                return Err(unavailable(&met));
            };
            let live = live.ok_or(BrokerError::Closed)?;
            match timeout_at(deadline, attempt(Arc::clone(&live))).await {
                Ok(Ok(value)) => return Ok((live, value)),
                Ok(Err(error)) if error.is_amqp_soft_error() => {
                    return Err(BrokerError::Refused { doing: doing.to_owned(), source: error.into() });
                }
                Ok(Err(error)) => {
                    tracing::debug!(doing, %error, "failed over a lost connection, trying again");
                    met = error.to_string();
                }
                Err(_) => return Err(unavailable("the broker did not answer in time")),
            }
            sleep(pauses.next().unwrap_or(PAUSE_MAX)).await;
        }
    }

    fn offer(&self, epoch: u64, connection: Connection) -> Arc<Live> {
        let live = Arc::new(Live { epoch, connection });
        self.live.send_replace(Some(Arc::clone(&live)));
        self.set_state(BrokerState::Connected);
        live
    }

    fn withdraw(&self) {
        self.live.send_replace(None);
        self.set_state(BrokerState::Away);
    }

    async fn supervise(self: Arc<Self>, dialer: Dialer, mut live: Arc<Live>) {
        loop {
            tokio::select! {
                () = self.closing.cancelled() => break,
                reason = self.watch(&live) => {
                    tracing::warn!(role = self.role.name(), reason, "lost the connection to the broker");
                }
            }
            metrics::connection_lost(self.role.name());
            self.withdraw();
            let epoch = live.epoch + 1;
            drop(live);
            live = tokio::select! {
                () = self.closing.cancelled() => {
                    self.ended.cancel();
                    return;
                }
                connection = dialer.dial_for_ever() => self.offer(epoch, connection),
            };
            tracing::info!(role = self.role.name(), epoch, "connected to the broker again");
        }
        self.withdraw();
        if let Ok(Err(error)) = timeout(CLOSE_TIMEOUT, live.connection.close(200, "client closed".into())).await {
            tracing::debug!(role = self.role.name(), %error, "the connection was gone before it was closed");
        }
        self.ended.cancel();
    }

    /// Returns when the connection is lost, with the reason.
    async fn watch(&self, live: &Live) -> String {
        let mut events: std::pin::Pin<Box<dyn Stream<Item = Event> + Send>> =
            Box::pin(live.connection.events_listener());
        let mut reason = String::from("closed by the broker");
        loop {
            // Asked after the listener exists, so that an end before it is seen here: lapin drops the events that no
            // listener waits for.
            let status = live.connection.status();
            if !status.connected() {
                return reason;
            }
            self.set_state(if status.blocked() { BrokerState::Blocked } else { BrokerState::Connected });
            match timeout(STATE_LOOK_INTERVAL, events.next()).await {
                Ok(Some(Event::ConnectionBlocked(why))) => {
                    tracing::warn!(role = self.role.name(), why, "the broker has stopped taking messages");
                }
                Ok(Some(Event::ConnectionUnblocked)) => {
                    tracing::info!(role = self.role.name(), "the broker takes messages again");
                }
                // Also sent for an error that ends only a channel; the state tells which it was.
                Ok(Some(Event::Error(error))) => reason = error.to_string(),
                Ok(None) => sleep(STATE_LOOK_INTERVAL).await,
                Ok(Some(_)) | Err(_) => {}
            }
        }
    }

    fn set_state(&self, state: BrokerState) {
        if self.state.send_if_modified(|known| std::mem::replace(known, state) != state) {
            self.readiness.set(self.role, state);
        }
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("role", &self.role).finish_non_exhaustive()
    }
}

/// Says which queue is missing, when that is what the broker refused for.
pub(super) fn name_missing_queue(error: BrokerError, queue: &QueueName) -> BrokerError {
    let is_missing = match &error {
        BrokerError::Refused { source, .. } => {
            source.downcast_ref::<lapin::Error>().is_some_and(|error| declare::has_code(error, declare::NOT_FOUND))
        }
        _ => false,
    };
    if is_missing { BrokerError::NoSuchQueue { queue: queue.clone() } } else { error }
}
