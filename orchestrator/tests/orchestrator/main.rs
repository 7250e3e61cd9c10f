//! The orchestrator from outside: over HTTP and the broker, on the journal in memory and on PostgreSQL.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, and says where")]

mod client;
mod families;
mod flaky;
mod rig;
mod trip;
mod worker;

mod approving;
mod auditing;
mod errors;
mod explain;
mod flow;
mod holds;
mod http;
mod jobs;
mod messages;
mod migrating;
mod operators;
mod orphans;
mod outages;
mod pausing;
mod planning;
mod retiring;
mod roll_call;
mod snapshots;
mod streams;
mod takeover;
mod waits;
