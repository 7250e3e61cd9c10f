//! The private servers that tasks run on.

use std::{
    fs::{self, OpenOptions},
    io::{ErrorKind, IsTerminal as _, Write as _, stdin},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context, ensure};
use private_servers::{
    Place, Postgres, PostgresOptions, RabbitMq, RabbitMqOptions,
    packages::{self, Tool},
    testing::{AMQP_VARIABLE, DATABASE_VARIABLE},
};

use tokio::sync::oneshot;

use crate::child::Stop;

/// The servers that tests and the benchmark run on.
pub(crate) const SERVERS: [Tool; 2] = [Tool::PostgreSql, Tool::RabbitMq];

/// Everything that tests need beside the Rust toolchain: each part that cannot be had fails them.
pub(crate) const FOR_TESTS: [Tool; 3] = [Tool::PostgreSql, Tool::RabbitMq, Tool::Chromium];

/// A PostgreSQL and a RabbitMQ that end with the task.
pub(crate) struct Servers {
    postgres: Postgres,
    rabbit: RabbitMq,
}

impl Servers {
    /// Starts both at once, in new folders or in lasting ones.
    pub(crate) async fn start(data: Option<PathBuf>) -> anyhow::Result<Servers> {
        let place = |name: &str| data.as_ref().map_or(Place::Temporary, |folder| Place::At(folder.join(name)));
        let postgres = PostgresOptions { place: place("postgres"), ..PostgresOptions::for_tests() };
        let rabbit = RabbitMqOptions { place: place("rabbitmq"), ..RabbitMqOptions::for_tests() };
        let (postgres, rabbit) = tokio::try_join!(Postgres::start(postgres), RabbitMq::start(rabbit))?;
        Ok(Servers { postgres, rabbit })
    }

    /// The variables by which tests find the servers.
    pub(crate) fn variables(&self) -> [(&'static str, String); 2] {
        [(DATABASE_VARIABLE, self.postgres.url("postgres")), (AMQP_VARIABLE, self.rabbit.url())]
    }

    pub(crate) async fn stop(mut self) {
        tokio::join!(self.postgres.stop(), self.rabbit.stop());
    }
}

/// Gets the servers that are missing from the system's packages. A person at the terminal is asked first; where there
/// is none, as in continuous integration, the call itself is the wish. Ctrl-C is heard when the installation has ended.
pub(crate) async fn ensure(tools: &[Tool], stop: &Stop) -> anyhow::Result<()> {
    let missing = packages::missing(tools);
    if missing.is_empty() {
        return Ok(());
    }
    for tool in &missing {
        eprintln!("{} is missing. This installs it: {}", tool.name(), packages::install_command(*tool));
    }
    if stdin().is_terminal() {
        eprint!("Install it now? [Y/n] ");
        let answer = tokio::select! {
            answer = answer() => answer?,
            _ = stop.told() => return Ok(()),
        };
        ensure!(is_yes(&answer), "nothing was installed: install it as shown above, and call this again");
    }
    let mut installing = tokio::task::spawn_blocking(move || packages::install(&missing));
    let installed = tokio::select! {
        installed = &mut installing => installed,
        _ = stop.told() => {
            eprintln!("The installation comes to its end first: broken off, it would leave packages that are half there.");
            installing.await
        }
    };
    Ok(installed??)
}

/// A line from the terminal, read by a thread that may be left waiting for it.
async fn answer() -> anyhow::Result<String> {
    let (tell, told) = oneshot::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        let read = stdin().read_line(&mut line).map(|_| line);
        // The other end is gone when xtask was told to stop.
        let _ = tell.send(read);
    });
    Ok(told.await??)
}

/// Whether an answer agrees, as an empty one does.
fn is_yes(answer: &str) -> bool {
    ["", "y", "yes"].contains(&answer.trim().to_lowercase().as_str())
}

/// Writes a file that only its owner reads, in place of one that was there before.
fn write_secret(file: &Path, text: &str) -> std::io::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?.write_all(text.as_bytes())
}

/// Runs the servers until this process is told to stop.
pub(crate) async fn serve(data: Option<PathBuf>, env_file: Option<PathBuf>, stop: &Stop) -> anyhow::Result<()> {
    ensure(&SERVERS, stop).await?;
    let servers = tokio::select! {
        servers = Servers::start(data) => servers?,
        _ = stop.told() => return Ok(()),
    };
    let lines: String = servers.variables().map(|(name, value)| format!("export {name}={value}\n")).concat();
    print!("{lines}");
    if let Some(file) = &env_file {
        write_secret(file, &lines).with_context(|| format!("could not write {}", file.display()))?;
    }
    stop.told().await;
    servers.stop().await;
    if let Some(file) = env_file {
        // A file that names servers which are gone would only mislead.
        let _ = fs::remove_file(file);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_answer_agrees_and_anything_but_yes_does_not() {
        assert!(["\n", "y\n", "Yes\n"].iter().all(|answer| is_yes(answer)));
        assert!(["n\n", "no", "what?"].iter().all(|answer| !is_yes(answer)));
    }
}
