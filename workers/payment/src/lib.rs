//! The payment domain: money is authorized, captured, voided or refunded at a provider, and every movement is kept in a
//! double-entry ledger.
//!
//! ```text
//!  payment.authorize   prepare (intent) --> provider.authorize --> record (payment, ledger)
//!  payment.capture     prepare (intent) --> provider.capture, when lapsed .authorize_again and .capture --> record
//!  payment.void        prepare (intent) --> provider.void, .refund or .abandon --> record
//! ```
//!
//! The provider is asked outside of any transaction, under the command's id as its idempotency key; an answer that
//! never came is looked up by that key, never guessed.

mod domain;

mod commands;

mod authorizations;
mod ledger;
mod lookup;
mod payments;

pub mod provider;
mod sandbox;
mod sandbox_retention;

pub use domain::{DATABASE, MIGRATOR, domain};
pub use sandbox::SandboxProvider;
