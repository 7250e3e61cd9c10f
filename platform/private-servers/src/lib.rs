//! Private PostgreSQL and RabbitMQ servers, started as child processes of whoever needs them.
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
//! PostgreSQL refuses to run as root. Started by root it runs as the user `postgres`, or `nobody`
//! where there is no such user.

pub mod packages;
pub mod testing;

mod binaries;
mod error;
mod folder;
mod identity;
mod ports;
mod postgres;
mod postgres_wire;
mod process;
mod rabbitmq;

pub use binaries::{POSTGRESQL_BIN_VARIABLE, RABBITMQ_SERVER_VARIABLE};
pub use error::Error;
pub use folder::Place;
pub use postgres::{Postgres, PostgresOptions};
pub use rabbitmq::{RabbitMq, RabbitMqOptions};
