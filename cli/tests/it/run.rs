//! Runs the binary and keeps everything it said.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::door::{Door, TOKEN};

/// How the program ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// The program, about to be run.
pub(crate) struct Sagactl {
    command: Command,
    stdin: Option<String>,
    read: bool,
    _home: tempfile::TempDir,
    config: PathBuf,
}

impl Sagactl {
    /// With a home of its own and nothing from this environment.
    pub(crate) fn new(arguments: &[&str]) -> Self {
        let home = tempfile::tempdir().unwrap();
        let config = home.path().join("config");
        let mut command = Command::new(env!("CARGO_BIN_EXE_sagactl"));
        command.args(arguments).env_clear().env("HOME", home.path()).env("XDG_CONFIG_HOME", &config);
        Self { command, stdin: None, read: true, _home: home, config }
    }

    /// Speaking with the door, as its operator.
    pub(crate) fn at(door: &Door, arguments: &[&str]) -> Self {
        Self::new(arguments).env("SAGACTL_URL", &door.url()).env("SAGACTL_TOKEN", TOKEN)
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    /// Shares another run's stored login.
    pub(crate) fn config(mut self, folder: &Path) -> Self {
        self.command.env("XDG_CONFIG_HOME", folder);
        self.config = folder.to_owned();
        self
    }

    pub(crate) fn stdin(mut self, text: &str) -> Self {
        self.stdin = Some(text.to_owned());
        self
    }

    /// The reader of its output has gone before it begins.
    pub(crate) fn without_reader(mut self) -> Self {
        self.read = false;
        self
    }

    pub(crate) async fn run(mut self) -> Ended {
        tokio::task::spawn_blocking(move || {
            let input = if self.stdin.is_some() { Stdio::piped() } else { Stdio::null() };
            let stdout = if self.read { Stdio::piped() } else { pipe_without_reader() };
            let command = self.command.stdin(input).stdout(stdout).stderr(Stdio::piped());
            let mut child = command.spawn().unwrap();
            if let Some(text) = &self.stdin {
                child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
            }
            let output = child.wait_with_output().unwrap();
            Ended {
                code: output.status.code().unwrap(),
                stdout: String::from_utf8(output.stdout).unwrap(),
                stderr: String::from_utf8(output.stderr).unwrap(),
            }
        })
        .await
        .unwrap()
    }
}

fn pipe_without_reader() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}
