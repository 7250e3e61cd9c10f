//! The domain's commands, a file each. Each asks the provider outside of any transaction, under the command's id; the
//! transactions before and after it are for whole sets, and every statement locks its payments in the order of their ids.

mod authorize_payment;
mod capture_payment;
mod lock_order;
mod void_payment;

use std::sync::Arc;

use contract::payment::{AuthorizePayment, CapturePayment, PaymentVoided, VoidPayment};
use worker_runtime::Domain;

use crate::provider::PaymentProvider;

/// Carries out the domain's commands.
#[derive(Debug, Clone)]
pub(crate) struct Payments {
    pub(crate) provider: Arc<dyn PaymentProvider>,
}

impl Payments {
    /// Gives the domain its commands.
    pub(crate) fn register(self, domain: Domain) -> Domain {
        domain
            .outside_action::<AuthorizePayment>(self.clone())
            .outside_action::<CapturePayment>(self.clone())
            .outside_compensation::<VoidPayment>(self.clone(), |_| PaymentVoided {})
            .lock_order(self)
    }
}
