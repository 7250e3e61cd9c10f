//! Gets a missing server from the system's packages. Only xtask calls this, on a developer's machine.
//!
//! Installing a package must not start a server of the system, now or at the next boot: on Debian and
//! its kin a `policy-rc.d` forbids it for the time of the installation, no cluster is made, and units
//! that were not there before are disabled. Servers that were installed before are not touched, because
//! nothing is installed then.

use std::{
    env, fs,
    io::{IsTerminal, Write},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Stdio},
};

use crate::{
    Error,
    binaries::{find_postgres, find_rabbitmq, on_path},
    identity::Identity,
};

/// A server that can be had from the system's packages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    /// The database.
    PostgreSql,
    /// The broker.
    RabbitMq,
}

/// Asked by Debian's package scripts whether a service may start; 101 means no.
const POLICY_FILE: &str = "/usr/sbin/policy-rc.d";
const POLICY: &str =
    "#!/bin/sh\n# Placed while Sojourn's xtask installs a server, and removed when it has.\nexit 101\n";
/// Keeps Debian's package from making and starting a cluster.
const NO_CLUSTER_FILE: &str = "/etc/postgresql-common/createcluster.d/sojourn.conf";
const NO_CLUSTER: &str =
    "# Placed while Sojourn's xtask installs a server, and removed when it has.\ncreate_main_cluster = false\n";
/// How long apt waits for another installation to end: a machine that has just come up often updates itself.
const LOCK_SECONDS_MAX: u16 = 300;

/// Package managers, in the order in which they are looked for. Homebrew comes last: on Linux it stands beside
/// the system's own.
const MANAGERS: [Manager; 6] = [
    Manager {
        program: "apt-get",
        arguments: &["install", "-y", "--no-install-recommends"],
        postgres: "postgresql",
        rabbit: "rabbitmq-server",
        root: true,
    },
    Manager {
        program: "dnf",
        arguments: &["install", "-y"],
        postgres: "postgresql-server",
        rabbit: "rabbitmq-server",
        root: true,
    },
    Manager {
        program: "apk",
        arguments: &["add", "--update-cache"],
        postgres: "postgresql",
        rabbit: "rabbitmq-server",
        root: true,
    },
    Manager {
        program: "pacman",
        arguments: &["-S", "--noconfirm", "--needed"],
        postgres: "postgresql",
        rabbit: "rabbitmq",
        root: true,
    },
    Manager {
        program: "zypper",
        arguments: &["--non-interactive", "install"],
        postgres: "postgresql-server",
        rabbit: "rabbitmq-server",
        root: true,
    },
    Manager { program: "brew", arguments: &["install"], postgres: "postgresql@17", rabbit: "rabbitmq", root: false },
];

struct Manager {
    program: &'static str,
    arguments: &'static [&'static str],
    postgres: &'static str,
    rabbit: &'static str,
    /// Whether it must run as root; Homebrew must not.
    root: bool,
}

impl Tool {
    /// What people call it.
    pub fn name(self) -> &'static str {
        match self {
            Tool::PostgreSql => "PostgreSQL",
            Tool::RabbitMq => "RabbitMQ",
        }
    }

    fn is_installed(self) -> bool {
        match self {
            Tool::PostgreSql => find_postgres(None).is_ok(),
            Tool::RabbitMq => find_rabbitmq().is_ok(),
        }
    }
}

impl Manager {
    fn of_this_system() -> Option<&'static Manager> {
        MANAGERS.iter().find(|manager| !on_path(manager.program).is_empty())
    }

    fn package(&self, tool: Tool) -> &'static str {
        match tool {
            Tool::PostgreSql => self.postgres,
            Tool::RabbitMq => self.rabbit,
        }
    }

    /// How a person would say it.
    fn shown(&self, tool: Tool) -> String {
        let sudo = if self.root && !Identity::is_root() { "sudo " } else { "" };
        let refresh = if self.program == "apt-get" { format!("{sudo}apt-get update && ") } else { String::new() };
        format!("{refresh}{sudo}{} {} {}", self.program, self.arguments.join(" "), self.package(tool))
    }
}

/// The command that gets a server on this system.
pub fn install_command(tool: Tool) -> String {
    match Manager::of_this_system() {
        Some(manager) => manager.shown(tool),
        None => format!("your system's package manager (the package is called {})", MANAGERS[0].package(tool)),
    }
}

/// Installs the servers that are missing. `report` hears a line before anything is done.
pub fn ensure(tools: &[Tool], report: &mut dyn FnMut(&str)) -> Result<(), Error> {
    // The lists of packages are read anew once, not for each.
    let mut refreshed = false;
    for tool in tools.iter().copied().filter(|tool| !tool.is_installed()) {
        let failed = |reason: String| Error::Install { server: tool.name(), reason, install: install_command(tool) };
        let manager = Manager::of_this_system().ok_or_else(|| failed("no known package manager is here".to_owned()))?;
        report(&format!("{} is missing: {}", tool.name(), manager.shown(tool)));
        install(manager, tool, &mut refreshed).map_err(failed)?;
        if !tool.is_installed() {
            return Err(failed("its programs are still not found".to_owned()));
        }
    }
    Ok(())
}

