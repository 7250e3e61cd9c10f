//! Opening a program's own database: made when it is missing, migrated, and named clearly when its server is not there.

use std::{str::FromStr, time::Duration};

use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, Executor, PgConnection, PgPool,
    migrate::Migrator,
    postgres::{PgConnectOptions, PgPoolOptions},
};

/// How long a query waits for a free connection before it fails: longer means that the pool is far too small or the
/// server gone, and the caller has a retry of its own.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);

/// How an address begins. sqlx itself reads any scheme as PostgreSQL's.
const SCHEMES: [&str; 2] = ["postgres://", "postgresql://"];

/// PostgreSQL's code for a database that does not exist.
const INVALID_CATALOG_NAME: &str = "3D000";
/// PostgreSQL's codes for a database that somebody else makes at the same moment.
const DUPLICATE_DATABASE: &str = "42P04";
/// See [`DUPLICATE_DATABASE`]: the same race, seen by the catalogue's index.
const UNIQUE_VIOLATION: &str = "23505";

/// Why a database could not be opened. Addresses are shown without user and password.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Not a PostgreSQL URL.
    #[error("the database address is not a postgres:// URL: {0}")]
    BadUrl(String),
    /// No server answers at that address, or one that is no PostgreSQL.
    #[error(
        "cannot connect to PostgreSQL at {address} (database {database}): start everything with `cargo xtask run`, or \
         start a PostgreSQL and set DATABASE_URL to its address"
    )]
    Connect {
        address: String,
        database: String,
        #[source]
        source: sqlx::Error,
    },
    /// The database is missing and cannot be made.
    #[error("the database {database} is missing at {address} and could not be made")]
    Create {
        address: String,
        database: String,
        #[source]
        source: sqlx::Error,
    },
    /// A migration failed, or the database is newer than the program.
    #[error("migrating the database {database} at {address} failed")]
    Migrate {
        address: String,
        database: String,
        #[source]
        source: sqlx::migrate::MigrateError,
    },
}

/// The options for one database of the server at `url`, whose own path is ignored.
///
/// # Errors
/// [`OpenError::BadUrl`].
pub fn options(url: &str, database: &str) -> Result<PgConnectOptions, OpenError> {
    if !SCHEMES.iter().any(|scheme| url.starts_with(scheme)) {
        return Err(OpenError::BadUrl(format!("it begins with neither {}", SCHEMES.join(" nor "))));
    }
    let options = PgConnectOptions::from_str(url).map_err(|error| OpenError::BadUrl(error.to_string()))?;
    // Statements of a second and more are worth a line; all others would drown the log.
    Ok(options
        .database(database)
        .application_name("sojourn")
        .log_statements(log::LevelFilter::Off)
        .log_slow_statements(log::LevelFilter::Warn, Duration::from_secs(1)))
}

/// Opens `database` on the server at `url`: makes it when it is missing, and runs the migrations of each migrator.
///
/// # Errors
/// [`OpenError`] says what to do.
pub async fn open(url: &str, database: &str, connections_max: u32, migrator: &Migrator) -> Result<PgPool, OpenError> {
    let options = options(url, database)?;
    let address = address(&options);
    ensure_database(&options, &address, database).await?;
    let connect = |source| OpenError::Connect { address: address.clone(), database: database.to_owned(), source };
    let pool = PgPoolOptions::new()
        .max_connections(connections_max)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .connect_with(options)
        .await
        .map_err(connect)?;
    migrator.run(&pool).await.map_err(|source| OpenError::Migrate {
        address: address.clone(),
        database: database.to_owned(),
        source,
    })?;
    Ok(pool)
}

/// Host and port, for error texts.
#[must_use]
pub fn address(options: &PgConnectOptions) -> String {
    match options.get_socket() {
        Some(socket) => socket.display().to_string(),
        None => format!("{}:{}", options.get_host(), options.get_port()),
    }
}

async fn ensure_database(options: &PgConnectOptions, address: &str, database: &str) -> Result<(), OpenError> {
    let missing = match PgConnection::connect_with(options).await {
        Ok(connection) => {
            connection.close().await.ok();
            return Ok(());
        }
        Err(error) => error,
    };
    if code(&missing).as_deref() != Some(INVALID_CATALOG_NAME) {
        return Err(OpenError::Connect { address: address.to_owned(), database: database.to_owned(), source: missing });
    }
    let fail = |source| OpenError::Create { address: address.to_owned(), database: database.to_owned(), source };
    let mut server = PgConnection::connect_with(&options.clone().database("postgres")).await.map_err(fail)?;
    // The name comes from our own constants and the operator's settings; it is quoted all the same.
    let create = format!("CREATE DATABASE \"{}\"", database.replace('"', "\"\""));
    let created = server.execute(AssertSqlSafe(create)).await;
    server.close().await.ok();
    match created {
        Ok(_) => Ok(()),
        Err(error) if matches!(code(&error).as_deref(), Some(DUPLICATE_DATABASE | UNIQUE_VIOLATION)) => Ok(()),
        Err(error) => Err(fail(error)),
    }
}

fn code(error: &sqlx::Error) -> Option<String> {
    Some(error.as_database_error()?.code()?.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_address_of_a_postgresql_is_taken() {
        assert!(options("postgres://me@127.0.0.1:5432", "x").is_ok());
        let wrong = options("mysql://me:secret@127.0.0.1", "x").unwrap_err().to_string();
        assert!(wrong.contains("begins with neither postgres:// nor postgresql://"), "{wrong}");
        assert!(!wrong.contains("secret"), "{wrong}");
    }
}
