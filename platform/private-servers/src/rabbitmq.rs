//! A private RabbitMQ node, with an Erlang port mapper (epmd) and a cookie of its own.
//!
//! ```text
//! <place>/rabbitmq.conf advanced.config enabled_plugins     written anew at every start
//! <place>/data           queues and messages
//! <place>/home           the cookie
//! <place>/ports          the ports of the last run: the next one prefers them
//! <place>/rabbitmq.log
//! ```
//!
//! The script that starts the server is called directly: the one on Debian's PATH changes to the user
//! `rabbitmq` and to that user's folders.

use std::{
    fs,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use rustix::process::Signal;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::{
    Error, Place,
    binaries::find_rabbitmq,
    folder::{Folder, make_passable},
    path::on_path,
    ports,
    process::{Group, Log, run},
};

/// The node's name. The same everywhere: each private node is alone on its own port mapper.
const NODE: &str = "sojourn@localhost";
/// The first bytes of every client of AMQP 0-9-1.
const PROTOCOL_HEADER: &[u8; 8] = b"AMQP\x00\x00\x09\x01";
/// How long a start may take: seconds on an idle machine, more beside a build on two cores.
const START_LIMIT: Duration = Duration::from_secs(180);
/// How long an orderly stop may take.
const STOP_LIMIT: Duration = Duration::from_secs(30);
/// How often a starting server is asked.
const POLL: Duration = Duration::from_millis(50);
/// How long one such question may take.
const ASK_LIMIT: Duration = Duration::from_secs(2);
/// How often a start is tried again when a port was taken in between.
const ATTEMPTS_MAX: u32 = 5;
/// How long to wait before such a try.
const ATTEMPT_PAUSE: Duration = Duration::from_millis(300);
/// Entries of quorum queues are kept in memory until the write-ahead log is this long; RabbitMQ's own
/// default, 512 MiB, is too much beside everything else on a developer's machine.
const WAL_BYTES_MAX: u64 = 128 * 1024 * 1024;
/// With less free disk than this the node takes no more messages.
const DISK_FREE_BYTES_MIN: u64 = 64 * 1024 * 1024;

/// How a private node is to be set up.
#[derive(Debug, Clone)]
pub struct RabbitMqOptions {
    /// Where its data lies.
    pub place: Place,
    /// Its AMQP port; `None` prefers the port of the last run in the same place, else takes a free one.
    pub port: Option<u16>,
    /// Whether a confirmed message survives a power cut. Off is faster and for tests only; it
    /// survives a killed server either way.
    pub durable: bool,
    /// From this much memory on the node takes no more messages.
    pub memory_bytes_max: u64,
}

impl RabbitMqOptions {
    /// A lasting, durable node in this folder.
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        // 1 GiB: queues are short while workers run, so this is reached only when something is wrong.
        Self { place: Place::At(folder.into()), port: None, durable: true, memory_bytes_max: 1024 * 1024 * 1024 }
    }

    /// A node for tests: gone at the end, and fast because it need not survive a power cut.
    pub fn for_tests() -> Self {
        Self { place: Place::Temporary, durable: false, ..Self::at("") }
    }
}

/// A private RabbitMQ. It is killed when this is dropped; call [`RabbitMq::stop`] for an orderly end.
#[derive(Debug)]
pub struct RabbitMq {
    // Dropped in this order: the processes first, their folder last.
    group: Group,
    script: PathBuf,
    options: RabbitMqOptions,
    ports: Ports,
    folder: Folder,
}

/// The three ports of a node.
#[derive(Debug, Clone, Copy)]
struct Ports {
    amqp: u16,
    distribution: u16,
    mapper: u16,
}

impl RabbitMq {
    /// Starts the node and waits until it speaks AMQP.
    pub async fn start(options: RabbitMqOptions) -> Result<RabbitMq, Error> {
        let script = find_rabbitmq()?;
        let folder = Folder::open(&options.place, None).await?;
        for name in ["home", "data", "logs"] {
            make_passable(&folder.path().join(name))?;
        }
        let ports = Ports::choose(options.port, folder.path())?;
        let group = Group::new(&folder)?;
        let mut rabbit = RabbitMq { group, script, options, ports, folder };
        rabbit.launch().await?;
        Ok(rabbit)
    }

