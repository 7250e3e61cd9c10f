//! Where the servers' programs and the browser's driver are: named by an environment variable, in the usual folders of the
//! system's packages, or on the PATH.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::{
    Error,
    managers::{Tool, install_command},
    path::on_path,
};

/// Names the folder that holds `postgres` and `initdb`.
pub const POSTGRESQL_BIN_VARIABLE: &str = "SOJOURN_POSTGRESQL_BIN";
/// Names the script `rabbitmq-server` of an unpacked RabbitMQ (its `sbin/rabbitmq-server`).
pub const RABBITMQ_SERVER_VARIABLE: &str = "SOJOURN_RABBITMQ_SERVER";
/// Names the program `chromedriver`, which finds its browser itself.
pub const CHROMEDRIVER_VARIABLE: &str = "SOJOURN_CHROMEDRIVER";

/// Folders with one subfolder a version, each with `bin` in it.
const POSTGRESQL_PARENTS: [&str; 4] = ["/usr/lib/postgresql", "/usr/libexec", "/opt/homebrew/opt", "/usr/local/opt"];
/// Folders below which RabbitMQ's own folder (with its version in its name) lies.
const RABBITMQ_PARENTS: [&str; 4] = ["/usr/lib/rabbitmq/lib", "/usr/lib64/rabbitmq/lib", "/usr/lib", "/opt"];
/// Scripts that are the server itself, not a wrapper that changes the user.
const RABBITMQ_SCRIPTS: [&str; 2] =
    ["/opt/homebrew/opt/rabbitmq/sbin/rabbitmq-server", "/usr/local/opt/rabbitmq/sbin/rabbitmq-server"];
/// Folders of packages that keep the driver off the PATH.
const CHROMEDRIVER_PLACES: [&str; 2] = ["/usr/lib/chromium/chromedriver", "/usr/lib64/chromium/chromedriver"];

/// One installed PostgreSQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PostgresPrograms {
    /// The folder with `postgres` and `initdb`.
    pub(crate) bin: PathBuf,
    /// The version that data folders are bound to.
    pub(crate) major: String,
}

/// Finds PostgreSQL: the version that made `existing` when there is such a folder, else the newest.
pub(crate) fn find_postgres(existing: Option<&Path>) -> Result<PostgresPrograms, Error> {
    let mut installed: Vec<PostgresPrograms> =
        postgres_bins().into_iter().filter_map(|bin| Some(PostgresPrograms { major: major_of(&bin)?, bin })).collect();
    // Stable: of two with the same version the one that was named first stays first.
    installed.sort_by_key(|programs| std::cmp::Reverse(programs.major.parse::<u32>().unwrap_or(0)));
    let newest = installed.first().cloned().ok_or_else(|| missing(Tool::PostgreSql, POSTGRESQL_BIN_VARIABLE))?;
    let Some(folder) = existing else {
        return Ok(newest);
    };
    let version_file = folder.join("PG_VERSION");
    let wanted = fs::read_to_string(&version_file).map_err(Error::file("read", version_file))?;
    let wanted = wanted.trim();
    let found = installed.iter().map(|programs| programs.major.as_str()).collect::<Vec<_>>().join(", ");
    installed.iter().find(|programs| programs.major == wanted).cloned().ok_or_else(|| Error::WrongVersion {
        folder: folder.to_owned(),
        wanted: wanted.to_owned(),
        found,
    })
}

/// Finds the script that starts RabbitMQ as the user who calls it.
pub(crate) fn find_rabbitmq() -> Result<PathBuf, Error> {
    if let Some(named) = env::var_os(RABBITMQ_SERVER_VARIABLE) {
        return Ok(PathBuf::from(named));
    }
    let mut scripts: Vec<PathBuf> = RABBITMQ_PARENTS
        .iter()
        .flat_map(|parent| folders_in(Path::new(parent)))
        .filter(|folder| folder.file_name().is_some_and(|name| name.to_string_lossy().starts_with("rabbitmq")))
        .map(|folder| folder.join("sbin/rabbitmq-server"))
        .collect();
    // The newest version last in the alphabet is good enough: packages install one.
    scripts.sort();
    scripts.reverse();
    scripts.extend(RABBITMQ_SCRIPTS.iter().map(PathBuf::from));
    scripts.extend(on_path("rabbitmq-server").into_iter().filter(|script| !is_wrapper(script)));
    scripts.into_iter().find(|script| script.is_file()).ok_or_else(|| missing(Tool::RabbitMq, RABBITMQ_SERVER_VARIABLE))
}

/// Finds the program that drives Chromium.
pub(crate) fn find_chromedriver() -> Result<PathBuf, Error> {
    if let Some(named) = env::var_os(CHROMEDRIVER_VARIABLE) {
        return Ok(PathBuf::from(named));
    }
    let places = on_path("chromedriver").into_iter().chain(CHROMEDRIVER_PLACES.iter().map(PathBuf::from));
    let found = places.into_iter().find(|program| program.is_file());
    found.ok_or_else(|| missing(Tool::Chromium, CHROMEDRIVER_VARIABLE))
}

fn postgres_bins() -> Vec<PathBuf> {
    let mut bins: Vec<PathBuf> = Vec::new();
    if let Some(named) = env::var_os(POSTGRESQL_BIN_VARIABLE) {
        return vec![PathBuf::from(named)];
    }
    for parent in POSTGRESQL_PARENTS {
        for folder in folders_in(Path::new(parent)) {
            bins.push(folder.join("bin"));
            bins.push(folder);
        }
    }
    bins.extend(on_path("postgres").iter().filter_map(|program| Some(program.parent()?.to_owned())));
    bins.retain(|bin| bin.join("postgres").is_file() && bin.join("initdb").is_file());
    bins
}

/// Asks the program itself: `postgres (PostgreSQL) 15.6 (Debian 15.6-0+deb12u1)`.
fn major_of(bin: &Path) -> Option<String> {
    let output = Command::new(bin.join("postgres")).arg("--version").stdin(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let version = text.split_whitespace().nth(2)?;
    let digits: String = version.chars().take_while(char::is_ascii_digit).collect();
    (!digits.is_empty()).then_some(digits)
}

/// Debian's script on the PATH changes to the user `rabbitmq`, whose folders are not ours.
fn is_wrapper(script: &Path) -> bool {
    let real = fs::canonicalize(script).unwrap_or_else(|_| script.to_owned());
    real.file_name().is_some_and(|name| name.to_string_lossy().contains("wrapper"))
}

fn folders_in(parent: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(parent) else {
        return Vec::new();
    };
    entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.is_dir()).collect()
}

fn missing(tool: Tool, variable: &'static str) -> Error {
    Error::Missing { server: tool.name(), install: install_command(tool), variable }
}
