//! The domain as the `worker` program runs it.

use std::sync::Arc;

use contract::{
    command::Route,
    payment::{AuthorizePayment, CapturePayment, PaymentVoided, VoidPayment},
};
use kit::{clock::Clock, postgres::OpenError};
use sqlx::{migrate::Migrator, postgres::PgPoolOptions};
use worker_runtime::Domain;

use crate::provider::{PaymentProvider, SandboxProvider};

/// The database of this domain.
pub const DATABASE: &str = "sojourn_payment";

/// Makes the domain's tables, and the sandbox provider's.
pub static MIGRATOR: Migrator = sqlx::migrate!("../../migrations/payment");

/// Connections of the sandbox provider: it answers as many calls at once as the runtime makes.
const SANDBOX_CONNECTIONS_MAX: u32 = 8;

/// Carries out the domain's commands.
#[derive(Debug, Clone)]
pub(crate) struct Payments {
    pub(crate) provider: Arc<dyn PaymentProvider>,
}

/// The payment domain on a provider.
#[must_use]
pub fn domain(provider: Arc<dyn PaymentProvider>) -> Domain {
    let payments = Payments { provider };
    Domain::new(Route::Payment, &MIGRATOR)
        .outside_action::<AuthorizePayment>(payments.clone())
        .outside_action::<CapturePayment>(payments.clone())
        .outside_compensation::<VoidPayment>(payments, |_| PaymentVoided {})
}

/// The sandbox provider, with its state beside the domain's database on the same server. It connects when it is first
/// asked.
///
/// # Errors
/// When `database_url` is no PostgreSQL address.
pub fn sandbox(database_url: &str, clock: Arc<dyn Clock>) -> Result<Arc<dyn PaymentProvider>, OpenError> {
    let options = kit::postgres::options(database_url, DATABASE)?;
    let pool = PgPoolOptions::new().max_connections(SANDBOX_CONNECTIONS_MAX).connect_lazy_with(options);
    Ok(Arc::new(SandboxProvider::new(pool, clock)))
}
