//! Following sagas and jobs: this process's watchers, and waiting for a saga to come to rest.

pub(crate) mod job_followers;
pub(crate) mod job_news;
pub(crate) mod rest;
pub(crate) mod watchers;
