//! The payment domain as the `worker` program runs it: its commands, its tables, its provider.

use std::sync::Arc;

use contract::command::Route;
use sqlx::migrate::Migrator;
use worker_runtime::Domain;

use crate::{
    commands::Payments,
    provider::PaymentProvider,
    sandbox_retention::{CHARGES, OPERATIONS},
};

/// The database of this domain.
pub const DATABASE: &str = "sojourn_payment";

/// Makes the domain's tables, and the sandbox provider's.
pub static MIGRATOR: Migrator = sqlx::migrate!("../../migrations/payment");

/// The payment domain on a provider.
#[must_use]
pub fn domain(provider: Arc<dyn PaymentProvider>) -> Domain {
    Payments { provider }.register(Domain::new(Route::Payment, &MIGRATOR)).keep(OPERATIONS).keep(CHARGES)
}
