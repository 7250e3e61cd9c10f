//! The system under measurement: private servers, and the programs on them as processes of their own.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use private_servers::{Place, Postgres, PostgresOptions, RabbitMq, RabbitMqOptions};
use tokio::time::Instant;

use crate::meter::{self, Usage};

/// How long a part may take until it is ready: the first start makes databases and puts goods on sale.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// How often a part that is not ready yet is asked again.
const READY_AGAIN: Duration = Duration::from_millis(20);

/// The kinds of queues that commands and replies can travel by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum QueueKind {
    Classic,
    Quorum,
}

impl QueueKind {
    /// The setting's word.
    const fn word(self) -> &'static str {
        match self {
            Self::Classic => "classic",
            Self::Quorum => "quorum",
        }
    }
}

impl fmt::Display for QueueKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// PostgreSQL and RabbitMQ with everything on disk that production has on disk.
pub(crate) struct Servers {
    pub(crate) postgres: Postgres,
    pub(crate) rabbitmq: RabbitMq,
}

impl Servers {
    pub(crate) async fn start() -> Result<Self> {
        let mut broker = RabbitMqOptions::for_tests();
        broker.durable = true;
        let (postgres, rabbitmq) = tokio::try_join!(Postgres::start(durable()), RabbitMq::start(broker))?;
        Ok(Self { postgres, rabbitmq })
    }

    pub(crate) async fn stop(mut self) {
        self.rabbitmq.stop().await;
        self.postgres.stop().await;
    }
}

/// A PostgreSQL of its own, durable, gone at the end.
pub(crate) fn durable() -> PostgresOptions {
    let mut options = PostgresOptions::for_tests();
    options.durable = true;
    debug_assert!(matches!(options.place, Place::Temporary));
    options
}

/// A program, to be started (again) on one address.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) name: &'static str,
    /// The group under which its use is counted.
    pub(crate) group: &'static str,
    binary: PathBuf,
    arguments: Vec<String>,
    environment: Vec<(&'static str, String)>,
    pub(crate) address: String,
    child: Option<Child>,
}

impl Program {
    /// A program of the benchmark itself, or one of the workspace's, that has not been started yet.
    pub(crate) fn new(name: &'static str, group: &'static str, binary: &Path, port: u16) -> Self {
        let listen = format!("127.0.0.1:{port}");
        let environment = vec![("SOJOURN_LOG", "warn".to_owned())];
        let address = format!("http://{listen}");
        let arguments = vec![format!("--listen={listen}")];
        Self { name, group, binary: binary.to_owned(), arguments, environment, address, child: None }
    }

    pub(crate) fn arguments<T: Into<String>>(mut self, arguments: impl IntoIterator<Item = T>) -> Self {
        // A subcommand stands before the flags.
        self.arguments.splice(0..0, arguments.into_iter().map(Into::into));
        self
    }

    pub(crate) fn environment(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.environment.push((name, value.into()));
        self
    }

    /// The servers that it works on, and the kind of queues. It runs on one thread, as compose has it.
    pub(crate) fn on(self, servers: &Servers, queues: QueueKind) -> Self {
        self.environment("TOKIO_WORKER_THREADS", "1")
            .environment("DATABASE_URL", servers.postgres.url("postgres"))
            .environment("AMQP_URL", servers.rabbitmq.url())
            .environment("SOJOURN_QUEUE_KIND", queues.word())
    }

    pub(crate) fn start(&mut self) -> Result<()> {
        let mut command = Command::new(&self.binary);
        command.args(&self.arguments).stdin(Stdio::null()).stdout(Stdio::null());
        command.env_remove("DATABASE_URL").env_remove("AMQP_URL");
        let environment = self.environment.iter().map(|(name, value)| (name, value));
        let child = command.envs(environment).spawn().with_context(|| format!("starting {}", self.name))?;
        self.child = Some(child);
        Ok(())
    }

    /// Ends it without warning.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself.
            child.kill().ok();
            child.wait().ok();
        }
    }

    pub(crate) fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Waits until it says that it is ready.
    pub(crate) async fn until_ready(&self, http: &reqwest::Client) -> Result<()> {
        let end = Instant::now() + READY_WITHIN;
        loop {
            match http.get(format!("{}/ready", self.address)).send().await {
                Ok(answer) if answer.status().is_success() => return Ok(()),
                Ok(_) | Err(_) => {}
            }
            ensure!(Instant::now() < end, "{} is not ready after {READY_WITHIN:?}", self.name);
            tokio::time::sleep(READY_AGAIN).await;
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The processes whose use is counted, by group.
pub(crate) type Groups = BTreeMap<&'static str, Vec<u32>>;

/// The groups of some programs and of the servers below them.
pub(crate) fn groups<'p>(
    programs: impl IntoIterator<Item = &'p Program>,
    postgres: &Postgres,
    rabbitmq: Option<&RabbitMq>,
) -> Groups {
    let mut groups = Groups::new();
    for program in programs {
        groups.entry(program.group).or_default().extend(program.pid());
    }
    groups.insert("postgresql", postgres.pid().into_iter().collect());
    if let Some(rabbitmq) = rabbitmq {
        groups.insert("rabbitmq", rabbitmq.pid().into_iter().collect());
    }
    groups
}

/// The use of every group, and of the load (this process), while some work was done.
pub(crate) async fn metered<T>(
    groups: &Groups,
    work: impl Future<Output = Result<T>>,
) -> Result<(T, BTreeMap<&'static str, Usage>)> {
    meter::forget_peaks(groups);
    let (before, own_before) = (meter::read(groups), meter::own());
    let done = work.await?;
    let mut usage: BTreeMap<_, _> =
        meter::read(groups).into_iter().map(|(group, usage)| (group, usage.since(before[group]))).collect();
    usage.insert("load", meter::own().since(own_before));
    Ok((done, usage))
}

/// The client that the load is driven with.
pub(crate) fn http() -> Result<reqwest::Client> {
    Ok(reqwest::Client::builder().tcp_nodelay(true).build()?)
}
