//! Rows as they are stored, and as the program knows them. One that cannot be read is named, never guessed and never
//! a panic.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use contract::{Attributes, SagaId, StepName, saga::SagaStatus};
use machine::{RecordError, read_record};
use sqlx::types::Json;
use uuid::Uuid;

use crate::port::{JournalError, Listed, Place, Record, SagaRow, Sleeper, Stored};

/// The columns of `saga`, in the order of its definition.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct SagaColumns {
    id: Uuid,
    name: String,
    version: i64,
    fingerprint: String,
    shard: i32,
    status: String,
    business_key: String,
    owner: Option<String>,
    attributes: Option<Json<BTreeMap<String, String>>>,
    traceparent: Option<String>,
    error: Option<String>,
    paused: bool,
    parent: Option<Uuid>,
    parent_step: Option<String>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    finished_at: Option<DateTime<Utc>>,
}

/// A line of a list.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct ListedColumns {
    #[sqlx(flatten)]
    saga: SagaColumns,
    holds_until: Option<DateTime<Utc>>,
}

/// A saga with its journal folded into arrays: one row a saga, so that a broken record spoils no other saga.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct StoredColumns {
    #[sqlx(flatten)]
    saga: SagaColumns,
    seqs: Option<Vec<i64>>,
    ats: Option<Vec<DateTime<Utc>>>,
    entries: Option<Vec<String>>,
}

/// The columns of `saga_sleep` that are read.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct SleepColumns {
    saga_id: Uuid,
    status: String,
    wake_at: Option<DateTime<Utc>>,
}

impl SleepColumns {
    pub(super) fn into_sleeper(self) -> Result<Sleeper, JournalError> {
        let saga_id = SagaId::from_uuid(self.saga_id);
        let status = status(&self.status).ok_or_else(|| JournalError::BrokenRow {
            table: "saga_sleep",
            column: "status",
            row: saga_id.to_string(),
            detail: format!("`{}` is not a status", self.status),
        })?;
        Ok(Sleeper { saga_id, status, wake_at: self.wake_at })
    }
}

impl ListedColumns {
    /// The row's place in the list, which reads however broken the rest is.
    pub(super) fn place(&self) -> Place {
        let id = SagaId::from_uuid(self.saga.id);
        Place { id, holds_until: self.holds_until, finished_at: self.saga.finished_at }
    }

    pub(super) fn into_listed(self) -> Result<Listed, JournalError> {
        Ok(Listed { row: self.saga.into_row()?, holds_until: self.holds_until })
    }
}

impl SagaColumns {
    pub(super) fn into_row(self) -> Result<SagaRow, JournalError> {
        let id = SagaId::from_uuid(self.id);
        let broken = |column: &'static str, detail: String| JournalError::BrokenRow {
            table: "saga",
            column,
            row: id.to_string(),
            detail,
        };
        Ok(SagaRow {
            id,
            version: u32::try_from(self.version)
                .map_err(|_| broken("version", format!("{} is not a version", self.version)))?,
            shard: u16::try_from(self.shard).map_err(|_| broken("shard", format!("{} is not a shard", self.shard)))?,
            status: status(&self.status)
                .ok_or_else(|| broken("status", format!("`{}` is not a status", self.status)))?,
            name: self.name,
            fingerprint: self.fingerprint,
            business_key: self.business_key,
            owner: self.owner,
            attributes: Attributes::try_from(self.attributes.map(|Json(texts)| texts).unwrap_or_default())
                .map_err(|error| broken("attributes", error.to_string()))?,
            // A text that is none begins no trace, as everywhere.
            traceparent: self.traceparent.and_then(|text| text.parse().ok()),
            error: self.error,
            paused: self.paused,
            parent: self.parent.map(SagaId::from_uuid),
            parent_step: self.parent_step.and_then(|step| StepName::new(&step).ok()),
            created_at: self.created_at,
            updated_at: self.updated_at,
            finished_at: self.finished_at,
        })
    }
}

impl StoredColumns {
    /// The saga, of which the records after that number were read.
    pub(super) fn into_stored(self, after: i64) -> Result<Stored, JournalError> {
        let row = self.saga.into_row()?;
        let (seqs, ats) = (self.seqs.unwrap_or_default(), self.ats.unwrap_or_default());
        let entries = self.entries.unwrap_or_default();
        let after = u64::try_from(after).unwrap_or_default();
        if seqs.is_empty() && after == 0 {
            return Err(broken_record(row.id, 1, "seq", "the saga has no records".to_owned()));
        }
        let mut records = Vec::with_capacity(seqs.len());
        for (((seq, at), entries), expected) in seqs.into_iter().zip(ats).zip(entries).zip(after.saturating_add(1)..) {
            if u64::try_from(seq) != Ok(expected) {
                return Err(broken_record(row.id, expected, "seq", format!("it is missing; {seq} follows")));
            }
            let entries = read_record(&entries).map_err(|error| match error {
                RecordError::NewerReader { needed } => JournalError::NewerReader { saga_id: row.id, needed },
                RecordError::Unreadable(error) => broken_record(row.id, expected, "entries", error.to_string()),
            })?;
            records.push(Record { seq: expected, at, entries });
        }
        Ok(Stored { row, records })
    }
}

/// The attributes of a saga as their column has them; nothing for a saga without any.
pub(super) fn attributes_text(attributes: &Attributes) -> Option<String> {
    (!attributes.is_empty()).then(|| serde_json::to_string(attributes).expect("texts by texts are written as JSON"))
}

/// The status that a column's word means.
fn status(word: &str) -> Option<SagaStatus> {
    SagaStatus::ALL.into_iter().find(|status| status.as_str() == word)
}

fn broken_record(id: SagaId, seq: u64, column: &'static str, detail: String) -> JournalError {
    JournalError::BrokenRow { table: "saga_journal", column, row: format!("{id} seq {seq}"), detail }
}
