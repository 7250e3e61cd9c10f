//! The end of old history: part of the port. A week whose time is over is taken out of the tables, exported to a file that
//! reads without this program, and dropped.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use contract::{SagaId, orchestrator_api::RetiredWeek};

use crate::error::JournalError;

/// The reason why no week, or not every week, was retired. What was not finished is gone on with the next time.
#[derive(Debug, thiserror::Error)]
pub enum RetireError {
    /// The journal failed.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A file could not be written. Nothing of its week is dropped.
    #[error("the export {} cannot be written", path.display())]
    File {
        /// The path of the file.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: std::io::Error,
    },
}

/// The history as one process sees it.
#[async_trait]
pub trait Retention: Send + Sync {
    /// Retires the weeks that ended before that time, one after the other, with their exports in `folder`. Does nothing
    /// while another process does it. The answer is the number of the weeks.
    async fn retire(&self, before: DateTime<Utc>, folder: &Path) -> Result<u32, RetireError>;

    /// The weeks that are retired, or are being retired, newest first, at most `limit`.
    async fn retired(&self, limit: u32) -> Result<Vec<RetiredWeek>, JournalError>;

    /// One saga as a line of an export, if it is in the tables.
    async fn export(&self, id: SagaId) -> Result<Option<String>, JournalError>;
}
