//! A private PostgreSQL cluster.
//!
//! ```text
//! <place>/cluster        PostgreSQL's data folder, owned by the user it runs as
//! <place>/password       of its superuser, for the owner of this file only
//! <place>/pg_hba.conf    who is let in: written anew at every start
//! <place>/port           the port of the last run: the next one prefers it
//! <place>/postgres.log
//! ```
//!
//! No cluster stands open for a moment: before its first start, and whenever the password's file is gone, a server in
//! single-user mode, which has no other client than this process, sets a new password.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use rustix::process::Signal;
use secrecy::{ExposeSecret, SecretString};

use crate::{
    Error, Place,
    binaries::{PostgresPrograms, find_postgres},
    folder::Folder,
    identity::Identity,
    ports,
    postgres_wire::{Connection, Failure},
    process::{Group, Log, folder_of, name_of, run, run_with_input},
    secret,
};

/// The superuser of private clusters.
const SUPERUSER: &str = "postgres";
/// The file that says who is let in, in the server's folder.
const ACCESS_FILE: &str = "pg_hba.conf";
/// How long a start may take: recovery after a kill replays what was written since the last checkpoint.
const START_LIMIT: Duration = Duration::from_secs(120);
/// How long an orderly stop may take: it writes a checkpoint.
const STOP_LIMIT: Duration = Duration::from_secs(30);
/// How often a starting server is asked.
const POLL: Duration = Duration::from_millis(20);
/// How often a start is tried again when its port was taken in between or a killed server's children linger.
const ATTEMPTS_MAX: u32 = 10;
/// How long to wait before such a try.
const ATTEMPT_PAUSE: Duration = Duration::from_millis(300);
/// Who is let in, in the words of `pg_hba.conf`: over TCP on this machine, with the password.
const ACCESS: &str = "host all all 127.0.0.1/32 scram-sha-256\n";
/// Which rights the file of that has: the server's user reads it, and there is no secret in it.
const ACCESS_MODE: u32 = 0o644;
/// SQLSTATE of a login with another password.
const WRONG_PASSWORD: &str = "28P01";
/// SQLSTATEs of a server that will soon let clients in: starting up, or shutting down before a restart.
const NOT_YET: [&str; 2] = ["57P03", "53300"];

/// How a private cluster is to be set up.
#[derive(Debug, Clone)]
pub struct PostgresOptions {
    /// Where its data lies.
    pub place: Place,
    /// Its port; `None` prefers the port of the last run in the same place, else takes a free one.
    pub port: Option<u16>,
    /// Whether a commit survives a power cut. Off is several times faster and for tests only; a
    /// commit survives a killed server either way.
    pub durable: bool,
    /// How many clients may be connected.
    pub connections_max: u16,
    /// Further settings, by the names of `postgresql.conf`. They win over the ones made here.
    pub settings: Vec<(String, String)>,
}

impl PostgresOptions {
    /// A lasting, durable cluster in this folder.
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        // 300: every service of the platform with its pool, and room for an operator.
        Self { place: Place::At(folder.into()), port: None, durable: true, connections_max: 300, settings: Vec::new() }
    }

    /// A cluster for tests: gone at the end, and fast because it need not survive a power cut.
    pub fn for_tests() -> Self {
        // 500: many tests at once, each with a few pools.
        Self { place: Place::Temporary, port: None, durable: false, connections_max: 500, settings: Vec::new() }
    }

    /// Adds a setting of `postgresql.conf`.
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// A private PostgreSQL. It is killed when this is dropped; call [`Postgres::stop`] for an orderly end.
#[derive(Debug)]
pub struct Postgres {
    // Dropped in this order: the processes first, their folder last.
    group: Group,
    programs: PostgresPrograms,
    identity: Option<Identity>,
    options: PostgresOptions,
    port: u16,
    password: SecretString,
    folder: Folder,
}