fn install(manager: &Manager, tool: Tool, refreshed: &mut bool) -> Result<(), String> {
    let elevate = manager.root && !Identity::is_root();
    if elevate && !succeeds(sudo().arg("true")) {
        return Err("that needs root, and sudo is missing or wants a password".to_owned());
    }
    let package = manager.package(tool);
    if manager.program == "apt-get" {
        let _quiet = Quiet::begin(elevate)?;
        // One broken source fails all of it. That matters only when the package is not in the others.
        let lists =
            if std::mem::replace(refreshed, true) { Ok(()) } else { run(elevate, "apt-get", &["update", "-q"]) };
        let patience = format!("-oDPkg::Lock::Timeout={LOCK_SECONDS_MAX}");
        let arguments: Vec<&str> =
            ["-q", &patience].into_iter().chain(manager.arguments.iter().copied()).chain([package]).collect();
        run(elevate, "apt-get", &arguments).map_err(|reason| match lists {
            Ok(()) => reason,
            Err(before) => format!("{before} while it read the lists of packages; then {reason}"),
        })?;
        disable_unit(elevate, tool);
        return Ok(());
    }
    let arguments: Vec<&str> = manager.arguments.iter().copied().chain([package]).collect();
    run(elevate, manager.program, &arguments)
}

/// Keeps Debian's package scripts from starting services, for as long as it lives.
struct Quiet {
    elevate: bool,
    made: Vec<&'static str>,
}

impl Quiet {
    fn begin(elevate: bool) -> Result<Quiet, String> {
        let mut quiet = Quiet { elevate, made: Vec::new() };
        for (file, content, mode) in [(POLICY_FILE, POLICY, 0o755), (NO_CLUSTER_FILE, NO_CLUSTER, 0o644)] {
            // A file that is there was put there by the machine's owner, who has decided; unless it is what an
            // installation that was killed has left.
            let found = fs::read_to_string(file).ok();
            if found.is_none() && !Path::new(file).exists() {
                place(elevate, file, content, mode)?;
                quiet.made.push(file);
            } else if found.as_deref() == Some(content) {
                quiet.made.push(file);
            }
        }
        Ok(quiet)
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        for file in &self.made {
            // Told, because a forgotten file would keep later packages from starting their services.
            if let Err(reason) = run(self.elevate, "rm", &["-f", file]) {
                tracing::warn!(file, reason, "could not remove a file that was placed for the installation");
            }
        }
    }
}

/// Writes a root's file, through `tee` when sudo is needed.
fn place(elevate: bool, file: &str, content: &str, mode: u32) -> Result<(), String> {
    let parent = Path::new(file).parent().unwrap_or(Path::new("/"));
    if !elevate {
        let written = fs::create_dir_all(parent)
            .and_then(|()| fs::write(file, content))
            .and_then(|()| fs::set_permissions(file, fs::Permissions::from_mode(mode)));
        return written.map_err(|error| format!("could not write {file}: {error}"));
    }
    run(true, "mkdir", &["-p", &parent.to_string_lossy()])?;
    let mut tee = sudo();
    tee.args(["tee", file]).stdin(Stdio::piped()).stdout(Stdio::null());
    let mut child = tee.spawn().map_err(|error| format!("could not run tee: {error}"))?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(content.as_bytes()).map_err(|error| format!("could not write {file}: {error}"))?;
    }
    if !child.wait().is_ok_and(|status| status.success()) {
        return Err(format!("could not write {file}"));
    }
    run(true, "chmod", &[&format!("{mode:o}"), file])
}

/// A unit that the package has just brought starts at the next boot unless told otherwise. Where
/// there is no systemd there is nothing to do, so failures do not matter.
fn disable_unit(elevate: bool, tool: Tool) {
    let unit = match tool {
        Tool::PostgreSql => "postgresql.service",
        Tool::RabbitMq => "rabbitmq-server.service",
    };
    if !on_path("systemctl").is_empty() {
        let mut command = elevated(elevate, "systemctl");
        let _ = command.args(["disable", "--quiet", unit]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}

fn run(elevate: bool, program: &str, arguments: &[&str]) -> Result<(), String> {
    let mut command = elevated(elevate, program);
    // What package managers say goes to standard error, so that it does not mix with results.
    command.args(arguments).stdin(Stdio::null()).stdout(std::io::stderr());
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{program} ended with {status}")),
        Err(error) => Err(format!("could not run {program}: {error}")),
    }
}

fn elevated(elevate: bool, program: &str) -> Command {
    let (asks, no_questions) = ("DEBIAN_FRONTEND", "noninteractive");
    if !elevate {
        let mut command = Command::new(program);
        command.env(asks, no_questions);
        return command;
    }
    let mut command = sudo();
    command.args(["env", &format!("{asks}={no_questions}"), program]);
    if let Some(path) = env::var_os("PATH") {
        command.env("PATH", path);
    }
    command
}

/// Asks for a password where there is somebody to answer: it does so at the terminal itself, whatever its input is.
fn sudo() -> Command {
    let mut command = Command::new("sudo");
    if !std::io::stdin().is_terminal() {
        command.arg("-n");
    }
    command
}

fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_for_a_person_names_the_package() {
        assert!(install_command(Tool::PostgreSql).contains("postgresql"));
        assert!(install_command(Tool::RabbitMq).contains("rabbitmq"));
    }

    #[test]
    fn what_is_installed_is_left_alone() {
        let mut lines = Vec::new();
        ensure(&[Tool::PostgreSql, Tool::RabbitMq], &mut |line| lines.push(line.to_owned())).unwrap();
        assert!(lines.is_empty(), "{lines:?}");
    }
}
