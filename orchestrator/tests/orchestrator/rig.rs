//! One installation for a test: a journal, a broker, orchestrators that come and go, and a worker.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, Weak},
    time::Duration,
};

use journal::{Journal, MemoryJournal, PgJournal, PgJournalOptions};
use kit::clock::Clock;
use machine::Catalog;
use messaging::{
    Broker, Namespace, Topology,
    in_process::InProcessBroker,
    rabbitmq::{RabbitBroker, RabbitOptions},
};
use orchestrator::{Limits, Orchestrator, Retirement, Settings};
use tokio_util::sync::CancellationToken;

use crate::{client::Client, trip, worker::Worker};

/// Two are enough to be distributed.
pub(crate) const SHARDS: u16 = 2;

/// A state that a test waits for comes long before, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// On which servers an installation stands.
pub(crate) enum Servers {
    /// None at all.
    InMemory,
    /// The journal on PostgreSQL, the broker in the process.
    Postgres,
    /// PostgreSQL and RabbitMQ.
    Real,
}

enum Opened {
    /// The processes that share it; a dead one counts no more.
    Memory(Mutex<Vec<Weak<MemoryJournal>>>),
    Postgres(String),
}

enum Bus {
    InProcess(InProcessBroker),
    /// A prefix of our own on the shared RabbitMQ.
    Rabbit(Namespace),
}

/// One installation, and the way to its servers.
pub(crate) struct Rig {
    storage: Opened,
    bus: Bus,
}

/// One running orchestrator and a client of its interface.
pub(crate) struct Running {
    pub(crate) orchestrator: Orchestrator,
    pub(crate) client: Client,
    pub(crate) stop: CancellationToken,
}

/// The parts in which the orchestrator of a test may differ.
pub(crate) struct Parts {
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) broker: Arc<dyn Broker>,
    pub(crate) catalog: Catalog,
    pub(crate) limits: Limits,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) retirement: Option<Retirement>,
    pub(crate) four_eyes: bool,
}

impl Rig {
    pub(crate) async fn new(servers: Servers) -> Self {
        let storage = match servers {
            Servers::InMemory => Opened::Memory(Mutex::default()),
            Servers::Postgres | Servers::Real => {
                Opened::Postgres(private_servers::testing::database("orchestrator").await)
            }
        };
        let bus = match servers {
            Servers::InMemory | Servers::Postgres => Bus::InProcess(InProcessBroker::new()),
            Servers::Real => Bus::Rabbit(Namespace::new(private_servers::testing::unique("orchestrator"))),
        };
        Self { storage, bus }
    }

    /// Leaves nothing on a shared server.
    pub(crate) async fn clean_up(self) {
        if let Bus::Rabbit(namespace) = self.bus {
            let broker = rabbit(&namespace).await;
            let all = contract::Route::ALL.iter().fold(Topology::new(), |all, route| all.with_commands(route.as_str()));
            broker.remove(&(0..SHARDS).fold(all, Topology::with_replies)).await.unwrap();
        }
    }

    /// A process's journal.
    pub(crate) async fn journal(&self) -> Arc<dyn Journal> {
        self.journal_of(SHARDS).await
    }

    async fn journal_of(&self, shards: u16) -> Arc<dyn Journal> {
        match &self.storage {
            Opened::Memory(members) => {
                let mut members = members.lock().unwrap();
                let alive = members.iter().find_map(Weak::upgrade);
                let joins = alive.map_or_else(|| MemoryJournal::new(shards), |alive| MemoryJournal::clone(&alive));
                let joins = Arc::new(joins);
                members.push(Arc::downgrade(&joins));
                joins
            }
            Opened::Postgres(url) => {
                let now = kit::clock::system().now();
                let options = PgJournalOptions::new(url, shards, kit::ids::instance_id(), now);
                PgJournal::connect(options).await.unwrap()
            }
        }
    }

    /// Takes a shard away from its owner, as the loss of its connection does. For the journal in memory.
    pub(crate) fn revoke(&self, shard: u16) {
        let Opened::Memory(members) = &self.storage else { panic!("only the journal in memory can do that") };
        let alive = members.lock().unwrap().iter().find_map(Weak::upgrade);
        alive.expect("a process takes part").revoke(shard);
    }

    /// A process's client of the broker.
    pub(crate) async fn broker(&self) -> Arc<dyn Broker> {
        match &self.bus {
            Bus::InProcess(broker) => Arc::new(broker.another_client()),
            Bus::Rabbit(namespace) => Arc::new(rabbit(namespace).await),
        }
    }

    pub(crate) async fn parts(&self) -> Parts {
        self.parts_of(SHARDS).await
    }

    /// The parts of an installation with another number of shards.
    pub(crate) async fn parts_of(&self, shards: u16) -> Parts {
        let (journal, broker) = (self.journal_of(shards).await, self.broker().await);
        let (catalog, limits, clock) = (trip::catalog(), Limits::default(), kit::clock::system());
        Parts { journal, broker, catalog, limits, clock, retirement: None, four_eyes: false }
    }

    /// An orchestrator with everything as usual, owning its share.
    pub(crate) async fn orchestrator(&self) -> Running {
        Running::start(self.parts().await).await
    }

    pub(crate) async fn worker(&self) -> Worker {
        Worker::start(self.broker().await).await
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
        let Parts { journal, broker, catalog, limits, clock, retirement, four_eyes } = parts;
        let stop = CancellationToken::new();
        let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let settings = Settings { limits, retirement, four_eyes, ..Settings::development(anywhere) };
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

async fn rabbit(namespace: &Namespace) -> RabbitBroker {
    let url = private_servers::testing::amqp_url();
    let options = RabbitOptions::new(&url, "orchestrator tests").unwrap().with_namespace(namespace.clone());
    RabbitBroker::connect(options).await.unwrap()
}

/// Runs scenarios in a module of the servers' name. Each takes the installation.
macro_rules! scenarios {
    ($module:ident, $servers:ident: $($name:ident),+ $(,)?) => {
        mod $module {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let rig = $crate::rig::Rig::new($crate::rig::Servers::$servers).await;
                super::$name(&rig).await;
                rig.clean_up().await;
            })+
        }
    };
}

/// Runs scenarios on both journals.
macro_rules! on_both_journals {
    ($($name:ident),+ $(,)?) => {
        $crate::rig::scenarios!(in_memory, InMemory: $($name),+);
        $crate::rig::scenarios!(on_postgres, Postgres: $($name),+);
    };
}

/// Runs scenarios on PostgreSQL and RabbitMQ.
macro_rules! on_real_servers {
    ($($name:ident),+ $(,)?) => {
        $crate::rig::scenarios!(on_real_servers, Real: $($name),+);
    };
}

pub(crate) use {on_both_journals, on_real_servers, scenarios};
