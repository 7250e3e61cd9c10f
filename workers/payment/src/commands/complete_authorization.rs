//! `payment.complete_authorization`: asks the provider how authorizations stand that required an act of the client. Nobody
//! else is believed: neither the client who comes back, nor a webhook.

use contract::{
    command::Outcome,
    payment::{
        PaymentStatus, REFUSED_AUTHENTICATION, REFUSED_NOT_AUTHORIZED,
        v2::{AuthorizationCompleted, CompleteAuthorization},
    },
};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use worker_runtime::{Decided, HandlerError, Member, OutsideHandler, Prepare, Recording, SetHandled};

use super::{
    calls::{Payments, definite, unclear},
    versions::NamesPayment,
};
use crate::{
    authorizations::{Answered, Given, refuse, store},
    payments::{Payment, find},
    provider::{Answer, Authorized, Charge, Found, ProviderReference, Refused, Standing},
};

/// The arguments of the call, stored until its record.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Prepared {
    charge: Charge,
    provider_reference: Option<ProviderReference>,
    number: i16,
}

impl OutsideHandler<CompleteAuthorization> for Payments {
    type Prepared = Prepared;
    type Answer = Result<Authorized, Refused>;

    async fn prepare_many(
        &self,
        tx: &mut PgConnection,
        set: &mut [Member<CompleteAuthorization>],
    ) -> Decided<Self, CompleteAuthorization> {
        let ids: Vec<_> = set.iter().map(|member| member.command.named()).collect();
        let payments = find(tx, CompleteAuthorization::BY, &ids).await?;
        ids.iter().map(|id| prepared(payments.get(id))).collect()
    }

    async fn call(&self, prepared: &Prepared, _resumed: bool) -> Result<Self::Answer, HandlerError> {
        let Prepared { charge, provider_reference, .. } = prepared;
        let found = self.provider.find(&charge.reference, provider_reference.as_ref()).await.map_err(unclear)?;
        let Some(Found { provider_reference, standing }) = found else {
            return Err(HandlerError::fault("the provider does not know the authorization (yet)"));
        };
        match standing {
            Standing::Authorized(capture_before) => Ok(Ok(Authorized { provider_reference, capture_before })),
            Standing::Refused(no) => Ok(Err(no)),
            // From here on the client cannot act any more, also at a provider that would let him.
            Standing::Ended => match definite(self.provider.abandon(charge).await)? {
                Answer::Done(()) | Answer::Lapsed => Ok(Err(too_late())),
                Answer::Accepted | Answer::RequiresAction(_) | Answer::Refused(_) => {
                    Err(HandlerError::fault("the provider does not end the authorization"))
                }
            },
            Standing::RequiresAction => Err(HandlerError::fault("the client has not acted at the provider yet")),
            Standing::Accepted => Err(HandlerError::fault("the provider has not decided yet")),
            Standing::Captured(_) => Err(HandlerError::fault("the money was taken already, by somebody else")),
        }
    }

    async fn record_many(
        &self,
        tx: &mut PgConnection,
        set: &mut [Recording<CompleteAuthorization, Prepared, Self::Answer>],
    ) -> SetHandled<AuthorizationCompleted> {
        let Some(now) = set.first().map(|recording| recording.context.now) else { return Ok(Vec::new()) };
        let (mut given, mut refused, mut outcomes) = (Vec::new(), Vec::new(), Vec::new());
        for Recording { command, prepared: Prepared { charge, number, .. }, answer, .. } in &*set {
            let payment_id = command.payment_id;
            outcomes.push(match answer {
                Ok(authorized) => {
                    let answer = Given { amount: charge.amount, number: *number, authorized: authorized.clone() };
                    given.push(Answered { payment_id, answer });
                    Outcome::done(AuthorizationCompleted { capture_before: authorized.capture_before })
                }
                Err(no) => {
                    refused.push(Answered { payment_id, answer: no.clone() });
                    Outcome::refused(no.code, no.message.clone())
                }
            });
        }
        store(tx, PaymentStatus::RequiresAction, &given, now).await?;
        refuse(tx, &refused, now).await?;
        Ok(outcomes)
    }
}

fn too_late() -> Refused {
    Refused::new(
        REFUSED_AUTHENTICATION,
        "The payment was not confirmed with the bank in time. Nothing is booked or charged.",
    )
}

/// The question for the provider, or the answer that the payment's own row gives.
fn prepared(payment: Option<&Payment>) -> Result<Prepare<Prepared, AuthorizationCompleted>, HandlerError> {
    let refused = |code: &str, message: &str| Ok(Prepare::Answer(Outcome::refused(code, message)));
    let Some(payment) = payment else { return refused(REFUSED_NOT_AUTHORIZED, "the payment was not begun") };
    match (payment.status, payment.capture_before) {
        (PaymentStatus::RequiresAction, _) => Ok(Prepare::Call(Prepared {
            charge: payment.charge(),
            provider_reference: payment.provider_reference.clone(),
            number: payment.authorization,
        })),
        (PaymentStatus::Authorized | PaymentStatus::Captured, Some(capture_before)) => {
            Ok(Prepare::Answer(Outcome::done(AuthorizationCompleted { capture_before })))
        }
        (PaymentStatus::Failed, _) => {
            let code = payment.failure_code.as_deref().unwrap_or(REFUSED_NOT_AUTHORIZED);
            refused(code, "the payment was refused")
        }
        (PaymentStatus::Voided | PaymentStatus::Refunded, _) => {
            refused(REFUSED_NOT_AUTHORIZED, "the payment was given back")
        }
        (PaymentStatus::Pending | PaymentStatus::Authorized | PaymentStatus::Captured, _) => {
            Err(HandlerError::fault("the authorization has not been answered yet"))
        }
    }
}
