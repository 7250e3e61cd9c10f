//! One installation for a test: a journal, a broker, orchestrators that come and go, and a worker.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, Weak},
    time::Duration,
};

use journal::{Journal, MemoryJournal, PgJournal, PgJournalOptions};
use machine::Catalog;
use messaging::{Broker, in_process::InProcessBroker};
use orchestrator::{Limits, Orchestrator, Settings};
use tokio_util::sync::CancellationToken;

use crate::{client::Client, trip, worker::Worker};

/// Two are enough to be distributed.
pub(crate) const SHARDS: u16 = 2;

/// What a test waits for comes long before, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where the journal is kept.
pub(crate) enum Storage {
    Memory,
    Postgres,
}

enum Opened {
    /// The processes that share it; a dead one counts no more.
    Memory(Mutex<Vec<Weak<MemoryJournal>>>),
    Postgres(String),
}

/// One installation.
pub(crate) struct Rig {
    storage: Opened,
    broker: InProcessBroker,
}

/// One running orchestrator and a client of its interface.
pub(crate) struct Running {
    pub(crate) orchestrator: Orchestrator,
    pub(crate) client: Client,
    pub(crate) stop: CancellationToken,
}

/// What an orchestrator of a test may have different.
pub(crate) struct Parts {
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) broker: Arc<dyn Broker>,
    pub(crate) catalog: Catalog,
    pub(crate) limits: Limits,
}

impl Rig {
    pub(crate) async fn new(storage: Storage) -> Self {
        let storage = match storage {
            Storage::Memory => Opened::Memory(Mutex::default()),
            Storage::Postgres => Opened::Postgres(private_servers::testing::database("orchestrator").await),
        };
        Self { storage, broker: InProcessBroker::new() }
    }

    /// A process's journal.
    pub(crate) async fn journal(&self) -> Arc<dyn Journal> {
        match &self.storage {
            Opened::Memory(members) => {
                let mut members = members.lock().unwrap();
                let alive = members.iter().find_map(Weak::upgrade);
                let joins = alive.map_or_else(|| MemoryJournal::new(SHARDS), |alive| MemoryJournal::clone(&alive));
                let joins = Arc::new(joins);
                members.push(Arc::downgrade(&joins));
                joins
            }
            Opened::Postgres(url) => {
                let now = kit::clock::system().now();
                let options = PgJournalOptions::new(url, SHARDS, kit::ids::instance_id(), now);
                PgJournal::connect(options).await.unwrap()
            }
        }
    }

    /// A process's client of the broker.
    pub(crate) fn broker(&self) -> Arc<dyn Broker> {
        Arc::new(self.broker.another_client())
    }

    pub(crate) async fn parts(&self) -> Parts {
        let (journal, broker) = (self.journal().await, self.broker());
        Parts { journal, broker, catalog: trip::catalog(), limits: Limits::default() }
    }

    /// An orchestrator with everything as usual, owning its share.
    pub(crate) async fn orchestrator(&self) -> Running {
        Running::start(self.parts().await).await
    }

    pub(crate) async fn worker(&self) -> Worker {
        Worker::start(self.broker()).await
    }
}

impl Running {
    /// Starts an orchestrator and waits until it owns something.
    pub(crate) async fn start(parts: Parts) -> Self {
        let mut running = Self::start_waiting(parts).await;
        running.owns(|owned| owned > 0).await;
        running
    }

    /// Starts an orchestrator that may have to wait for its shards.
    pub(crate) async fn start_waiting(parts: Parts) -> Self {
        let Parts { journal, broker, catalog, limits } = parts;
        let stop = CancellationToken::new();
        let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let settings = Settings { limits, ..Settings::development(anywhere) };
        let clock = kit::clock::system();
        let started = orchestrator::start(settings, journal, broker, catalog, clock, stop.clone()).await;
        let orchestrator = started.unwrap();
        Self { client: Client::new(orchestrator.address()), orchestrator, stop }
    }

    pub(crate) async fn owns(&mut self, enough: impl Fn(usize) -> bool) {
        let mut owned = self.orchestrator.owned_shards();
        let waited = tokio::time::timeout(PATIENCE, owned.wait_for(|owned| enough(*owned))).await;
        waited.expect("the shards are owned in time").expect("the orchestrator lives");
    }

    pub(crate) async fn owns_all(&mut self) {
        self.owns(|owned| owned == usize::from(SHARDS)).await;
    }

    /// Ends at once, as a crash does: nothing is given up in order.
    pub(crate) fn kill(self) {
        drop(self.orchestrator);
    }
}

/// Waits for a state of the outside world.
pub(crate) async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        if let Some(seen) = look().await {
            return seen;
        }
        assert!(tokio::time::Instant::now() < deadline, "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Runs one scenario on both journals.
macro_rules! on_both_journals {
    ($($name:ident),+ $(,)?) => {
        mod in_memory {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name($crate::rig::Rig::new($crate::rig::Storage::Memory).await).await;
            })+
        }

        mod on_postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name($crate::rig::Rig::new($crate::rig::Storage::Postgres).await).await;
            })+
        }
    };
}

pub(crate) use on_both_journals;
