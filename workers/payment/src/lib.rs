//! The payment domain: money is authorized, captured, voided or refunded at a provider, and every movement is kept in a
//! double-entry ledger.
//!
//! ```text
//!  payment.authorize               prepare (pending) --> provider.authorize --> record (authorized, or an act is required)
//!  payment.complete_authorization  prepare --> provider.find --> record
//!  payment.capture                 prepare (intent) --> provider.capture, when lapsed .authorize_again --> record
//!  payment.refund                  prepare (intent) --> provider.refund --> record
//!  payment.void                    prepare (intent) --> provider.void, .refund or .abandon --> record
//! ```
//!
//! The provider is asked outside of any transaction. A payment's row is written before that, so that whatever becomes of an
//! authorization is found at the provider by our own name of it.

mod settings;

mod domain;

mod commands;
mod reads;

mod authorizations;
mod ledger;
mod payments;

mod sandbox;
mod stripe;

mod database;
pub mod provider;

pub use database::{DATABASE, MIGRATOR};
pub use domain::{Provider, domain};
pub use sandbox::{Sandbox, SandboxProvider};
pub use settings::{ProviderName, SANDBOX_DOOR_URL_DEFAULT, Settings, SetupError};
pub use stripe::StripeProvider;
