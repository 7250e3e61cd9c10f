//! The domain's commands, a file each. Each asks the provider outside of any transaction, under the command's id.

mod authorize;
mod capture;
mod void;

use std::sync::Arc;

use crate::provider::PaymentProvider;

/// Carries out the domain's commands.
#[derive(Debug, Clone)]
pub(crate) struct Payments {
    pub(crate) provider: Arc<dyn PaymentProvider>,
}
