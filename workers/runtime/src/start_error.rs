//! The reasons for which a worker does not start.

use std::net::SocketAddr;

use kit::postgres;
use messaging::BrokerError;

/// Why a worker did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A domain's database cannot be opened.
    #[error("the database of `{domain}` cannot be opened")]
    Database {
        /// The domain that it is of.
        domain: &'static str,
        /// The error that was met, and the way out.
        #[source]
        source: postgres::OpenError,
    },
    /// The runtime's own tables cannot be made.
    #[error("the runtime's tables in the database of `{domain}` cannot be made")]
    Migrate {
        /// The domain that it is of.
        domain: &'static str,
        /// The error that was met.
        #[source]
        source: sqlx::migrate::MigrateError,
    },
    /// The domain's data is not fit to start with.
    #[error("the data of `{domain}` is not fit to start with")]
    Check {
        /// The domain that it is of.
        domain: &'static str,
        /// The reason, and the way out.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The queues cannot be declared.
    #[error("the queue of `{domain}` cannot be declared")]
    Declare {
        /// The domain that it is of.
        domain: &'static str,
        /// The error that was met.
        #[source]
        source: BrokerError,
    },
    /// The process's own queue cannot be declared.
    #[error("the queue of this process cannot be declared")]
    DeclareOwn(#[source] BrokerError),
    /// The address cannot be listened at.
    #[error("cannot listen at {address}")]
    Listen {
        /// The address that was asked for.
        address: SocketAddr,
        /// The error that was met.
        #[source]
        source: std::io::Error,
    },
}
