//! `payment.authorize`: reserves the money of orders.

use contract::{
    Money, PaymentId,
    command::Outcome,
    payment::{AuthorizePayment, PaymentAuthorized, PaymentToken},
};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use worker_runtime::{Decided, HandlerError, Member, OutsideHandler, Prepare, Recording, SetHandled};

use super::Payments;
use crate::{
    authorizations::{Authorization, store},
    lookup::ask_once,
    payments::live,
    provider::{Answer, Key},
};

/// The arguments of the call, stored until its record.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Prepared {
    key: Key,
    payment_id: PaymentId,
    amount: Money,
    token: PaymentToken,
}

impl OutsideHandler<AuthorizePayment> for Payments {
    type Prepared = Prepared;
    type Answer = Answer;

    async fn prepare_many(
        &self,
        tx: &mut PgConnection,
        set: &mut [Member<AuthorizePayment>],
    ) -> Decided<Self, AuthorizePayment> {
        // One live authorization per order (S23): the unique index refuses a second; here it gets a clear text.
        if let Some(order_id) = live(tx, set.iter().map(|member| member.command.order_id)).await? {
            return Err(HandlerError::fault(format!("the order {order_id} has a live payment already")));
        }
        let ask = |Member { command, context }: &Member<AuthorizePayment>| {
            Prepare::Call(Prepared {
                key: Key(context.idempotency_key()),
                payment_id: kit::ids::payment_id(),
                amount: command.amount,
                token: command.token.clone(),
            })
        };
        Ok(set.iter().map(ask).collect())
    }

    async fn call(&self, prepared: &Prepared, resumed: bool) -> Result<Answer, HandlerError> {
        let Prepared { key, amount, token, .. } = prepared;
        ask_once(&*self.provider, key, resumed, self.provider.authorize(key, *amount, token)).await
    }

    async fn record_many(
        &self,
        tx: &mut PgConnection,
        set: &mut [Recording<AuthorizePayment, Prepared, Answer>],
    ) -> SetHandled<PaymentAuthorized> {
        let Some(now) = set.first().map(|recording| recording.context.now) else { return Ok(Vec::new()) };
        let (mut given, mut outcomes) = (Vec::new(), Vec::new());
        for Recording { command, prepared, answer, .. } in &*set {
            outcomes.push(match answer {
                Answer::Authorized { reference, capture_before } => {
                    let Prepared { payment_id, amount, .. } = *prepared;
                    let (reference, capture_before) = (reference.clone(), *capture_before);
                    let provider_reference = reference.0.clone();
                    let order_id = command.order_id;
                    given.push(Authorization { payment_id, order_id, amount, reference, capture_before });
                    Outcome::done(PaymentAuthorized { payment_id, provider_reference, capture_before })
                }
                Answer::Refused { code, message } => Outcome::refused(code, message.clone()),
                Answer::Done | Answer::Lapsed => {
                    return Err(HandlerError::fault("the provider's answer to an authorization is none"));
                }
            });
        }
        store(tx, &given, now).await?;
        Ok(outcomes)
    }
}
