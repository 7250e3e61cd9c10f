//! The connection that one consumer has for itself. A pool would ask the server before and after each use whether it is
//! still there; a consumer sees that by its next BEGIN. The limits are set once, when the connection is made, and every
//! statement is prepared once.

use std::{future::Future, time::Duration};

use sqlx::{Connection, PgConnection, Postgres, Transaction, postgres::PgConnectOptions};

/// No lock and no statement may hold up the queue behind it for longer than a reply is waited for, and a worker that is
/// frozen in a transaction loses it.
const LIMITS: [(&str, &str); 3] =
    [("lock_timeout", "5s"), ("statement_timeout", "15s"), ("idle_in_transaction_session_timeout", "60s")];

/// A consumer's statements find rows by their keys, so the plan that is right at any size of tables is made once. A planner
/// left to itself plans them anew for each set of parameters, at a quarter of what an order costs the database.
const PLANNING: [(&str, &str); 3] =
    [("plan_cache_mode", "force_generic_plan"), ("enable_seqscan", "off"), ("enable_mergejoin", "off")];

/// After so long without a connection, or without an answer to a BEGIN, which waits for no lock, the database counts as
/// gone.
const BEGIN_MAX: Duration = Duration::from_secs(10);

/// The same address, for connections whose locks and statements have limits.
pub(crate) fn limited(options: PgConnectOptions) -> PgConnectOptions {
    options.options(LIMITS)
}

/// The same address, for connections whose statements are planned once, for rows that are found by their keys.
pub(crate) fn planned_once(options: PgConnectOptions) -> PgConnectOptions {
    options.options(PLANNING)
}

/// A connection of one user, made when it is needed.
pub(crate) struct OwnConnection {
    options: PgConnectOptions,
    open: Option<PgConnection>,
}

impl OwnConnection {
    /// Not yet connected.
    pub(crate) const fn new(options: PgConnectOptions) -> Self {
        Self { options, open: None }
    }

    /// Begins a transaction.
    pub(crate) async fn begin(&mut self) -> Result<Transaction<'_, Postgres>, sqlx::Error> {
        let Self { options, open } = self;
        soon(async {
            let connection = match open {
                Some(connection) => connection,
                None => open.insert(PgConnection::connect_with(options).await?),
            };
            connection.begin().await
        })
        .await
    }

    /// Connects anew; an answer means that the database is there.
    pub(crate) async fn connect(&mut self) -> Result<(), sqlx::Error> {
        self.open = None;
        self.open = Some(soon(PgConnection::connect_with(&self.options)).await?);
        Ok(())
    }

    /// Lets a connection go whose state is in doubt.
    pub(crate) fn forget(&mut self) {
        self.open = None;
    }

    /// Ends the connection, so that a database that is stopped next finds it not in use.
    pub(crate) async fn close(mut self) {
        if let Some(connection) = self.open.take()
            && let Err(error) = soon(connection.close()).await
        {
            tracing::debug!(%error, "a connection did not end in order");
        }
    }
}

async fn soon<T>(answer: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    tokio::time::timeout(BEGIN_MAX, answer).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
}
