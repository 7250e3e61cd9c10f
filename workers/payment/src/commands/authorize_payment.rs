//! `payment.authorize`: reserves the money of an order.

use contract::{
    Money, PaymentId,
    command::Outcome,
    payment::{AuthorizePayment, PaymentAuthorized, PaymentToken},
};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use worker_runtime::{Context, Handled, HandlerError, OutsideHandler, Prepare};

use super::Payments;
use crate::{
    authorizations::{Authorization, store},
    lookup::ask_once,
    payments::{Status, of_order},
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

    async fn prepare(
        &self,
        tx: &mut PgConnection,
        command: &AuthorizePayment,
        context: &mut Context,
    ) -> Result<Prepare<Prepared, PaymentAuthorized>, HandlerError> {
        // One live authorization per order (S23): the unique index refuses a second; here it gets a clear text.
        let live = of_order(tx, command.order_id).await?;
        if live.is_some_and(|payment| matches!(payment.status, Status::Authorized | Status::Captured)) {
            return Err(HandlerError::fault(format!("the order {} has a live payment already", command.order_id)));
        }
        Ok(Prepare::Call(Prepared {
            key: Key(context.idempotency_key()),
            payment_id: kit::ids::payment_id(),
            amount: command.amount,
            token: command.token.clone(),
        }))
    }

    async fn call(&self, prepared: &Prepared, resumed: bool) -> Result<Answer, HandlerError> {
        let Prepared { key, amount, token, .. } = prepared;
        ask_once(&*self.provider, key, resumed, self.provider.authorize(key, *amount, token)).await
    }

    async fn record(
        &self,
        tx: &mut PgConnection,
        command: AuthorizePayment,
        prepared: Prepared,
        answer: Answer,
        context: &mut Context,
    ) -> Handled<PaymentAuthorized> {
        let (reference, capture_before) = match answer {
            Answer::Authorized { reference, capture_before } => (reference, capture_before),
            Answer::Refused { code, message } => return Ok(Outcome::refused(&code, message)),
            Answer::Done | Answer::Lapsed => {
                return Err(HandlerError::fault("the provider's answer to an authorization is none"));
            }
        };
        let Prepared { payment_id, amount, .. } = prepared;
        let given = Authorization { payment_id, amount, reference: reference.clone(), capture_before };
        store(tx, command.order_id, &given, context.now).await?;
        Ok(Outcome::done(PaymentAuthorized {
            payment_id: prepared.payment_id,
            provider_reference: reference.0,
            capture_before,
        }))
    }
}
