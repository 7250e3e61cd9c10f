//! Gets a missing server, or the browser, from the system's packages. Only xtask calls this, on a developer's machine.
//!
//! Installing a package must not start a server of the system, now or at the next boot: on Debian and
//! its kin a `policy-rc.d` forbids it for the time of the installation, no cluster is made, and units
//! that were not there before are disabled. Servers that were installed before are not touched, because
//! nothing is installed then. Whether a package may be installed is the caller's to ask.

use std::{
    env, fs,
    io::{IsTerminal, Write},
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::Path,
    process::{Command, Stdio},
};

pub use crate::managers::{Tool, install_command};
use crate::{
    Error,
    binaries::{find_chromedriver, find_postgres, find_rabbitmq},
    identity::Identity,
    managers::Manager,
    path::on_path,
};

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

/// Those of the servers that are not on this machine.
pub fn missing(tools: &[Tool]) -> Vec<Tool> {
    tools.iter().copied().filter(|tool| !is_installed(*tool)).collect()
}

/// Installs servers. It blocks, and a Ctrl-C at the terminal does not reach it: an installation that is broken off
/// leaves packages that are half there.
pub fn install(tools: &[Tool]) -> Result<(), Error> {
    // The lists of packages are read anew once, not for each.
    let mut refreshed = false;
    for tool in tools.iter().copied() {
        let failed = |reason: String| Error::Install { server: tool.name(), reason, install: install_command(tool) };
        let manager = Manager::of_this_system().ok_or_else(|| failed("no known package manager is here".to_owned()))?;
        install_one(manager, tool, &mut refreshed).map_err(failed)?;
        if !is_installed(tool) {
            return Err(failed("its programs are still not found".to_owned()));
        }
    }
    Ok(())
}

fn is_installed(tool: Tool) -> bool {
    match tool {
        Tool::PostgreSql => find_postgres(None).is_ok(),
        Tool::RabbitMq => find_rabbitmq().is_ok(),
        Tool::Chromium => find_chromedriver().is_ok(),
    }
}

fn install_one(manager: &Manager, tool: Tool, refreshed: &mut bool) -> Result<(), String> {
    let elevate = manager.root && !Identity::is_root();
    if elevate && !sudo_works() {
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
        Tool::Chromium => return,
    };
    if !on_path("systemctl").is_empty() {
        let mut command = elevated(elevate, "systemctl");
        let _ = command.args(["disable", "--quiet", unit]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}

fn run(elevate: bool, program: &str, arguments: &[&str]) -> Result<(), String> {
    let mut command = elevated(elevate, program);
    // What package managers say goes to standard error, so that it does not mix with results.
    command.args(arguments).stdin(Stdio::null()).stdout(std::io::stderr()).process_group(0);
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

/// Root's rights without a question, which a process outside of the terminal's foreground could not ask.
fn sudo() -> Command {
    let mut command = Command::new("sudo");
    command.arg("-n");
    command
}

/// Whether sudo gives root's rights. It may ask for a password, at the terminal itself, when a person is there; what
/// follows finds it answered.
fn sudo_works() -> bool {
    let mut command = Command::new("sudo");
    if !std::io::stdin().is_terminal() {
        command.arg("-n");
    }
    command.arg("true").stdin(Stdio::null()).stdout(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_installed_is_not_missing() {
        assert_eq!(missing(&[Tool::PostgreSql, Tool::RabbitMq, Tool::Chromium]), []);
    }
}
