//! The program as its users run it: the real binary against a small HTTP server that answers with the contract's
//! types, looking at what it sends, what it prints where, and how it exits.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::result_large_err, reason = "the small door's handlers answer errors as whole responses")]

mod door;
mod run;

mod acting;
mod auditing;
mod exporting;
mod figures;
mod help;
mod jobs;
mod login;
mod newer;
mod passwords;
mod people;
mod planning;
mod quarantine;
mod reading;
mod second_factor;
mod watching;
