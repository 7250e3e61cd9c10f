//! The storages under test. A process is one orchestrator's view of a storage.

use std::sync::Arc;

use async_trait::async_trait;
use journal::{Journal, MemoryJournal, PgJournal, PgJournalOptions};
use sqlx::{Connection, PgConnection};

/// As many as two processes can fight for.
pub(crate) const SHARDS: u16 = 4;

/// One storage that several processes can open.
#[async_trait]
pub(crate) trait Storage: Send + Sync {
    /// The journal as another process sees it.
    async fn process(&self) -> Arc<dyn Journal>;

    /// Ends the session that owns the shard, without telling it.
    async fn lose_lane(&self, shard: u16);
}

/// The adapter in memory.
pub(crate) struct Memory {
    first: MemoryJournal,
}

impl Memory {
    pub(crate) fn new() -> Self {
        Self { first: MemoryJournal::new(SHARDS) }
    }
}

#[async_trait]
impl Storage for Memory {
    async fn process(&self) -> Arc<dyn Journal> {
        Arc::new(self.first.clone())
    }

    async fn lose_lane(&self, shard: u16) {
        self.first.revoke(shard);
    }
}

/// A fresh database.
pub(crate) struct Postgres {
    pub(crate) url: String,
}

impl Postgres {
    pub(crate) async fn new() -> Self {
        Self { url: private_servers::testing::database("journal").await }
    }

    pub(crate) fn options(&self) -> PgJournalOptions {
        PgJournalOptions::new(&self.url, SHARDS, kit::ids::instance_id(), kit::clock::system().now())
    }

    pub(crate) async fn connect(&self) -> Arc<PgJournal> {
        PgJournal::connect(self.options()).await.expect("the journal opens")
    }

    /// A connection beside the journal's own.
    pub(crate) async fn admin(&self) -> PgConnection {
        PgConnection::connect(&self.url).await.expect("the database is there")
    }
}

#[async_trait]
impl Storage for Postgres {
    async fn process(&self) -> Arc<dyn Journal> {
        self.connect().await
    }

    async fn lose_lane(&self, shard: u16) {
        let ended: Vec<bool> = sqlx::query_scalar(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_locks \
             WHERE locktype = 'advisory' AND classid::int = 1 AND objid::int = $1 AND granted \
               AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
        )
        .bind(i32::from(shard))
        .fetch_all(&mut self.admin().await)
        .await
        .expect("sessions can be ended");
        assert_eq!(ended, [true], "one session owns the shard");
    }
}