    /// The address for clients: user and password are `guest`, which RabbitMQ lets in from this machine only.
    pub fn url(&self) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}/%2f", self.ports.amqp)
    }

    /// The AMQP port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.ports.amqp
    }

    /// The process id of the node.
    pub fn pid(&self) -> Option<u32> {
        self.group.server_pid()
    }

    /// Whether the node's process still runs.
    pub fn is_running(&mut self) -> bool {
        self.group.server_exit().is_none()
    }

    /// Runs `rabbitmqctl` on this node and returns what it printed. It takes seconds: an Erlang of its own starts.
    pub async fn ctl(&self, arguments: &[&str]) -> Result<String, Error> {
        let mut command = Command::new(self.script.with_file_name("rabbitmqctl"));
        command.arg("--quiet").args(arguments);
        self.set_environment(&mut command);
        run(command).await
    }

    /// An orderly end.
    pub async fn stop(&mut self) {
        if !self.group.stop(Signal::TERM, STOP_LIMIT).await {
            tracing::warn!(folder = %self.folder.path().display(), "RabbitMQ did not stop in time and was killed");
        }
    }

    /// Kills the node at once, as a crash would. Blocks until it is gone.
    pub fn kill(&mut self) {
        self.group.kill();
    }

    /// Starts again on the same ports and data, after [`RabbitMq::stop`] or [`RabbitMq::kill`]; a node that still
    /// runs is stopped first.
    pub async fn restart(&mut self) -> Result<(), Error> {
        self.stop().await;
        // The port is now part of what clients know.
        self.options.port = Some(self.ports.amqp);
        self.group = Group::new(&self.folder)?;
        self.launch().await
    }

    async fn launch(&mut self) -> Result<(), Error> {
        for attempt in 1.. {
            self.write_configuration()?;
            let log = Log::open(self.folder.path().join("rabbitmq.log"))?;
            self.group.start(self.mapper_command()?, &log)?;
            self.group.start(self.server_command(), &log)?;
            let Err(error) = self.until_answering(&log).await else {
                break;
            };
            if attempt >= ATTEMPTS_MAX || !log.tail().contains("eaddrinuse") {
                return Err(error);
            }
            tokio::time::sleep(ATTEMPT_PAUSE).await;
            self.group = Group::new(&self.folder)?;
            self.ports = match self.options.port {
                Some(_) => Ports::choose(self.options.port, self.folder.path())?,
                None => Ports::fresh(None)?,
            };
        }
        self.ports.remember(self.folder.path())
    }

    /// Erlang's port mapper, in the foreground and thus ended with the group. RabbitMQ would start one that
    /// stays behind.
    fn mapper_command(&self) -> Result<Command, Error> {
        let program = on_path("epmd").into_iter().next().ok_or_else(|| Error::Spawn {
            program: "epmd".to_owned(),
            source: std::io::Error::from(std::io::ErrorKind::NotFound),
        })?;
        let mut command = Command::new(program);
        command.args(["-address", "127.0.0.1", "-port", &self.ports.mapper.to_string()]);
        command.current_dir(self.folder.path());
        Ok(command)
    }

    fn server_command(&self) -> Command {
        let mut command = Command::new(&self.script);
        self.set_environment(&mut command);
        command
    }

    fn set_environment(&self, command: &mut Command) {
        let folder = self.folder.path();
        // A user's own settings must not reach a private node.
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("RABBITMQ_")) {
            command.env_remove(name);
        }
        command
            .current_dir(folder)
            .env("HOME", folder.join("home"))
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("ERL_EPMD_PORT", self.ports.mapper.to_string())
            .env("RABBITMQ_NODENAME", NODE)
            .env("RABBITMQ_DIST_PORT", self.ports.distribution.to_string())
            .env("RABBITMQ_MNESIA_BASE", folder.join("data"))
            .env("RABBITMQ_LOG_BASE", folder.join("logs"))
            .env("RABBITMQ_CONFIG_FILE", folder.join("rabbitmq.conf"))
            .env("RABBITMQ_ADVANCED_CONFIG_FILE", folder.join("advanced.config"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", folder.join("enabled_plugins"))
            .env("RABBITMQ_PID_FILE", folder.join("pid"))
            // The system's own settings must not reach it either.
            .env("RABBITMQ_CONF_ENV_FILE", "/dev/null")
            .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "-kernel inet_dist_use_interface {127,0,0,1}")
            // With this the script becomes the node instead of waiting for it.
            .env("RUNNING_UNDER_SYSTEMD", "true");
    }

    fn write_configuration(&self) -> Result<(), Error> {
        let configuration = [
            format!("listeners.tcp.1 = 127.0.0.1:{}", self.ports.amqp),
            // Reconnecting clients come all at once after a restart.
            "tcp_listen_options.backlog = 1024".to_owned(),
            "tcp_listen_options.nodelay = true".to_owned(),
            format!("vm_memory_high_watermark.absolute = {}", self.options.memory_bytes_max),
            format!("disk_free_limit.absolute = {DISK_FREE_BYTES_MIN}"),
            format!("raft.wal_max_size_bytes = {WAL_BYTES_MAX}"),
            "log.file = false".to_owned(),
            "log.console = true".to_owned(),
            "log.console.level = info".to_owned(),
        ];
        let advanced = if self.options.durable { "[]." } else { "[{ra, [{wal_sync_method, none}]}]." };
        let files = [
            ("rabbitmq.conf", configuration.join("\n") + "\n"),
            ("advanced.config", format!("{advanced}\n")),
            ("enabled_plugins", "[].\n".to_owned()),
        ];
        for (name, content) in files {
            let file = self.folder.path().join(name);
            fs::write(&file, content).map_err(Error::file("write", &file))?;
        }
        Ok(())
    }

    async fn until_answering(&mut self, log: &Log) -> Result<(), Error> {
        let started = Instant::now();
        let server = "RabbitMQ";
        loop {
            if let Some(status) = self.group.server_exit() {
                return Err(Error::Ended {
                    server,
                    status: status.to_string(),
                    log: log.path.clone(),
                    tail: log.tail(),
                });
            }
            if speaks_amqp(self.ports.amqp).await && self.group.server_exit().is_none() {
                return Ok(());
            }
            if started.elapsed() > START_LIMIT {
                return Err(Error::Slow { server, limit: START_LIMIT, log: log.path.clone(), tail: log.tail() });
            }
            tokio::time::sleep(POLL).await;
        }
    }
}

