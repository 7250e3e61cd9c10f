//! One file a verb (the repairs share one, since they differ in one value only).

pub(crate) mod act;
pub(crate) mod approvals;
pub(crate) mod audit;
pub(crate) mod dead_letters;
pub(crate) mod definitions;
mod device_login;
pub(crate) mod errors;
pub(crate) mod explain;
pub(crate) mod export;
pub(crate) mod jobs;
pub(crate) mod journal;
pub(crate) mod list;
pub(crate) mod login;
pub(crate) mod migrations;
pub(crate) mod password;
pub(crate) mod pauses;
pub(crate) mod people;
pub(crate) mod plan;
pub(crate) mod processes;
pub(crate) mod quarantine;
pub(crate) mod reveal;
pub(crate) mod second_factor;
pub(crate) mod show;
pub(crate) mod signals;
pub(crate) mod throughput;
pub(crate) mod timeline;
pub(crate) mod top;
pub(crate) mod tree;
pub(crate) mod waits;
pub(crate) mod watch;

pub(crate) mod bulk;
