//! A domain's ways to its database, apart from each other so that none can starve another: the consumers have a
//! connection each, reads a pool, and jobs (relay, sweeper, pruner, the watch over the server) another.

use chrono::{DateTime, Utc};
use kit::postgres;
use sqlx::{
    PgPool,
    migrate::Migrator,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use crate::{
    domain::Domain,
    inbox_partitions, limits,
    own_connection::{OwnConnection, limited, planned_once},
    start_error::StartError,
};

/// Where the runtime notes its own migrations, beside those of the domain.
const MIGRATIONS_TABLE: &str = "_runtime_migrations";

/// The ways to one domain's database.
#[derive(Debug, Clone)]
pub(crate) struct Bulkheads {
    /// For reads, and what else comes over the internal HTTP.
    pub(crate) reads: PgPool,
    /// For work that no caller waits for.
    pub(crate) jobs: PgPool,
    /// For the consumers, a connection each.
    pub(crate) consumers: PgConnectOptions,
}

impl Bulkheads {
    /// Opens a domain's database with the domain's own tables and the runtime's.
    pub(crate) async fn open(
        url: &str,
        database: &str,
        read_connections_max: u32,
        domain: &Domain,
        now: DateTime<Utc>,
    ) -> Result<Self, StartError> {
        let name = domain.route.as_str();
        let failed = |source| StartError::Database { domain: name, source };
        let jobs = postgres::open(url, database, limits::JOB_CONNECTIONS_MAX, domain.migrator).await.map_err(failed)?;
        migrate(&jobs).await.map_err(|source| StartError::Migrate { domain: name, source })?;
        // Before the month's first command. A worker without them works: there is a partition for the rest.
        if let Err(error) = inbox_partitions::make(&jobs, now).await {
            tracing::warn!(domain = name, %error, "the inbox's partitions could not be made; it is tried again");
        }
        let limited = limited(postgres::options(url, database).map_err(failed)?);
        let reads = PgPoolOptions::new()
            .max_connections(read_connections_max.max(1))
            .acquire_timeout(limits::READ_WAIT_MAX)
            .connect_lazy_with(limited.clone());
        Ok(Self { reads, jobs, consumers: planned_once(limited) })
    }

    /// A connection for one consumer.
    pub(crate) fn consumer(&self) -> OwnConnection {
        OwnConnection::new(self.consumers.clone())
    }

    /// Ends the pools, so that a database that is stopped next finds no connection in use.
    pub(crate) async fn close(&self) {
        self.reads.close().await;
        self.jobs.close().await;
    }
}

/// Makes the runtime's tables.
async fn migrate(pool: &PgPool) -> Result<(), sqlx::migrate::MigrateError> {
    let mut migrator: Migrator = sqlx::migrate!("../../migrations/runtime");
    migrator.dangerous_set_table_name(MIGRATIONS_TABLE);
    migrator.run(pool).await
}
