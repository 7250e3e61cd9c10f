//! The flights domain on a real PostgreSQL. Most tests call the handlers as the runtime would; `barrier` has
//! the runtime's own conformance kit do it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod barrier;
mod common;
mod extends;
mod holds;
mod races;
mod selling;
