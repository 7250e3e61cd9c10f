//! A bulk job as the tables in memory hold it.

use contract::{
    RequestId,
    orchestrator_api::{Job, JobItem},
};

/// A job with its sagas.
#[derive(Debug)]
pub(super) struct KeptJob {
    pub(super) job: Job,
    pub(super) request_id: Option<RequestId>,
    pub(super) canary_passed: bool,
    pub(super) items: Vec<JobItem>,
}
