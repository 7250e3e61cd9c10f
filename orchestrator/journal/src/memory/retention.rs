//! Retention in memory: nothing survives the last process, so nothing is retired.

use std::path::Path;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use contract::{SagaId, orchestrator_api::RetiredWeek};
use serde_json::{Value, json};

use super::MemoryJournal;
use crate::{
    port::{JournalError, Record, SagaRow, Stored},
    retention::{Retention, RetireError},
};

#[async_trait]
impl Retention for MemoryJournal {
    async fn retire(&self, _before: DateTime<Utc>, _folder: &Path) -> Result<u32, RetireError> {
        Ok(0)
    }

    async fn retired(&self, _limit: u32) -> Result<Vec<RetiredWeek>, JournalError> {
        Ok(Vec::new())
    }

    async fn export(&self, id: SagaId) -> Result<Option<String>, JournalError> {
        Ok(self.storage.tables().sagas.get(&id).map(|stored| line(stored).to_string()))
    }
}

/// A saga as a line of an export.
fn line(Stored { row, records }: &Stored) -> Value {
    let records = records.iter().map(|Record { seq, at, entries }| json!({ "seq": seq, "at": at, "entries": entries }));
    let SagaRow { id, name, version, fingerprint, shard, status, business_key, owner, traceparent, error, .. } = row;
    json!({
        "id": id, "name": name, "version": version, "fingerprint": fingerprint, "shard": shard, "status": status,
        "business_key": business_key, "owner": owner, "traceparent": traceparent.map(|trace| trace.to_string()),
        "error": error, "attributes": row.attributes, "created_at": row.created_at, "updated_at": row.updated_at, "finished_at": row.finished_at,
        "records": records.collect::<Vec<_>>(),
    })
}
