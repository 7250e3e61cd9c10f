//! The background work: holds that were never confirmed are given back.

mod expire_holds;

pub use expire_holds::{expire_due, next_expiry, run_sweeper};
