//! The servers and the browser that the system's packages hold, and the package managers that know them.

use crate::{identity::Identity, path::on_path};

/// A program that can be had from the system's packages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    PostgreSql,
    RabbitMq,
    /// The browser with its driver.
    Chromium,
}

/// Package managers, in the order in which they are looked for. Homebrew comes last: on Linux it stands beside
/// the system's own.
const MANAGERS: [Manager; 6] = [
    Manager {
        program: "apt-get",
        arguments: &["install", "-y", "--no-install-recommends"],
        postgres: "postgresql",
        rabbit: "rabbitmq-server",
        browser: "chromium-driver",
        root: true,
    },
    Manager {
        program: "dnf",
        arguments: &["install", "-y"],
        postgres: "postgresql-server",
        rabbit: "rabbitmq-server",
        browser: "chromedriver",
        root: true,
    },
    Manager {
        program: "apk",
        arguments: &["add", "--update-cache"],
        postgres: "postgresql",
        rabbit: "rabbitmq-server",
        browser: "chromium-chromedriver",
        root: true,
    },
    Manager {
        program: "pacman",
        arguments: &["-S", "--noconfirm", "--needed"],
        postgres: "postgresql",
        rabbit: "rabbitmq",
        browser: "chromium",
        root: true,
    },
    Manager {
        program: "zypper",
        arguments: &["--non-interactive", "install"],
        postgres: "postgresql-server",
        rabbit: "rabbitmq-server",
        browser: "chromedriver",
        root: true,
    },
    Manager {
        program: "brew",
        arguments: &["install"],
        postgres: "postgresql@17",
        rabbit: "rabbitmq",
        browser: "chromedriver",
        root: false,
    },
];

pub(crate) struct Manager {
    pub(crate) program: &'static str,
    pub(crate) arguments: &'static [&'static str],
    postgres: &'static str,
    rabbit: &'static str,
    /// The driver's package, which brings the browser of its own version where they are two.
    browser: &'static str,
    /// Whether it must run as root; Homebrew must not.
    pub(crate) root: bool,
}

impl Tool {
    /// The name that people use.
    pub fn name(self) -> &'static str {
        match self {
            Tool::PostgreSql => "PostgreSQL",
            Tool::RabbitMq => "RabbitMQ",
            Tool::Chromium => "Chromium with ChromeDriver",
        }
    }
}

impl Manager {
    pub(crate) fn of_this_system() -> Option<&'static Manager> {
        MANAGERS.iter().find(|manager| !on_path(manager.program).is_empty())
    }

    pub(crate) fn package(&self, tool: Tool) -> &'static str {
        match tool {
            Tool::PostgreSql => self.postgres,
            Tool::RabbitMq => self.rabbit,
            Tool::Chromium => self.browser,
        }
    }

    /// The command as a person would type it.
    pub(crate) fn shown(&self, tool: Tool) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_for_a_person_names_the_package() {
        assert!(install_command(Tool::PostgreSql).contains("postgresql"));
        assert!(install_command(Tool::RabbitMq).contains("rabbitmq"));
        assert!(install_command(Tool::Chromium).contains("chrom"));
    }
}
