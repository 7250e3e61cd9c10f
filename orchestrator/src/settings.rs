//! The settings of an orchestrator, and every bound that it keeps.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use chrono::TimeDelta;
use clap::Parser;
use contract::InstanceId;
use kit::settings::{Common, DEVELOPMENT_INTERNAL_TOKEN, SettingsError};
use messaging::rabbitmq::QueueKind;
use secrecy::SecretString;

/// The address of the HTTP interface unless set otherwise.
pub const LISTEN_DEFAULT: &str = "127.0.0.1:8081";

/// How many shards a new installation gets. A shard is a lane is a stream of commits: few enough that batches grow
/// large on a small machine, enough to spread over four orchestrators. Fixed once the journal exists.
pub const SHARDS_DEFAULT: u16 = 4;

/// The name of the setting that divides the definitions' times.
const TIMES_DIVISOR_ENV: &str = "SOJOURN_TIMES_DIVISOR";

/// The name of the setting that makes a program an earlier one.
const DEFINITIONS_UP_TO_ENV: &str = "SOJOURN_DEFINITIONS_UP_TO";

/// The age of history that leaves: the last year is there, and a month more to look at it.
pub const RETENTION_DAYS_DEFAULT: u16 = 400;

/// The least age of history that leaves: longer than the inboxes of the domains remember commands (90 days), so that no key of a
/// start is forgotten before them.
pub const RETENTION_DAYS_MIN: i64 = 100;

/// The most shards. Each costs a connection to the journal and a queue.
pub const SHARDS_MAX: i64 = 1024;

/// The orchestrator of Sojourn: it keeps the journal of every saga and sends the commands.
#[derive(Debug, Clone, Parser)]
#[command(name = "orchestrator", version)]
pub struct Cli {
    /// The settings that all programs have.
    #[command(flatten)]
    pub common: Common,
    /// The PostgreSQL server, as postgres://user:password@host:port.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub database_url: SecretString,
    /// RabbitMQ, as amqp://user:password@host:port/vhost.
    #[arg(long, env = "AMQP_URL", hide_env_values = true)]
    pub amqp_url: SecretString,
    /// Stands in front of every queue's name, so that installations can share a broker.
    #[arg(long, env = "SOJOURN_AMQP_NAMESPACE", default_value = "")]
    pub amqp_namespace: String,
    /// How commands and replies are kept: `classic` in the memory of one broker, `quorum` on the disks of a cluster.
    #[arg(long, env = "SOJOURN_QUEUE_KIND", default_value_t)]
    pub queue_kind: QueueKind,
    /// The address of the HTTP interface.
    #[arg(long, env = "SOJOURN_ORCHESTRATOR_LISTEN", default_value = LISTEN_DEFAULT)]
    pub listen: SocketAddr,
    /// How many shards the journal has. Fixed when it is first made: another number is refused later.
    #[arg(long, env = "SOJOURN_SHARDS", default_value_t = SHARDS_DEFAULT, value_parser = clap::value_parser!(u16).range(1..=SHARDS_MAX))]
    pub shards: u16,
    /// The most sagas with a command under way; past it new starts get 503.
    #[arg(long, env = "SOJOURN_OPEN_SAGAS_MAX", default_value_t = Limits::default().open_sagas_max)]
    pub open_sagas_max: usize,
    /// How long an orderly end may take, in seconds.
    #[arg(long, env = "SOJOURN_DRAIN_SECONDS", default_value_t = Limits::default().drain.as_secs())]
    pub drain_seconds: u64,
    /// The folder for exports of old sagas and of the audit log. Nothing is exported, and nothing dropped, without one.
    #[arg(long, env = "SOJOURN_EXPORT_FOLDER")]
    pub export_folder: Option<PathBuf>,
    /// After how many days ended sagas are exported and dropped, by whole weeks.
    #[arg(long, env = "SOJOURN_RETENTION_DAYS", default_value_t = RETENTION_DAYS_DEFAULT, value_parser = clap::value_parser!(u16).range(RETENTION_DAYS_MIN..))]
    pub retention_days: u16,
    /// Whether acts that cannot be taken back need the approval of a second operator: `true` in production unless it is said.
    #[arg(long, env = "SOJOURN_FOUR_EYES", num_args = 0..=1, default_missing_value = "true")]
    pub four_eyes: Option<bool>,
    /// Makes every time of the definitions so many times as short, for tests that have no hours. Production refuses it.
    #[arg(long, env = TIMES_DIVISOR_ENV, default_value_t = 1, hide = true, value_parser = clap::value_parser!(u32).range(1..))]
    pub times_divisor: u32,
    /// Knows only versions of definitions up to this one, as an earlier program does. For tests of rolling upgrades; production
    /// refuses it.
    #[arg(long, env = DEFINITIONS_UP_TO_ENV, hide = true)]
    pub definitions_up_to: Option<u32>,
}

