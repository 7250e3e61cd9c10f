//! Private PostgreSQL and RabbitMQ servers, and a private ChromeDriver for tests, started as child processes of the program that needs them.
//!
//! `sojourn` keeps its data in one of these, and tests and benchmarks run on them, so that nobody has
//! to set a server up and no server that is already on the machine is touched. Everything listens
//! on 127.0.0.1 only, on ports that were free, and ends with the process that started it:
//!
//! ```text
//!   parent --- stdin pipe --> guard (sh)      one process group: when the parent
//!      |                        |             dies, the pipe closes and the guard
//!      +--- starts ---------> server          ends the whole group
//! ```
//!
//! PostgreSQL lets in only who has the password that lies beside its data, in a file for its owner. It
//! refuses to run as root: started by root it runs as a system user of its own, `sojourn-postgres`,
//! which is made when it is missing.

pub mod packages;
pub mod testing;

mod binaries;
mod chromedriver;
mod error;
mod folder;
mod identity;
mod managers;
mod path;
mod ports;
mod postgres;
mod postgres_wire;
mod process;
mod proxy;
mod rabbitmq;
mod secret;

pub use binaries::{CHROMEDRIVER_VARIABLE, POSTGRESQL_BIN_VARIABLE, RABBITMQ_SERVER_VARIABLE};
pub use chromedriver::ChromeDriver;
pub use error::Error;
pub use folder::Place;
pub use postgres::{Postgres, PostgresOptions};
pub use rabbitmq::{RabbitMq, RabbitMqOptions};
