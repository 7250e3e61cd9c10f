//! The servers as tests use them: a fresh database, and the broker's address, on the servers that `cargo xtask test` started.
//!
//! All tests share one RabbitMQ. A test keeps to itself by giving its exchanges and queues a prefix from
//! [`unique`].

use std::{env, path::Path};

use secrecy::SecretString;

pub use crate::proxy::{Proxy, Way};
use crate::{Error, Place, folder::Folder, ports, postgres};

/// Names the private PostgreSQL of a test run.
pub const DATABASE_VARIABLE: &str = "TEST_DATABASE_URL";
/// Names the private RabbitMQ of a test run.
pub const AMQP_VARIABLE: &str = "TEST_AMQP_URL";
/// Names the folder that holds the programs of the workspace, for tests that start them.
pub const BINARIES_VARIABLE: &str = "SOJOURN_BIN_DIR";
/// PostgreSQL cuts longer names, and what is cut off would be what makes them unique.
const NAME_BYTES_MAX: usize = 40;

/// Makes a fresh, empty database whose name begins with `name`, and returns its address.
///
/// # Panics
///
/// When there is no server: tests are started by `cargo xtask test`.
pub async fn database(name: &str) -> String {
    let server = required(DATABASE_VARIABLE);
    let (address, password, port) = parse(&server).unwrap_or_else(|| {
        panic!("{DATABASE_VARIABLE} must be postgres://postgres:PASSWORD@127.0.0.1:PORT/postgres, as `cargo xtask servers` says")
    });
    let name = unique(name);
    match postgres::create_database(port, &password, &name).await {
        Ok(true) => format!("{address}/{name}"),
        Ok(false) => panic!("the database {name} exists already"),
        Err(error) => panic!("{error}"),
    }
}

/// The broker's address.
///
/// # Panics
///
/// When there is no broker: tests are started by `cargo xtask test`.
pub fn amqp_url() -> String {
    required(AMQP_VARIABLE)
}

/// The path of one of the workspace's programs.
///
/// # Panics
///
/// When the programs were not built: tests are started by `cargo xtask test`.
pub fn binary(name: &str) -> std::path::PathBuf {
    let path = Path::new(&required(BINARIES_VARIABLE)).join(name);
    assert!(path.is_file(), "{} is not built: run `cargo xtask test`", path.display());
    path
}

/// So many different ports of 127.0.0.1 that were free a moment ago, for programs that are killed and started again on
/// them: no outgoing connection is ever given one of these.
///
/// # Errors
/// When there are not so many.
pub fn free_ports(count: usize) -> Result<Vec<u16>, Error> {
    ports::pick("a test", count, &[])
}

/// A folder for what a run of tests leaves lying about. It goes at the end; when its owner was killed, one of the next
/// temporary folders that are made here takes it away.
#[derive(Debug)]
pub struct Scratch(Folder);

impl Scratch {
    /// Makes a new one, which the users of private servers can pass through.
    ///
    /// # Errors
    /// When the system's temporary folder is not writable.
    pub async fn open() -> Result<Scratch, Error> {
        Folder::open(&Place::Temporary, None).await.map(Scratch)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

/// A name that begins with `name` and that no other test has: small letters, digits and `_` only.
pub fn unique(name: &str) -> String {
    let plain = |letter: char| {
        if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '_' }
    };
    let name: String = name.chars().map(plain).take(NAME_BYTES_MAX).collect();
    format!("{name}_{:016x}", ports::arbitrary())
}

fn required(variable: &str) -> String {
    env::var(variable).unwrap_or_else(|_| panic!("{variable} is not set: run `cargo xtask test`"))
}

/// The address without the database, the password, and the port.
fn parse(url: &str) -> Option<(&str, SecretString, u16)> {
    let (address, _database) = url.rsplit_once('/')?;
    let (login, port) = address.strip_prefix("postgres://")?.split_once("@127.0.0.1:")?;
    let (_user, password) = login.split_once(':')?;
    Some((address, password.into(), port.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn two_names_differ_and_fit_into_postgresql() {
        let long = "A name: longer than what PostgreSQL takes as the name of a database";
        let (first, second) = (unique(long), unique(long));
        assert_ne!(first, second);
        assert!(first.len() < 63 && first.starts_with("a_name__longer_than"), "{first}");
    }

    #[test]
    fn only_a_private_server_is_taken() {
        let (address, password, port) = parse("postgres://postgres:pw@127.0.0.1:15432/postgres").unwrap();
        let private = ("postgres://postgres:pw@127.0.0.1:15432", "pw", 15432);
        assert_eq!((address, password.expose_secret(), port), private);
        assert!(parse("postgres://postgres:pw@db.example.com:5432/postgres").is_none());
        assert!(parse("postgres://postgres@127.0.0.1:15432/postgres").is_none());
    }
}
