//! One of the programs, as a child process whose log is kept.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use tokio::io::AsyncWriteExt as _;

use crate::wait;

/// A program of the workspace that can be killed and started again with the same arguments.
#[derive(Debug)]
pub struct Program {
    name: String,
    binary: PathBuf,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    log: PathBuf,
    child: Option<Child>,
}

impl Program {
    /// Starts `binary`; its standard error goes to a file in `folder`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(
        name: &str,
        binary: &str,
        arguments: Vec<String>,
        environment: Vec<(String, String)>,
        folder: &Path,
    ) -> Result<Self> {
        let binary = private_servers::testing::binary(binary);
        let log = folder.join(format!("{name}.log"));
        let mut program = Self { name: name.to_owned(), binary, arguments, environment, log, child: None };
        program.restart()?;
        Ok(program)
    }

    /// Starts it again, as before.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn restart(&mut self) -> Result<()> {
        let log = File::options().create(true).append(true).open(&self.log)?;
        let child = Command::new(&self.binary)
            .args(&self.arguments)
            // Somebody's own servers are not for a program that is not told of them here.
            .env_remove("DATABASE_URL")
            .env_remove("AMQP_URL")
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("starting {}", self.name))?;
        self.child = Some(child);
        Ok(())
    }

    /// Gives it another value of a setting from its next start on, or none.
    pub fn set(&mut self, flag: &str, value: Option<&str>) {
        self.arguments.retain(|argument| argument.split('=').next() != Some(flag));
        self.arguments.extend(value.map(|value| format!("{flag}={value}")));
    }

    /// Ends it without warning (SIGKILL), and waits until it is gone.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself: then there is nothing to kill.
            child.kill().ok();
            child.wait().ok();
        }
    }

    /// Asks it to end (SIGTERM) and returns its exit code; none when a signal ended it.
    ///
    /// # Errors
    /// When it does not run or cannot be signalled.
    ///
    /// # Panics
    /// When it has not ended within `limit`: the test has failed.
    pub async fn terminate(&mut self, limit: Duration) -> Result<Option<i32>> {
        self.end_by("-TERM", limit).await
    }

    /// As [`Program::terminate`], with the signal of Ctrl-C.
    ///
    /// # Errors
    /// When it does not run or cannot be signalled.
    ///
    /// # Panics
    /// When it has not ended within `limit`: the test has failed.
    pub async fn interrupt(&mut self, limit: Duration) -> Result<Option<i32>> {
        self.end_by("-INT", limit).await
    }

    /// Sends it a signal, such as `-STOP`.
    ///
    /// # Errors
    /// When it does not run or cannot be signalled.
    pub fn signal(&self, signal: &str) -> Result<()> {
        let child = self.child.as_ref().with_context(|| format!("{} does not run", self.name))?;
        let status = Command::new("kill").args([signal, &child.id().to_string()]).status()?;
        ensure!(status.success(), "{} could not be signalled", self.name);
        Ok(())
    }

    async fn end_by(&mut self, signal: &str, limit: Duration) -> Result<Option<i32>> {
        self.signal(signal)?;
        let child = self.child.as_mut().with_context(|| format!("{} does not run", self.name))?;
        let child = std::sync::Mutex::new(child);
        let ended = wait::until(&format!("the end of {}", self.name), limit, || async {
            let ended = child.lock().map_err(|error| error.to_string())?.try_wait();
            ended.map_err(|error| error.to_string())?.ok_or_else(|| "it still runs".to_owned())
        })
        .await;
        self.child = None;
        Ok(ended.code())
    }

    /// Whether it was started and not killed or terminated since.
    #[must_use]
    pub const fn is_started(&self) -> bool {
        self.child.is_some()
    }

    /// The whole log of all its runs.
    #[must_use]
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// The last lines of its log, for failures.
    #[must_use]
    pub fn log_tail(&self) -> String {
        let text = self.log();
        let lines: Vec<&str> = text.lines().collect();
        format!("--- {} ---\n{}", self.name, lines[lines.len().saturating_sub(25)..].join("\n"))
    }

    /// Lines of its log that hold a panic.
    #[must_use]
    pub fn panics(&self) -> Vec<String> {
        self.log().lines().filter(|line| line.contains("panicked at")).map(str::to_owned).collect()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
    }
}

/// How a program that was run to its end ended.
#[derive(Debug, Clone)]
pub struct Ended {
    /// Its exit code; none when a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// Runs a program of the workspace to its end, with nothing of this process's environment but the search path.
///
/// # Errors
/// When it cannot be started or does not end within `limit`.
pub async fn run(
    binary: &str,
    arguments: &[&str],
    environment: &[(&str, &str)],
    stdin: &str,
    limit: Duration,
) -> Result<Ended> {
    let mut command = tokio::process::Command::new(private_servers::testing::binary(binary));
    command.args(arguments).env_clear().envs(environment.iter().copied()).kill_on_drop(true);
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("starting {binary}"))?;
    if let Some(mut pipe) = child.stdin.take() {
        // A program that reads nothing may be gone already.
        pipe.write_all(stdin.as_bytes()).await.ok();
    }
    let ended = tokio::time::timeout(limit, child.wait_with_output()).await;
    let ended = ended.with_context(|| format!("{binary} {arguments:?} did not end within {limit:?}"))??;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok(Ended { code: ended.status.code(), stdout: text(&ended.stdout), stderr: text(&ended.stderr) })
}

/// A port that was free a moment ago.
///
/// # Errors
/// When the system has none.
pub fn free_port() -> Result<u16> {
    private_servers::testing::free_ports(1)?.pop().context("no free port")
}