impl Postgres {
    /// Makes the cluster when the place is empty, starts the server and waits until it accepts.
    pub async fn start(options: PostgresOptions) -> Result<Postgres, Error> {
        let unprivileged = Identity::unprivileged()?;
        let folder = Folder::open(&options.place, unprivileged).await?;
        let cluster = folder.path().join("cluster");
        let (programs, identity) = if cluster.is_dir() {
            let identity = adopt(&cluster, unprivileged).await?;
            (find_postgres(Some(&cluster))?, identity)
        } else {
            let programs = find_postgres(None)?;
            make_cluster(&programs, folder.path(), unprivileged, options.durable).await?;
            (programs, unprivileged)
        };
        let password = match secret::kept(folder.path())? {
            Some(password) => password,
            None => new_password(&programs, folder.path(), identity, options.durable).await?,
        };
        let port = choose_port(&options, folder.path())?;
        let group = Group::new(&folder)?;
        let mut postgres = Postgres { group, programs, identity, options, port, password, folder };
        postgres.launch().await?;
        Ok(postgres)
    }

    /// The address of a database of this server, with its superuser and the password: a secret.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{SUPERUSER}:{}@127.0.0.1:{}/{database}", self.password.expose_secret(), self.port)
    }

    /// The superuser's name.
    pub fn user(&self) -> &'static str {
        SUPERUSER
    }

    /// The file with the superuser's password.
    pub fn password_file(&self) -> PathBuf {
        secret::file_in(self.folder.path())
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The process id of the server's first process.
    pub fn pid(&self) -> Option<u32> {
        self.group.server_pid()
    }

    /// Where the data lies: for root not always where it was wanted.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Makes a database unless it is there.
    pub async fn create_database(&self, name: &str) -> Result<(), Error> {
        create_database(self.port, &self.password, name).await.map(|_made| ())
    }

    /// Whether the server's first process still runs.
    pub fn is_running(&mut self) -> bool {
        self.group.server_exit().is_none()
    }

    /// An orderly end: open transactions are rolled back, a checkpoint is written.
    pub async fn stop(&mut self) {
        if !self.group.stop(Signal::INT, STOP_LIMIT).await {
            tracing::warn!(folder = %self.folder.path().display(), "PostgreSQL did not stop in time and was killed");
        }
    }

    /// Kills the server and all its children at once, as a crash would. Blocks until they are gone.
    pub fn kill(&mut self) {
        self.group.kill();
    }

    /// Starts again on the same port and data, after [`Postgres::stop`] or [`Postgres::kill`]; a server that
    /// still runs is stopped first.
    pub async fn restart(&mut self) -> Result<(), Error> {
        self.stop().await;
        // The port is now part of what clients know.
        self.options.port = Some(self.port);
        self.group = Group::new(&self.folder)?;
        self.launch().await
    }

    async fn launch(&mut self) -> Result<(), Error> {
        for attempt in 1.. {
            remove_stale_lock(&self.folder.path().join("cluster"))?;
            write_access(&self.folder.path().join(ACCESS_FILE))?;
            let log = Log::open(self.folder.path().join("postgres.log"))?;
            self.group.start(self.command(), &log)?;
            let Err(error) = self.until_accepting(&log).await else {
                break;
            };
            let tail = log.tail();
            let port_taken = tail.contains("Address already in use") || tail.contains("could not bind");
            let lingering = tail.contains("pre-existing shared memory block");
            if attempt >= ATTEMPTS_MAX || !(port_taken || lingering) {
                return Err(error);
            }
            if port_taken && self.options.port.is_none() {
                self.port = ports::pick("PostgreSQL", 1, &[self.port])?.remove(0);
            }
            tokio::time::sleep(ATTEMPT_PAUSE).await;
            self.group = Group::new(&self.folder)?;
        }
        let file = self.folder.path().join("port");
        fs::write(&file, self.port.to_string()).map_err(Error::file("write", &file))
    }

    fn command(&self) -> Command {
        let mut command = Command::new(self.programs.bin.join("postgres"));
        let cluster = self.folder.path().join("cluster");
        command.arg("-D").arg(&cluster).current_dir(&cluster);
        let on_off = if self.options.durable { "on" } else { "off" };
        let settings = [
            ("listen_addresses", "127.0.0.1".to_owned()),
            ("port", self.port.to_string()),
            ("unix_socket_directories", String::new()),
            ("hba_file", self.folder.path().join(ACCESS_FILE).to_string_lossy().into_owned()),
            ("max_connections", self.options.connections_max.to_string()),
            ("fsync", on_off.to_owned()),
            // Always: without it a killed server, not only a power cut, loses what it has confirmed.
            ("synchronous_commit", "on".to_owned()),
            ("full_page_writes", on_off.to_owned()),
            ("logging_collector", "off".to_owned()),
            ("log_line_prefix", "%m [%p] %d ".to_owned()),
        ];
        let further = self.options.settings.iter().map(|(name, value)| (name.as_str(), value.clone()));
        for (name, value) in settings.into_iter().chain(further) {
            command.arg("-c").arg(format!("{name}={value}"));
        }
        without_settings_of_the_user(&mut command);
        Identity::apply(self.identity, &mut command);
        command
    }

    async fn until_accepting(&mut self, log: &Log) -> Result<(), Error> {
        let started = Instant::now();
        let server = "PostgreSQL";
        loop {
            if let Some(status) = self.group.server_exit() {
                return Err(Error::Ended {
                    server,
                    status: status.to_string(),
                    log: log.path.clone(),
                    tail: log.tail(),
                });
            }
            match Connection::open(self.port, SUPERUSER, &self.password, "postgres").await {
                // Somebody else may answer on a port that our server could not get.
                Ok(_) if self.group.server_exit().is_none() => return Ok(()),
                Err(Failure::Refused(refusal)) if refusal.code == WRONG_PASSWORD => {
                    return Err(Error::WrongPassword { file: self.password_file() });
                }
                Err(Failure::Refused(refusal)) if !NOT_YET.contains(&refusal.code.as_str()) => {
                    return Err(statement_error(self.port, "connect", &Failure::Refused(refusal)));
                }
                Ok(_) | Err(_) => {}
            }
            if started.elapsed() > START_LIMIT {
                return Err(Error::Slow { server, limit: START_LIMIT, log: log.path.clone(), tail: log.tail() });
            }
            tokio::time::sleep(POLL).await;
        }
    }
}

