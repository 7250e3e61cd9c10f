//! The storage of sagas: an append-only journal, arbitrated by its key, and the indexed columns that operators search.

#![warn(missing_docs)]

pub mod port;

pub mod memory;
pub mod postgres;

mod approvals;
mod audit;
mod dead_letters;
mod error;
mod export_file;
mod figures;
mod filter;
mod job_choice;
mod jobs;
mod membership;
mod pauses;
mod retention;

pub use approvals::{ApprovalAsked, ApprovalFilter, Approvals};
pub use audit::AuditFilter;
pub use figures::{Ended, EndedAsked, Figures, Owners, ShardOwner};
pub use jobs::{JOBS_OPEN_MAX, JobMade, JobResult, JobWork, Jobs, NewJob, Selection};
pub use memory::MemoryJournal;
pub use pauses::{PauseBegun, Pauses};
pub use port::*;
pub use postgres::{OpenJournalError, PgJournal, PgJournalOptions};
pub use retention::{Retention, RetireError};