impl Cli {
    /// Refuses what cannot work, and what production must not run with.
    ///
    /// # Errors
    /// Those of [`Common::validate`] and [`Common::validate_for_tests`].
    pub fn validate(&self) -> Result<(), SettingsError> {
        self.common.validate()?;
        self.common.validate_for_tests(TIMES_DIVISOR_ENV, self.times_divisor != 1)?;
        self.common.validate_for_tests(DEFINITIONS_UP_TO_ENV, self.definitions_up_to.is_some())
    }

    /// The settings of a process that just started.
    #[must_use]
    pub fn settings(&self) -> Settings {
        let limits = Limits {
            open_sagas_max: self.open_sagas_max,
            drain: Duration::from_secs(self.drain_seconds),
            ..Limits::default()
        };
        Settings {
            instance: kit::ids::instance_id(),
            listen: self.listen,
            internal_token: self.common.internal_token.clone(),
            four_eyes: self.four_eyes.unwrap_or_else(|| self.common.is_production()),
            limits,
            retirement: self
                .export_folder
                .clone()
                .map(|folder| Retirement { folder, age: TimeDelta::days(i64::from(self.retention_days)) }),
        }
    }
}

/// The settings of one orchestrator in a process.
#[derive(Debug, Clone)]
pub struct Settings {
    /// This run of the program.
    pub instance: InstanceId,
    /// The address of the HTTP interface; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The installation's token, which callers must show.
    pub internal_token: SecretString,
    /// True where some acts need the approval of a second operator.
    pub four_eyes: bool,
    /// The bounds that operators may move.
    pub limits: Limits,
    /// The end of old history; it stays for good when absent.
    pub retirement: Option<Retirement>,
}

/// When, and to where, old history leaves the journal.
#[derive(Debug, Clone)]
pub struct Retirement {
    /// The folder of the exports.
    pub folder: PathBuf,
    /// The age of weeks that leave.
    pub age: TimeDelta,
}

impl Settings {
    /// For a development machine: a new instance on `listen`, the development token, the default bounds.
    #[must_use]
    pub fn development(listen: SocketAddr) -> Self {
        Self {
            instance: kit::ids::instance_id(),
            listen,
            internal_token: SecretString::from(DEVELOPMENT_INTERNAL_TOKEN),
            four_eyes: false,
            limits: Limits::default(),
            retirement: None,
        }
    }
}

/// Every bound that operators may want to move. The others are constants beside what they bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Sagas of this process that have a command under way, queued starts included; sleeping ones take no room. At some 4 KB each these are
    /// 80 MB; at the measured 500 sagas a second, 40 seconds of work.
    pub open_sagas_max: usize,
    /// Bytes of these sagas, of queued starts and of unread replies, by estimate: room for as many sagas of the usual size,
    /// or for a thousand with the largest input. A program that has 512 MB stays within them.
    pub open_bytes_max: usize,
    /// Starts that wait for one lane's next commit. A lane takes hundreds in one commit, so a full queue means that the
    /// journal stands still.
    pub queued_starts_max: usize,
    /// Inputs of each kind that one batch takes: past some hundred rows a commit gains nothing (`limits.md`).
    pub batch_inputs_max: usize,
    /// Deliveries that a lane holds unacknowledged: two batches, so that one gathers while one commits.
    pub prefetch: u16,
    /// Sagas that one lane keeps in memory; those not touched for longest are dropped and loaded when they are needed.
    pub lane_memory_sagas_max: usize,
    /// Commands that one lane holds for a broker that does not take them. What is over it is sent by the step's retry.
    pub unpublished_max: usize,
    /// Streams of events and waits for an end that this process serves at once.
    pub watchers_max: usize,
    /// How long an orderly end may take before what is still unpublished is left to the successor.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            open_sagas_max: 20_000,
            open_bytes_max: 128 * 1_024 * 1_024,
            queued_starts_max: 1_000,
            batch_inputs_max: 512,
            prefetch: 1_024,
            lane_memory_sagas_max: 20_000,
            unpublished_max: 20_000,
            watchers_max: 4_096,
            drain: Duration::from_secs(10),
        }
    }
}
