//! Connections for one kind of caller. Its places are counted here and not by the driver, which tells a full pool and a
//! server that is gone by the same error.

use std::{
    ops::{Deref, DerefMut},
    sync::Arc,
    time::Duration,
};

use sqlx::{
    PgConnection, PgPool, Postgres,
    pool::PoolConnection,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::session::unavailable;
use crate::port::JournalError;

/// How long a caller waits for a place: those before it take milliseconds, or it is better told to come again.
const PLACE_WAIT: Duration = Duration::from_secs(2);

/// How long a connection may take: longer means that the database is away, and the caller can ask again.
const CONNECT_WAIT: Duration = Duration::from_secs(5);

/// The connections, made when they are needed.
pub(super) struct Pool {
    connections: PgPool,
    places: Arc<Semaphore>,
}

/// One of them, given back when it is dropped.
pub(super) struct Held {
    connection: PoolConnection<Postgres>,
    _place: OwnedSemaphorePermit,
}

impl Pool {
    pub(super) fn new(options: PgConnectOptions, connections_max: u32) -> Self {
        let connections_max = connections_max.max(1);
        let connections = PgPoolOptions::new()
            .max_connections(connections_max)
            .acquire_timeout(CONNECT_WAIT)
            .connect_lazy_with(options);
        // Lossless wherever an address has 32 bits.
        let places = usize::try_from(connections_max).unwrap_or(usize::MAX);
        Self { connections, places: Arc::new(Semaphore::new(places)) }
    }

    /// The connections themselves, for rare work that takes one by itself.
    pub(super) const fn connections(&self) -> &PgPool {
        &self.connections
    }

    /// A connection for what is being done; [`JournalError::Busy`] when none becomes free.
    pub(super) async fn acquire(&self, doing: &'static str) -> Result<Held, JournalError> {
        let place = tokio::time::timeout(PLACE_WAIT, Arc::clone(&self.places).acquire_owned()).await;
        let Ok(Ok(place)) = place else { return Err(JournalError::Busy { doing }) };
        let connection = self.connections.acquire().await.map_err(unavailable(doing))?;
        Ok(Held { connection, _place: place })
    }
}

impl Deref for Held {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.connection
    }
}

impl DerefMut for Held {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.connection
    }
}
