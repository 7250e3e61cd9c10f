//! The flights domain on a real PostgreSQL. The runtime's barrier is not in here: handlers are called as it calls them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;
mod holds;
mod races;
mod selling;