/// Makes a database on a private server. Returns whether it was not there before.
pub(crate) async fn create_database(port: u16, password: &SecretString, name: &str) -> Result<bool, Error> {
    /// SQLSTATE of a database that exists.
    const DUPLICATE: &str = "42P04";
    let statement = format!("CREATE DATABASE \"{}\"", name.replace('"', "\"\""));
    let made = async { Connection::open(port, SUPERUSER, password, "postgres").await?.execute(&statement).await }.await;
    match made {
        Ok(()) => Ok(true),
        Err(Failure::Refused(refusal)) if refusal.code == DUPLICATE => Ok(false),
        Err(failure) => Err(statement_error(port, &statement, &failure)),
    }
}

fn statement_error(port: u16, statement: &str, failure: &Failure) -> Error {
    Error::Statement { port, statement: statement.to_owned(), message: failure.to_string() }
}

/// Who runs the server on a cluster that exists: its owner, so that no file changes hands. Handed over is what root
/// itself owns (copied from a backup, say), and what a user owns whom other programs run as too.
async fn adopt(cluster: &Path, unprivileged: Option<Identity>) -> Result<Option<Identity>, Error> {
    let owner = Identity::owner_of(cluster)?;
    match unprivileged.filter(|_| owner.is_none_or(Identity::is_shared)) {
        None => Ok(owner),
        Some(user) => {
            let mut command = Command::new("chown");
            command.arg("-R").arg(format!("{}:{}", user.uid, user.gid)).arg(cluster);
            run(command).await?;
            Ok(Some(user))
        }
    }
}

/// Sets a new password on a cluster whose server does not run, and keeps it beside the cluster.
async fn new_password(
    programs: &PostgresPrograms,
    folder: &Path,
    identity: Option<Identity>,
    durable: bool,
) -> Result<SecretString, Error> {
    let cluster = folder.join("cluster");
    remove_stale_lock(&cluster)?;
    let password = secret::random()?;
    let mut command = Command::new(programs.bin.join("postgres"));
    command.arg("--single").arg("-D").arg(&cluster).current_dir(&cluster);
    command.args(["-c", "password_encryption=scram-sha-256", "-c", "logging_collector=off"]);
    command.args((!durable).then_some("-F"));
    command.arg("postgres");
    without_settings_of_the_user(&mut command);
    Identity::apply(identity, &mut command);
    run_with_input(command, &format!("ALTER ROLE {SUPERUSER} PASSWORD '{}'\n", password.expose_secret())).await?;
    secret::keep(folder, &password)?;
    Ok(password)
}

