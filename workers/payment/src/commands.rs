//! The domain's commands, a file each. Each asks the provider outside of any transaction; the transactions before and after
//! it are for whole sets, and every statement locks its payments in the order of their ids. Both versions of a command
//! have one handler.

mod authorize_payment;
mod capture_payment;
mod complete_authorization;
mod lock_order;
mod versions;
mod void_payment;

use std::sync::Arc;

use contract::payment::{self as v1, PaymentVoided, v2};
use worker_runtime::{Domain, HandlerError};

use self::{authorize_payment::Authorizations, capture_payment::Capturing, void_payment::Undoing};
use crate::provider::{Answer, Asked, PaymentProvider, Unclear};

/// Carries out the domain's commands.
#[derive(Debug, Clone)]
pub(crate) struct Payments {
    pub(crate) provider: Arc<dyn PaymentProvider>,
}

impl Payments {
    /// Gives the domain its commands.
    pub(crate) fn register(self, domain: Domain) -> Domain {
        domain
            .outside_action::<v1::AuthorizePayment>(Authorizations(self.clone()))
            .outside_action::<v2::AuthorizePayment>(Authorizations(self.clone()))
            .outside_action::<v2::CompleteAuthorization>(self.clone())
            .outside_action::<v1::CapturePayment>(Capturing(self.clone()))
            .outside_action::<v2::CapturePayment>(Capturing(self.clone()))
            .outside_compensation::<v1::VoidPayment>(Undoing(self.clone()), |_| PaymentVoided {})
            .outside_compensation::<v2::VoidPayment>(Undoing(self.clone()), |_| PaymentVoided {})
            .lock_order(self)
    }
}

/// The provider's answer. Where none came it is unclear what was done, and the runtime has it asked again.
fn definite<T>(asked: Asked<T>) -> Result<Answer<T>, HandlerError> {
    asked.map_err(unclear)
}

fn unclear(Unclear(why): Unclear) -> HandlerError {
    HandlerError::unclear(why)
}
