//! `payment.capture`: takes the reserved money of an order.

use contract::{
    Money, PaymentId,
    command::Outcome,
    payment::{CapturePayment, PaymentCaptured, REFUSED_CAPTURE, REFUSED_NOT_AUTHORIZED},
};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use worker_runtime::{Context, Handled, HandlerError, OutsideHandler, Prepare};

use super::Payments;
use crate::{
    ledger::{self, Movement},
    lookup::ask_once,
    payments::{Status, UnderWay, of_order},
    provider::{Answer, Key, Reference},
};

/// The arguments of the call, stored until its record.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Prepared {
    key: Key,
    payment_id: PaymentId,
    reference: Reference,
    authorized: Money,
    amount: Money,
}

impl OutsideHandler<CapturePayment> for Payments {
    type Prepared = Prepared;
    type Answer = Answer;

    async fn prepare(
        &self,
        tx: &mut PgConnection,
        command: &CapturePayment,
        context: &mut Context,
    ) -> Result<Prepare<Prepared, PaymentCaptured>, HandlerError> {
        let refused = |code: &str, message: String| Ok(Prepare::Answer(Outcome::refused(code, message)));
        let Some(payment) = of_order(tx, command.order_id).await? else {
            return refused(REFUSED_NOT_AUTHORIZED, format!("nothing is authorized for {}", command.order_id));
        };
        match payment.status {
            Status::Authorized => {}
            Status::Captured => {
                return Ok(Prepare::Answer(Outcome::done(PaymentCaptured { payment_id: payment.payment_id })));
            }
            Status::Voided | Status::Refunded => {
                return refused(REFUSED_NOT_AUTHORIZED, format!("the payment of {} was given back", command.order_id));
            }
        }
        match payment.under_way {
            None => {}
            Some(UnderWay::Capture) => {
                return Err(HandlerError::fault(format!("{} is being captured already", payment.payment_id)));
            }
            Some(UnderWay::Undo) => {
                let message = format!("the payment of {} is being given back", command.order_id);
                return refused(REFUSED_NOT_AUTHORIZED, message);
            }
        }
        let within = command.amount.currency() == payment.authorized.currency()
            && command.amount.amount() <= payment.authorized.amount();
        if !within {
            let message = format!("{} is more than the authorized {}", command.amount, payment.authorized);
            return refused(REFUSED_CAPTURE, message);
        }
        if payment.capture_before <= context.now {
            return refused(REFUSED_CAPTURE, format!("the authorization ended at {}", payment.capture_before));
        }
        UnderWay::Capture.begin(tx, payment.payment_id).await?;
        Ok(Prepare::Call(Prepared {
            key: Key(context.idempotency_key()),
            payment_id: payment.payment_id,
            reference: payment.reference,
            authorized: payment.authorized,
            amount: command.amount,
        }))
    }

    async fn call(&self, prepared: &Prepared, resumed: bool) -> Result<Answer, HandlerError> {
        let Prepared { key, reference, amount, .. } = prepared;
        ask_once(&*self.provider, key, resumed, self.provider.capture(key, reference, *amount)).await
    }

    async fn record(
        &self,
        tx: &mut PgConnection,
        _command: CapturePayment,
        prepared: Prepared,
        answer: Answer,
        context: &mut Context,
    ) -> Handled<PaymentCaptured> {
        match answer {
            Answer::Done => {}
            Answer::Refused { code, message } => {
                sqlx::query("UPDATE payment SET under_way = NULL, updated_at = $2 WHERE payment_id = $1")
                    .bind(prepared.payment_id.uuid())
                    .bind(context.now)
                    .execute(tx)
                    .await?;
                return Ok(Outcome::refused(&code, message));
            }
            Answer::Authorized { .. } => {
                return Err(HandlerError::fault("the provider answered a capture with `authorized`"));
            }
        }
        let changed = sqlx::query(
            "UPDATE payment SET status = 'captured', captured_amount = $2, updated_at = $3, under_way = NULL
             WHERE payment_id = $1 AND status = 'authorized'",
        )
        .bind(prepared.payment_id.uuid())
        .bind(prepared.amount.amount())
        .bind(context.now)
        .execute(&mut *tx)
        .await?;
        if changed.rows_affected() != 1 {
            return Err(HandlerError::fault(format!("the payment {} is no longer authorized", prepared.payment_id)));
        }
        let movement = Movement::Capture { authorized: prepared.authorized, captured: prepared.amount };
        ledger::post(tx, prepared.payment_id, movement, context.now).await?;
        Ok(Outcome::done(PaymentCaptured { payment_id: prepared.payment_id }))
    }
}
