//! One of the programs, as a child process whose log is kept.

use std::{
    fs::File,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use anyhow::{Context, Result};

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
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("starting {}", self.name))?;
        self.child = Some(child);
        Ok(())
    }

    /// Ends it without warning (SIGKILL), and waits until it is gone.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself: then there is nothing to kill.
            child.kill().ok();
            child.wait().ok();
        }
    }

    /// Asks it to end (SIGTERM) and returns its exit code.
    ///
    /// # Errors
    /// When it does not run or cannot be signalled.
    pub fn terminate(&mut self) -> Result<Option<i32>> {
        let mut child = self.child.take().context("it does not run")?;
        let status = Command::new("kill").args(["-TERM", &child.id().to_string()]).status()?;
        anyhow::ensure!(status.success(), "{} could not be signalled", self.name);
        Ok(child.wait()?.code())
    }

    /// The last lines of its log, for failures.
    #[must_use]
    pub fn log_tail(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        format!("--- {} ---\n{}", self.name, lines[lines.len().saturating_sub(25)..].join("\n"))
    }

    /// Lines of its log that hold a panic.
    #[must_use]
    pub fn panics(&self) -> Vec<String> {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        text.lines().filter(|line| line.contains("panicked at")).map(str::to_owned).collect()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A port that was free a moment ago.
///
/// # Errors
/// When the system has none.
pub(crate) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
