//! The gateway's real router and server, over real connections, with real keys. Behind it stand small servers that
//! keep the contract, or break it on purpose; the whole with the real parts is tested end to end elsewhere.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod house;
mod keys;
mod parts;

mod asking;
mod credentials;
mod crowds;
mod failing;
mod hardening;
mod holding;
mod logins;
mod operating;
mod ordering;
mod paying;
mod people;
mod program;
mod reading;
mod readme;
mod webhooks;
