//! `payment.void`: undoes authorizations in any state: lets reserved money go, gives taken money back, and
//! makes sure that an authorization that is still on its way reserves nothing.

use chrono::{DateTime, Utc};
use contract::{
    Money, PaymentId,
    command::Outcome,
    payment::{PaymentVoided, VoidPayment},
};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use worker_runtime::{Decided, HandlerError, Member, OutsideHandler, Prepare, Recording, SetHandled};

use super::Payments;
use crate::{
    ledger::{Movement, Posting, posting},
    lookup::ask_once,
    payments::{Payment, Status, UnderWay, newest},
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

    async fn prepare_many(&self, tx: &mut PgConnection, set: &mut [Member<VoidPayment>]) -> Decided<Self, VoidPayment> {
        let recorded = || set.iter().filter(|member| member.context.action_in_doubt.is_none());
        let asked: Vec<_> = recorded().map(|member| (member.command.order_id, None)).collect();
        let mut begun = UnderWay::Undo.begin(tx, &asked).await?;
        let left: Vec<_> =
            asked.iter().map(|(order_id, _)| *order_id).filter(|order_id| !begun.contains_key(order_id)).collect();
        let others = newest(tx, &left).await?;
        let decide = |Member { command, context }: &Member<VoidPayment>| {
            let undo = match &context.action_in_doubt {
                Some(action) => Some(Undo::Abandon { action_key: Key(action.to_string()) }),
                None => begun.remove(&command.order_id).as_ref().and_then(undo_of),
            };
            match undo {
                Some(undo) => Ok(Prepare::Call(Prepared { key: Key(context.idempotency_key()), undo })),
                None => nothing_left(others.get(&command.order_id)),
            }
        };
        set.iter().map(decide).collect()
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

    async fn record_many(
        &self,
        tx: &mut PgConnection,
        set: &mut [Recording<VoidPayment, Prepared, Answer>],
    ) -> SetHandled<PaymentVoided> {
        let Some(now) = set.first().map(|recording| recording.context.now) else { return Ok(Vec::new()) };
        let mut undone = Posting::default();
        for Recording { prepared, answer, .. } in &*set {
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
            match prepared.undo {
                Undo::Void { payment_id, amount, .. } => undone.add(payment_id, Movement::Void { authorized: amount }),
                Undo::Refund { payment_id, amount, .. } => {
                    undone.add(payment_id, Movement::Refund { captured: amount });
                }
                Undo::Abandon { .. } => {}
            }
        }
        give_back(tx, undone, now).await?;
        Ok(set.iter().map(|_| Outcome::done(PaymentVoided {})).collect())
    }
}

/// Lets the money of payments go, or gives it back, whichever is due.
async fn give_back(tx: &mut PgConnection, undone: Posting, now: DateTime<Utc>) -> Result<(), HandlerError> {
    if undone.is_empty() {
        return Ok(());
    }
    let statement = posting!(
        "UPDATE payment SET status = CASE status WHEN 'captured' THEN 'refunded' ELSE 'voided' END,
                refunded_amount = captured_amount, updated_at = $1, under_way = NULL
         WHERE (SELECT count(*) FROM locked) > 0 AND payment_id = ANY($2) AND status IN ('authorized', 'captured')
         RETURNING payment_id"
    );
    let lines = undone.lines();
    if undone.query(statement, now).execute(tx).await?.rows_affected() != lines {
        return Err(HandlerError::fault("a payment changed while it was undone"));
    }
    Ok(())
}

/// The answer when there is nothing to ask the provider for. A payment that is under way is not a no (S12): asked again,
/// the command finds out how the other one ended.
fn nothing_left(payment: Option<&Payment>) -> Result<Prepare<Prepared, PaymentVoided>, HandlerError> {
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
