//! The whole of Sojourn on one machine: two servers, two orchestrators, six workers, one gateway, each a process.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use anyhow::{Context, Result};
use contract::Route;
use kit::settings::DEVELOPMENT_INTERNAL_TOKEN;
use messaging::rabbitmq::{QueueKind, RabbitBroker, RabbitOptions};
use private_servers::{
    Postgres, PostgresOptions, RabbitMq, RabbitMqOptions,
    testing::{Proxy, free_ports},
};
use sqlx::{Connection, PgConnection};
use tempfile::TempDir;

use crate::{
    client::Client,
    process::{Ended, Program, run},
    wait,
};

/// How long a part may take until it is ready: a debug build on a busy machine migrates and seeds in seconds.
const READY_WITHIN: Duration = Duration::from_secs(90);

/// How long one call of `sagactl` may take.
const SAGACTL_WITHIN: Duration = Duration::from_secs(60);

/// How long a client's token is good: longer than the longest test takes on a busy machine.
const ACCESS_TOKEN_MINUTES: u16 = 60;

/// How late the sandbox's late news come: later than a definition waits whose times are divided by sixty.
const LATE_NEWS_SECONDS: u16 = 12;

/// The password of the demo data's people.
pub const DEMO_PASSWORD: &str = "sojourn-end-to-end";

/// A part of the system that can be killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// A program, by its name: `orchestrator-1`, `orchestrator-2`, `gateway`, or a domain.
    Program(&'static str),
    RabbitMq,
    PostgreSql,
}

/// The programs beside the domains.
const OTHERS: [&str; 3] = ["orchestrator-1", "orchestrator-2", "gateway"];

/// All clients of a test have one address, which is no crowd here.
const NO_CROWD: [&str; 3] = ["--logins-per-minute=0", "--searches-per-minute=0", "--address-connections-max=10000"];

/// The running system. Everything ends when it is dropped.
pub struct System {
    /// Where the door is.
    pub gateway: String,
    ready: BTreeMap<&'static str, String>,
    programs: BTreeMap<&'static str, Program>,
    rabbitmq: RabbitMq,
    postgres: Postgres,
    /// The program whose way to the broker can be cut, and that way.
    way: Option<(&'static str, Proxy)>,
    /// Of programs that are still to be started.
    ports: Vec<u16>,
    _folder: TempDir,
}

/// The domains, each a process of its own, by their names.
pub fn domains() -> impl Iterator<Item = &'static str> {
    Route::ALL.into_iter().map(Route::as_str)
}

impl System {
    /// Starts everything and waits until the door is open.
    ///
    /// # Errors
    /// When a server or program cannot be started.
    pub async fn start() -> Result<Self> {
        Self::start_over(&NO_CROWD, &[], None).await
    }

    /// As [`System::start`], with other settings of the orchestrators.
    ///
    /// # Errors
    /// As [`System::start`].
    pub async fn start_with_orchestrators(settings: &[&str]) -> Result<Self> {
        Self::start_over(&NO_CROWD, settings, None).await
    }

    /// As [`System::start`], with other settings of the gateway.
    ///
    /// # Errors
    /// As [`System::start`].
    pub async fn start_with_gateway(settings: &[&str]) -> Result<Self> {
        Self::start_over(settings, &[], None).await
    }

    /// As [`System::start`], with a way between one program and the broker that can be cut.
    ///
    /// # Errors
    /// As [`System::start`].
    pub async fn start_with_way(program: &'static str) -> Result<Self> {
        Self::start_over(&NO_CROWD, &[], Some(program)).await
    }

    async fn start_over(of_gateway: &[&str], of_orchestrators: &[&str], program: Option<&'static str>) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let (postgres, rabbitmq) =
            tokio::join!(Postgres::start(PostgresOptions::for_tests()), RabbitMq::start(RabbitMqOptions::for_tests()));
        let (postgres, rabbitmq) = (postgres?, rabbitmq?);
        let way = match program {
            Some(program) => Some((program, Proxy::to(rabbitmq.port()).await?)),
            None => None,
        };
        let mut system = Self {
            gateway: String::new(),
            ready: BTreeMap::new(),
            programs: BTreeMap::new(),
            rabbitmq,
            postgres,
            way,
            // Picked at once: one at a time, two programs that have not yet listened could be given the same.
            ports: free_ports(domains().count() + OTHERS.len())?,
            _folder: folder,
        };
        for domain in domains() {
            let key = system._folder.path().join("jwt.pem");
            let mut arguments = vec![domain.to_owned()];
            if domain == "user" {
                arguments.extend(["--jwt-signing-key-file".to_owned(), key.display().to_string()]);
                arguments.extend(["--demo-password".to_owned(), DEMO_PASSWORD.to_owned()]);
                arguments.extend(["--access-token-minutes".to_owned(), ACCESS_TOKEN_MINUTES.to_string()]);
            }
            if domain == "payment" {
                // The gateway is started last, and gets the last port.
                let port = system.ports.first().context("a port for the gateway")?;
                arguments.push(format!("--sandbox-door-url=http://127.0.0.1:{port}"));
                arguments.push(format!("--sandbox-late-seconds={LATE_NEWS_SECONDS}"));
            }
            system.spawn(domain, "worker", arguments)?;
        }
        let settings = |settings: &[&str]| settings.iter().map(|setting| (*setting).to_owned()).collect::<Vec<_>>();
        system.spawn("orchestrator-1", "orchestrator", settings(of_orchestrators))?;
        system.spawn("orchestrator-2", "orchestrator", settings(of_orchestrators))?;
        let at = |name: &str| system.ready[name].clone();
        let orchestrators = format!("--orchestrator-url={},{}", at("orchestrator-1"), at("orchestrator-2"));
        let workers = domains().map(|domain| format!("--{domain}-url={}", at(domain)));
        let gateway = std::iter::once(orchestrators).chain(workers).chain(settings(of_gateway)).collect();
        system.spawn("gateway", "gateway", gateway)?;
        system.gateway = system.ready["gateway"].clone();
        for name in domains().chain(OTHERS) {
            system.until_ready(name).await;
        }
        Ok(system)
    }

