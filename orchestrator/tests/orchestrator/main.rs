//! The orchestrator from outside: over HTTP and the broker, on the journal in memory and on PostgreSQL.

mod client;
mod flaky;
mod rig;
mod trip;
mod worker;

mod flow;
mod http;
mod messages;
mod operators;
mod outages;
mod streams;
mod takeover;
