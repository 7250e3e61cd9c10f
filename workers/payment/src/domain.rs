//! The payment domain as the `worker` program runs it: its commands, its tables, its reads, its provider.

use std::sync::Arc;

use contract::command::Route;
use worker_runtime::Domain;

use crate::{
    commands::Payments,
    database::MIGRATOR,
    provider::PaymentProvider,
    reads,
    sandbox::{CHARGES, Sandbox, TRIES},
};

/// The provider of an installation.
#[derive(Debug, Clone)]
pub enum Provider {
    /// The sandbox, whose page and webhooks run here too.
    Sandbox(Sandbox),
    /// A provider that lives elsewhere.
    Other(Arc<dyn PaymentProvider>),
}

/// The payment domain on a provider.
#[must_use]
pub fn domain(provider: Provider) -> Domain {
    let domain = |provider| Payments { provider }.register(Domain::new(Route::Payment, &MIGRATOR));
    match provider {
        Provider::Other(provider) => domain(provider).http(|resources| reads::router(resources.pool.clone())),
        Provider::Sandbox(sandbox) => {
            let page = sandbox.page();
            domain(Arc::new(sandbox.provider.clone()))
                .http(|resources| reads::router(resources.pool.clone()).merge(page))
                .background(move |resources| sandbox.deliver_webhooks(resources.token))
                .keep(TRIES)
                .keep(CHARGES)
        }
    }
}