    /// Starts another program beside the usual ones, and waits until it is ready.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn add(&mut self, name: &'static str, binary: &str, arguments: &[&str]) -> Result<()> {
        self.ports.extend(free_ports(1)?);
        self.spawn(name, binary, arguments.iter().map(|argument| (*argument).to_owned()).collect())?;
        self.until_ready(name).await;
        Ok(())
    }

    fn spawn(&mut self, name: &'static str, binary: &str, mut arguments: Vec<String>) -> Result<()> {
        let port = self.ports.pop().context("a port for every program")?;
        arguments.push(format!("--listen=127.0.0.1:{port}"));
        let server = self.postgres.url("postgres");
        let environment = vec![
            ("DATABASE_URL".to_owned(), server),
            ("AMQP_URL".to_owned(), self.broker_url(name)),
            ("SOJOURN_LOG".to_owned(), "info,sqlx=error,lapin=warn".to_owned()),
            ("NO_COLOR".to_owned(), "1".to_owned()),
            ("SOJOURN_CLOCK_SHIFT_FILE".to_owned(), self.clock_file(name).display().to_string()),
        ];
        self.ready.insert(name, format!("http://127.0.0.1:{port}"));
        self.programs.insert(name, Program::start(name, binary, arguments, environment, self._folder.path())?);
        Ok(())
    }

    fn broker_url(&self, name: &str) -> String {
        let url = self.rabbitmq.url();
        match &self.way {
            Some((program, way)) if *program == name => way.through(&url),
            Some(_) | None => url,
        }
    }

    /// The way to the broker of the program that was named at the start.
    ///
    /// # Panics
    /// When none was.
    #[must_use]
    pub fn way(&self) -> &Proxy {
        self.way.as_ref().map(|(_, way)| way).expect("the system was started with a way")
    }

    /// Waits until a program says that it is ready.
    pub async fn until_ready(&self, name: &str) {
        let address = format!("{}/ready", self.ready[name]);
        let http = reqwest::Client::new();
        let look = || async {
            match http.get(&address).send().await {
                Ok(answer) if answer.status().is_success() => Ok(()),
                Ok(answer) => Err(answer.text().await.unwrap_or_default()),
                Err(error) => Err(kit::settings::error_chain(&error)),
            }
        };
        let end = tokio::time::Instant::now() + READY_WITHIN;
        loop {
            match look().await {
                Ok(()) => return,
                Err(seen) if tokio::time::Instant::now() > end => {
                    panic!("{name} is not ready after {READY_WITHIN:?}: {seen}\n{}", self.programs[name].log_tail())
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }

    /// Sets the clock of a program so many seconds ahead of the machine's, or behind it.
    ///
    /// # Errors
    /// When the file that it is read from cannot be written.
    pub fn set_clock(&self, name: &str, seconds: i64) -> Result<()> {
        Ok(std::fs::write(self.clock_file(name), seconds.to_string())?)
    }

    fn clock_file(&self, name: &str) -> PathBuf {
        self._folder.path().join(format!("{name}.clock"))
    }

    /// Ends a part without warning.
    pub fn kill(&mut self, part: Part) {
        match part {
            Part::Program(name) => self.program(name).kill(),
            Part::RabbitMq => self.rabbitmq.kill(),
            Part::PostgreSql => self.postgres.kill(),
        }
    }

    /// Starts a killed part again and waits until the whole system is ready.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn restart(&mut self, part: Part) -> Result<()> {
        match part {
            Part::Program(name) => self.program(name).restart()?,
            Part::RabbitMq => self.rabbitmq.restart().await?,
            Part::PostgreSql => self.postgres.restart().await?,
        }
        for name in self.ready.keys().filter(|name| self.programs[*name].is_started()) {
            self.until_ready(name).await;
        }
        Ok(())
    }

    /// Starts a killed or terminated program again and waits until it is ready, though others may be missing; for an
    /// orchestrator, until the gateway has seen that one is ready, because it passes no writes on before.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn revive(&mut self, name: &str) -> Result<()> {
        self.program(name).restart()?;
        self.until_ready(name).await;
        if name.starts_with("orchestrator") {
            let gateway = Client::stranger(&self.gateway);
            wait::until("a gateway that has an orchestrator", READY_WITHIN, || async {
                let ready = gateway.get("/ready").await.map_err(|error| format!("{error:#}"))?;
                if ready.body["missing"]["orchestrator"].is_null() { Ok(()) } else { Err(format!("{ready:?}")) }
            })
            .await;
        }
        Ok(())
    }

    /// A program, to end or look at.
    pub fn program(&mut self, name: &str) -> &mut Program {
        self.programs.get_mut(name).unwrap_or_else(|| panic!("there is no program {name}"))
    }

    /// Where a program listens, for what is not behind the gateway.
    #[must_use]
    pub fn address(&self, name: &str) -> &str {
        &self.ready[name]
    }

    /// A caller of a program's own interface, with the installation's token.
    #[must_use]
    pub fn internal(&self, name: &str) -> Client {
        Client::with_token(self.address(name), DEVELOPMENT_INTERNAL_TOKEN)
    }

    /// A stranger at the broker, to put strange messages into its queues.
    ///
    /// # Errors
    /// When the broker is not there.
    pub async fn broker(&self) -> Result<RabbitBroker> {
        self.broker_of(QueueKind::default()).await
    }

    /// A stranger at the broker that has another opinion of how queues are kept.
    ///
    /// # Errors
    /// When the broker is not there.
    pub async fn broker_of(&self, kind: QueueKind) -> Result<RabbitBroker> {
        let options = RabbitOptions::new(&self.rabbitmq.url(), "stranger")?.with_queue_kind(kind);
        Ok(RabbitBroker::connect(options).await?)
    }

    /// Does to the broker as its operator would.
    ///
    /// # Errors
    /// When it does not let that be done.
    pub async fn rabbitmqctl(&self, arguments: &[&str]) -> Result<String> {
        Ok(self.rabbitmq.ctl(arguments).await?)
    }

    /// Every queue of the broker and how many messages it holds.
    ///
    /// # Errors
    /// When the broker does not say.
    pub async fn queues(&self) -> Result<BTreeMap<String, u64>> {
        let listed = self.rabbitmq.ctl(&["-q", "list_queues", "--no-table-headers", "name", "messages"]).await?;
        let lines = listed.lines().filter(|line| !line.trim().is_empty());
        lines
            .map(|line| {
                let (name, messages) = line.trim_end().split_once('\t').with_context(|| format!("a line `{line}`"))?;
                Ok((name.to_owned(), messages.parse()?))
            })
            .collect()
    }

    /// Runs `sagactl` as the person with this token.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn sagactl(&self, token: &str, arguments: &[&str]) -> Result<Ended> {
        self.sagactl_with(token, arguments, "").await
    }

    /// Runs `sagactl` with something to read.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn sagactl_with(&self, token: &str, arguments: &[&str], stdin: &str) -> Result<Ended> {
        let home = self._folder.path().display().to_string();
        let mut environment = vec![("SAGACTL_URL", self.gateway.as_str()), ("XDG_CONFIG_HOME", home.as_str())];
        if !token.is_empty() {
            environment.push(("SAGACTL_TOKEN", token));
        }
        run("sagactl", arguments, &environment, stdin, SAGACTL_WITHIN).await
    }

    /// A connection to one of the databases, such as `sojourn_flights`.
    ///
    /// # Errors
    /// When it is not there.
    pub async fn database(&self, database: &str) -> Result<PgConnection> {
        Ok(PgConnection::connect(&self.postgres.url(database)).await?)
    }

    /// A new client of the agency.
    ///
    /// # Errors
    /// When registration or login fails.
    pub async fn client(&self, name: &str) -> Result<Client> {
        Client::register(&self.gateway, name).await
    }

    /// The demo data's operator.
    ///
    /// # Errors
    /// When the login fails.
    pub async fn operator(&self) -> Result<Client> {
        Client::login(&self.gateway, "operator@sojourn.example", DEMO_PASSWORD).await
    }

    /// The demo data's admin.
    ///
    /// # Errors
    /// When the login fails.
    pub async fn admin(&self) -> Result<Client> {
        Client::login(&self.gateway, "admin@sojourn.example", DEMO_PASSWORD).await
    }

    /// Waits until no queue of the broker holds a message.
    pub async fn until_queues_are_empty(&self, limit: Duration) {
        wait::until("empty queues", limit, || async {
            let mut queues = self.queues().await.map_err(|error| format!("{error:#}"))?;
            queues.retain(|_, messages| *messages > 0);
            if queues.is_empty() { Ok(()) } else { Err(format!("{queues:?}")) }
        })
        .await;
    }

    /// The last lines of all logs, for failures.
    #[must_use]
    pub fn logs(&self) -> String {
        self.programs.values().map(Program::log_tail).collect::<Vec<_>>().join("\n")
    }

    /// Every panic that any program has written into its log.
    #[must_use]
    pub fn panics(&self) -> Vec<String> {
        self.programs.values().flat_map(Program::panics).collect()
    }
}