fn write_access(file: &Path) -> Result<(), Error> {
    let written =
        fs::write(file, ACCESS).and_then(|()| fs::set_permissions(file, fs::Permissions::from_mode(ACCESS_MODE)));
    written.map_err(Error::file("write", file))
}

/// A user's own PGDATA, PGPORT and the like must not reach a private server.
fn without_settings_of_the_user(command: &mut Command) {
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PG")) {
        command.env_remove(name);
    }
}

/// Makes the data folder, under another name until it is whole: a start that was cut short leaves no half.
async fn make_cluster(
    programs: &PostgresPrograms,
    folder: &Path,
    identity: Option<Identity>,
    durable: bool,
) -> Result<(), Error> {
    let unfinished = folder.join("cluster.unfinished");
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished).map_err(Error::file("remove", &unfinished))?;
    }
    fs::create_dir(&unfinished).map_err(Error::file("make the folder", &unfinished))?;
    let private = fs::Permissions::from_mode(0o700);
    fs::set_permissions(&unfinished, private).map_err(Error::file("close to others", &unfinished))?;
    if let Some(Identity { uid, gid }) = identity {
        std::os::unix::fs::chown(&unfinished, Some(uid), Some(gid)).map_err(Error::file("hand over", &unfinished))?;
    }
    let initdb = |locale: &str| {
        let mut command = Command::new(programs.bin.join("initdb"));
        command.arg("-D").arg(&unfinished).current_dir(&unfinished);
        command.args(["--username", SUPERUSER, "--auth", "reject", "--encoding", "UTF8", "--locale", locale]);
        // What is not durable later need not be durable now.
        command.args((!durable).then_some("--no-sync"));
        Identity::apply(identity, &mut command);
        command
    };
    // Some systems have no C.UTF-8. C sorts the same way.
    if let Err(first) = run(initdb("C.UTF-8")).await {
        run(initdb("C")).await.map_err(|_second| first)?;
    }
    let cluster = folder.join("cluster");
    fs::rename(&unfinished, &cluster).map_err(Error::file("put in place", cluster))
}

/// A killed server leaves a file with its process id. PostgreSQL sees that no such process is left, unless
/// the id has gone to somebody else since, which in a container with few processes is likely. The somebody may be
/// another PostgreSQL: one of ours works in this very folder.
fn remove_stale_lock(cluster: &Path) -> Result<(), Error> {
    let file = cluster.join("postmaster.pid");
    let Ok(content) = fs::read_to_string(&file) else {
        return Ok(());
    };
    let Some(pid) = content.lines().next().and_then(|line| line.trim().parse().ok()) else {
        return Ok(());
    };
    let foreign_name = name_of(pid).is_some_and(|name| !name.starts_with("postgres"));
    let here = fs::canonicalize(cluster).map_err(Error::file("find", cluster))?;
    let foreign_folder = folder_of(pid).is_some_and(|folder| folder != here);
    if foreign_name || foreign_folder { fs::remove_file(&file).map_err(Error::file("remove", &file)) } else { Ok(()) }
}

fn choose_port(options: &PostgresOptions, folder: &Path) -> Result<u16, Error> {
    let server = "PostgreSQL";
    if let Some(port) = options.port {
        if !ports::is_free(port) {
            return Err(Error::Port { server, detail: format!("{port} is taken") });
        }
        return Ok(port);
    }
    let last = fs::read_to_string(folder.join("port")).ok().and_then(|text| text.trim().parse().ok());
    match last.filter(|port| ports::is_free(*port)) {
        Some(port) => Ok(port),
        None => Ok(ports::pick(server, 1, &[])?.remove(0)),
    }
}
