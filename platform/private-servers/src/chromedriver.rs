//! A private ChromeDriver for tests of pages: the program through which a client starts headless browsers and acts in
//! them. It and all its browsers end with the process that started it, and their profiles with them.

use std::{
    net::Ipv4Addr,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use tokio::net::TcpStream;

use crate::{
    Error, Place,
    binaries::find_chromedriver,
    folder::Folder,
    ports,
    process::{Group, Log},
};

/// How it is called in errors.
const NAME: &str = "ChromeDriver";
/// How long a start may take: moments, unless the disk is cold and a build runs beside it.
const START_LIMIT: Duration = Duration::from_secs(60);
/// How often a starting driver is asked.
const POLL: Duration = Duration::from_millis(50);

/// A running ChromeDriver. It is killed with its browsers when this is dropped.
#[derive(Debug)]
pub struct ChromeDriver {
    // Dropped in this order: the processes first, their folder last.
    _group: Group,
    log: Log,
    port: u16,
    _folder: Folder,
}

impl ChromeDriver {
    /// Starts the driver and waits until it listens. Browsers are started by its clients.
    pub async fn start() -> Result<Self, Error> {
        let program = find_chromedriver()?;
        let folder = Folder::open(&Place::Temporary, None).await?;
        let log = Log::open(folder.path().join("chromedriver.log"))?;
        let port = ports::pick(NAME, 1, &[])?.into_iter().next().unwrap_or_default();
        let mut group = Group::new(&folder)?;
        group.start(command(&program, port, folder.path()), &log)?;
        until_listening(&mut group, port, &log).await?;
        Ok(Self { _group: group, log, port, _folder: folder })
    }

    /// The address for clients.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The end of its log, for failures.
    #[must_use]
    pub fn log_tail(&self) -> String {
        self.log.tail()
    }
}

fn command(program: &Path, port: u16, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command.arg(format!("--port={port}"));
    // Profiles and caches of its browsers lie here and go with the folder.
    command.current_dir(folder).env("TMPDIR", folder).env("HOME", folder);
    command
}

async fn until_listening(group: &mut Group, port: u16, log: &Log) -> Result<(), Error> {
    let started = Instant::now();
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_err() {
        if let Some(status) = group.server_exit() {
            let (log, tail) = (log.path.clone(), log.tail());
            return Err(Error::Ended { server: NAME, status: status.to_string(), log, tail });
        }
        if started.elapsed() > START_LIMIT {
            return Err(Error::Slow { server: NAME, limit: START_LIMIT, log: log.path.clone(), tail: log.tail() });
        }
        tokio::time::sleep(POLL).await;
    }
    Ok(())
}
