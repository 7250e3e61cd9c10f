//! The two versions of the commands as one: the first names an order, the second a payment.

use contract::{
    Money, SagaId,
    command::Command,
    payment::{
        self as v1, PaymentAuthorized, PaymentCaptured, PaymentToken,
        v2::{self, PaymentAuthorization},
    },
};
use uuid::Uuid;

use crate::{
    authorizations::NewPayment,
    payments::By,
    provider::{Action, Authorized},
};

/// A command about a payment that was begun.
pub(crate) trait NamesPayment: Command {
    const BY: By;

    /// The payment's id or its order's.
    fn named(&self) -> Uuid;
}

/// A version of the command that captures.
pub(crate) trait Captures: NamesPayment<Reply = PaymentCaptured> {
    fn amount(&self) -> Money;

    /// Whether what is left stays reserved.
    fn keeps_rest(&self) -> bool;
}

/// A version of the command that authorizes.
pub(crate) trait Authorizes: Command {
    /// Whether its saga can wait for an act of the client.
    const WAITS: bool;

    /// The payment that it begins.
    fn begins(&self, saga_id: SagaId) -> NewPayment;

    fn token(&self) -> &PaymentToken;

    /// The reply when the money is reserved.
    fn authorized(payment: &NewPayment, authorized: &Authorized) -> Self::Reply;

    /// The reply when the client has to act; none of a version that cannot wait.
    fn requires_action(action: &Action) -> Option<Self::Reply>;
}

impl Authorizes for v1::AuthorizePayment {
    const WAITS: bool = false;

    fn begins(&self, saga_id: SagaId) -> NewPayment {
        let payment_id = kit::ids::payment_id();
        NewPayment { payment_id, order_id: self.order_id, user_id: None, saga_id, amount: self.amount }
    }

    fn token(&self) -> &PaymentToken {
        &self.token
    }

    fn authorized(payment: &NewPayment, authorized: &Authorized) -> PaymentAuthorized {
        PaymentAuthorized {
            payment_id: payment.payment_id,
            provider_reference: authorized.provider_reference.0.clone(),
            capture_before: authorized.capture_before,
        }
    }

    fn requires_action(_: &Action) -> Option<PaymentAuthorized> {
        None
    }
}

impl Authorizes for v2::AuthorizePayment {
    const WAITS: bool = true;

    fn begins(&self, saga_id: SagaId) -> NewPayment {
        let Self { payment_id, order_id, user_id, amount, .. } = *self;
        NewPayment { payment_id, order_id, user_id: Some(user_id), saga_id, amount }
    }

    fn token(&self) -> &PaymentToken {
        &self.token
    }

    fn authorized(_: &NewPayment, authorized: &Authorized) -> PaymentAuthorization {
        PaymentAuthorization::Authorized { capture_before: authorized.capture_before }
    }

    fn requires_action(action: &Action) -> Option<PaymentAuthorization> {
        let (redirect_url, expires_at) = (action.url.clone(), action.expires_at);
        Some(PaymentAuthorization::RequiresAction { redirect_url, expires_at })
    }
}

macro_rules! names {
    ($command:ty, $by:expr, $field:ident) => {
        impl NamesPayment for $command {
            const BY: By = $by;

            fn named(&self) -> Uuid {
                self.$field.uuid()
            }
        }
    };
}
names!(v1::CapturePayment, By::Order, order_id);
names!(v1::VoidPayment, By::Order, order_id);
names!(v2::CapturePayment, By::Payment, payment_id);
names!(v2::RefundPayment, By::Payment, payment_id);
names!(v2::VoidPayment, By::Payment, payment_id);
names!(v2::CompleteAuthorization, By::Payment, payment_id);

impl Captures for v1::CapturePayment {
    fn amount(&self) -> Money {
        self.amount
    }

    fn keeps_rest(&self) -> bool {
        false
    }
}

impl Captures for v2::CapturePayment {
    fn amount(&self) -> Money {
        self.amount
    }

    fn keeps_rest(&self) -> bool {
        self.keep_rest
    }
}