impl Ports {
    /// The ports of the last run where they are still free, new ones where not. The demanded port must be free.
    fn choose(demanded: Option<u16>, folder: &Path) -> Result<Ports, Error> {
        if let Some(port) = demanded.filter(|port| !ports::is_free(*port)) {
            return Err(Error::Port { server: "RabbitMQ", detail: format!("{port} is taken") });
        }
        let remembered = fs::read_to_string(folder.join("ports")).unwrap_or_default();
        let remembered: Vec<u16> = remembered.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        if let [amqp, distribution, mapper] = remembered[..] {
            let amqp = demanded.unwrap_or(amqp);
            if [amqp, distribution, mapper].into_iter().all(ports::is_free) {
                return Ok(Ports { amqp, distribution, mapper });
            }
        }
        Self::fresh(demanded)
    }

    fn fresh(amqp: Option<u16>) -> Result<Ports, Error> {
        let picked = ports::pick("RabbitMQ", 3, amqp.as_slice())?;
        match picked[..] {
            [first, distribution, mapper] => Ok(Ports { amqp: amqp.unwrap_or(first), distribution, mapper }),
            _ => Err(Error::Port { server: "RabbitMQ", detail: "too few were found".to_owned() }),
        }
    }

    fn remember(self, folder: &Path) -> Result<(), Error> {
        let file = folder.join("ports");
        fs::write(&file, format!("{} {} {}\n", self.amqp, self.distribution, self.mapper))
            .map_err(Error::file("write", &file))
    }
}

/// Whether the port answers a client's first words as AMQP 0-9-1 says: with a method frame, whose first byte is 1.
async fn speaks_amqp(port: u16) -> bool {
    let ask = async {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
        stream.write_all(PROTOCOL_HEADER).await?;
        stream.read_u8().await
    };
    matches!(timeout(ASK_LIMIT, ask).await, Ok(Ok(1)))
}
