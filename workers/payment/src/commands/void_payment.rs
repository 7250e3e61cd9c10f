//! `payment.void`: undoes an authorization in any state: lets reserved money go, gives taken money back, and
//! makes sure that an authorization that is still on its way reserves nothing.

use contract::{
    Money, PaymentId,
    command::Outcome,
    payment::{PaymentVoided, VoidPayment},
};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use worker_runtime::{Context, Handled, HandlerError, OutsideHandler, Prepare};

use super::Payments;
use crate::{
    ledger::{self, Movement, posting},
    lookup::ask_once,
    payments::{Payment, Status, UnderWay, of_order},
    provider::{Answer, Key, Reference},
};

/// The arguments of the call, stored until its record.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Prepared {
    key: Key,
    undo: Undo,
}

/// The way in which a payment is undone.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "undo", rename_all = "snake_case")]
enum Undo {
    /// The money is reserved, and let go.
    Void { payment_id: PaymentId, reference: Reference, amount: Money },
    /// The money is taken, and given back.
    Refund { payment_id: PaymentId, reference: Reference, amount: Money },
    /// An authorization was asked for, and its answer is not known.
    Abandon { action_key: Key },
}

impl OutsideHandler<VoidPayment> for Payments {
    type Prepared = Prepared;
    type Answer = Answer;

    async fn prepare(
        &self,
        tx: &mut PgConnection,
        command: &VoidPayment,
        context: &mut Context,
    ) -> Result<Prepare<Prepared, PaymentVoided>, HandlerError> {
        let key = Key(context.idempotency_key());
        let undo = match &context.action_in_doubt {
            Some(action) => Undo::Abandon { action_key: Key(action.to_string()) },
            None => {
                let begun = UnderWay::Undo.begin(tx, command.order_id).await?;
                let Some(undo) = begun.as_ref().and_then(undo_of) else {
                    return nothing_left(of_order(tx, command.order_id).await?);
                };
                undo
            }
        };
        Ok(Prepare::Call(Prepared { key, undo }))
    }

    async fn call(&self, prepared: &Prepared, resumed: bool) -> Result<Answer, HandlerError> {
        let Prepared { key, undo } = prepared;
        let call = match undo {
            Undo::Void { reference, .. } => self.provider.void(key, reference),
            Undo::Refund { reference, .. } => self.provider.refund(key, reference),
            Undo::Abandon { action_key } => self.provider.abandon(key, action_key),
        };
        ask_once(&*self.provider, key, resumed, call).await
    }

    async fn record(
        &self,
        tx: &mut PgConnection,
        _command: VoidPayment,
        prepared: Prepared,
        answer: Answer,
        context: &mut Context,
    ) -> Handled<PaymentVoided> {
        match answer {
            // What has lapsed reserves nothing either.
            Answer::Done | Answer::Lapsed => {}
            // A compensation is never refused for a business reason (S12): a person has to look at it.
            Answer::Refused { code, message } => {
                return Err(HandlerError::fault(format!("the provider refuses to undo: {code}, {message}")));
            }
            Answer::Authorized { .. } => {
                return Err(HandlerError::fault("the provider answered an undo with `authorized`"));
            }
        }
        let (payment_id, movement) = match prepared.undo {
            Undo::Void { payment_id, amount, .. } => (payment_id, Movement::Void { authorized: amount }),
            Undo::Refund { payment_id, amount, .. } => (payment_id, Movement::Refund { captured: amount }),
            Undo::Abandon { .. } => return Ok(Outcome::done(PaymentVoided {})),
        };
        let statement = posting!(
            "UPDATE payment SET status = CASE status WHEN 'captured' THEN 'refunded' ELSE 'voided' END,
                    refunded_amount = captured_amount, updated_at = $2, under_way = NULL
             WHERE payment_id = $6 AND status IN ('authorized', 'captured') RETURNING payment_id"
        );
        let lines = ledger::post(statement, movement, context.now).bind(payment_id.uuid()).execute(tx).await?;
        if lines.rows_affected() == 0 {
            return Err(HandlerError::fault(format!("the payment {payment_id} changed while it was undone")));
        }
        Ok(Outcome::done(PaymentVoided {}))
    }
}

/// The answer when there is nothing to ask the provider for. A payment that is under way is not a no (S12): asked again,
/// the command finds out how the other one ended.
fn nothing_left(payment: Option<Payment>) -> Result<Prepare<Prepared, PaymentVoided>, HandlerError> {
    match payment.filter(|payment| payment.under_way.is_some() && undo_of(payment).is_some()) {
        Some(payment) => Err(HandlerError::fault(format!("{} is under way at the provider", payment.payment_id))),
        None => Ok(Prepare::Answer(Outcome::done(PaymentVoided {}))),
    }
}

/// The rest of a recorded payment that is to be undone.
fn undo_of(payment: &Payment) -> Option<Undo> {
    let (payment_id, reference) = (payment.payment_id, payment.reference.clone());
    match payment.status {
        Status::Authorized => Some(Undo::Void { payment_id, reference, amount: payment.authorized }),
        Status::Captured => Some(Undo::Refund { payment_id, reference, amount: payment.captured }),
        Status::Voided | Status::Refunded => None,
    }
}
