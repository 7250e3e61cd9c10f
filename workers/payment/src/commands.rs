//! The domain's commands, a file each. Each asks the provider outside of any transaction; the transactions before and after
//! it are for whole sets, and every statement locks its payments in the order of their ids. Both versions of a command
//! have one handler.

mod authorize_payment;
mod calls;
mod capture_payment;
mod complete_authorization;
mod lock_order;
mod refund_payment;
mod versions;
mod void_payment;

use contract::payment::{self as v1, PaymentVoided, v2};
use worker_runtime::Domain;

pub(crate) use self::calls::Payments;
use self::{
    authorize_payment::Authorizations, capture_payment::Capturing, refund_payment::Refunding, void_payment::Undoing,
};

impl Payments {
    /// Gives the domain its commands.
    pub(crate) fn register(self, domain: Domain) -> Domain {
        domain
            .outside_action::<v1::AuthorizePayment>(Authorizations(self.clone()))
            .outside_action::<v2::AuthorizePayment>(Authorizations(self.clone()))
            .outside_action::<v2::CompleteAuthorization>(self.clone())
            .outside_action::<v1::CapturePayment>(Capturing(self.clone()))
            .outside_action::<v2::CapturePayment>(Capturing(self.clone()))
            .outside_action::<v2::RefundPayment>(Refunding(self.clone()))
            .outside_compensation::<v1::VoidPayment>(Undoing(self.clone()), |_| PaymentVoided {})
            .outside_compensation::<v2::VoidPayment>(Undoing(self.clone()), |_| PaymentVoided {})
            .lock_order(self)
    }
}
