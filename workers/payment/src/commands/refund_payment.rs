//! `payment.refund`: gives taken money back, all of it or a part. A refund is known at the provider by the name of its command,
//! so it is given once, however often it is asked for.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use contract::{
    Money,
    command::Outcome,
    payment::{
        PaymentStatus, REFUSED_REFUND,
        v2::{PaymentRefunded, RefundPayment},
    },
};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;
use worker_runtime::{Decided, HandlerError, Member, OutsideHandler, Prepare, Recording, SetHandled};

use super::{
    calls::{Payments, definite},
    versions::NamesPayment,
};
use crate::{
    ledger::{Movement, Posting, posting},
    payments::{Payment, UnderWay, end, find},
    provider::{Answer, Key, ProviderReference, Refused},
};

/// The handler of refunds, which have one version.
#[derive(Debug, Clone)]
pub(crate) struct Refunding(pub(crate) Payments);

/// The arguments of the call, stored until its record.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Prepared {
    key: Key,
    provider_reference: ProviderReference,
    amount: Money,
    /// The amount that is given back in all, once this is.
    refunded: Money,
}

impl OutsideHandler<RefundPayment> for Refunding {
    type Prepared = Prepared;
    type Answer = Result<(), Refused>;

    async fn prepare_many(
        &self,
        tx: &mut PgConnection,
        set: &mut [Member<RefundPayment>],
    ) -> Decided<Self, RefundPayment> {
        let asked = set.iter().filter(|member| !member.command.amount.is_zero());
        let asked: Vec<_> = asked.map(|member| (member.command.named(), Some(member.command.amount))).collect();
        let mut begun = UnderWay::Refund.begin(tx, RefundPayment::BY, &asked).await?;
        // Of two refunds of one payment, the earlier one that fits has begun.
        let mut claim = |member: &Member<RefundPayment>| {
            let id = member.command.named();
            let fits = begun.get(&id).is_some_and(|payment| fits(member.command.amount, payment));
            if fits { begun.remove(&id) } else { None }
        };
        let begun: Vec<Option<Payment>> = set.iter().map(&mut claim).collect();
        let left = set.iter().zip(&begun).filter(|(_, begun)| begun.is_none());
        let left: Vec<_> = left.map(|(member, _)| member.command.named()).collect();
        let others = find(tx, RefundPayment::BY, &left).await?;
        set.iter().zip(begun).map(|(member, begun)| decide(member, begun, &others)).collect()
    }

    async fn call(&self, prepared: &Prepared, _resumed: bool) -> Result<Self::Answer, HandlerError> {
        let Prepared { key, provider_reference, amount, .. } = prepared;
        match definite(self.0.provider.refund(key, provider_reference, *amount).await)? {
            Answer::Done(()) => Ok(Ok(())),
            Answer::Refused(no) => Ok(Err(no)),
            // It may still be done: only the provider can tell, later.
            Answer::Accepted => Err(HandlerError::unclear("the provider has not given the money back yet")),
            Answer::Lapsed | Answer::RequiresAction(_) => {
                Err(HandlerError::fault("the provider answered a refund as if nothing had been taken"))
            }
        }
    }

    async fn record_many(
        &self,
        tx: &mut PgConnection,
        set: &mut [Recording<RefundPayment, Prepared, Self::Answer>],
    ) -> SetHandled<PaymentRefunded> {
        let Some(now) = set.first().map(|recording| recording.context.now) else { return Ok(Vec::new()) };
        let (mut refunds, mut given, mut totals) = (Posting::default(), Vec::new(), Vec::new());
        let (mut refused, mut outcomes) = (Vec::new(), Vec::new());
        for Recording { command, prepared, answer, .. } in &*set {
            let Prepared { key, amount, refunded, .. } = prepared;
            outcomes.push(match answer {
                Ok(()) => {
                    refunds.add(command.payment_id, Movement::Refund { refunded: *amount }, &key.0);
                    given.push(command.payment_id.uuid());
                    totals.push(refunded.amount());
                    Outcome::done(PaymentRefunded { refunded: *refunded })
                }
                Err(no) => {
                    refused.push(command.payment_id.uuid());
                    Outcome::refused(REFUSED_REFUND, no.message.clone())
                }
            });
        }
        end(tx, refused, now).await?;
        give_back(tx, refunds, (given, totals), now).await?;
        Ok(outcomes)
    }
}

/// Gives the money of payments back: so much of each, with what was given back before.
async fn give_back(
    tx: &mut PgConnection,
    refunds: Posting,
    (given, totals): (Vec<Uuid>, Vec<Decimal>),
    now: DateTime<Utc>,
) -> Result<(), HandlerError> {
    if refunds.is_empty() {
        return Ok(());
    }
    let statement = posting!(
        "UPDATE payment SET status = CASE WHEN given.total = captured_amount THEN 'refunded' ELSE status END,
                refunded_amount = given.total, updated_at = $1, under_way = NULL
         FROM unnest($10::uuid[], $11::numeric[]) AS given (payment_id, total)
         WHERE (SELECT count(*) FROM locked) > 0 AND payment.payment_id = given.payment_id
           AND status = 'captured' AND under_way = 'refund'
         RETURNING payment.payment_id"
    );
    let lines = refunds.lines();
    let written = refunds.query(statement, now).bind(given).bind(totals).execute(tx).await?;
    if written.rows_affected() != lines {
        return Err(HandlerError::fault("a payment changed while it was given back"));
    }
    Ok(())
}

/// Whether something is asked for, and no more than was taken and not given back.
fn fits(asked: Money, payment: &Payment) -> bool {
    !asked.is_zero() && asked.currency() == payment.kept.currency() && asked.amount() <= payment.kept.amount()
}

/// The question for the provider, or the answer when there is none to ask.
fn decide(
    member: &Member<RefundPayment>,
    begun: Option<Payment>,
    others: &HashMap<Uuid, Payment>,
) -> Result<Prepare<Prepared, PaymentRefunded>, HandlerError> {
    let amount = member.command.amount;
    let Some(payment) = begun else { return why_not(amount, others.get(&member.command.named())) };
    let Payment { payment_id, refunded, provider_reference, .. } = payment;
    let provider_reference = provider_reference
        .ok_or_else(|| HandlerError::fault(format!("{payment_id} is captured without a provider's reference")))?;
    let refunded = refunded
        .checked_add(amount)
        .map_err(|error| HandlerError::fault(format!("the refunds of {payment_id}: {error}")))?;
    let key = Key(member.context.idempotency_key());
    Ok(Prepare::Call(Prepared { key, provider_reference, amount, refunded }))
}

/// The answer when there is no payment that so much can be given back of now.
fn why_not(asked: Money, payment: Option<&Payment>) -> Result<Prepare<Prepared, PaymentRefunded>, HandlerError> {
    let refused = |message: String| Ok(Prepare::Answer(Outcome::refused(REFUSED_REFUND, message)));
    let Some(payment) = payment else { return refused("nothing was taken".to_owned()) };
    let Payment { payment_id, kept, .. } = payment;
    match (payment.status, payment.under_way) {
        (PaymentStatus::Captured, _) if !fits(asked, payment) => {
            refused(format!("{asked} cannot be given back of {payment_id}: {kept} is left of it"))
        }
        (PaymentStatus::Captured, Some(UnderWay::Undo)) => refused(format!("{payment_id} is being given back")),
        (PaymentStatus::Captured, Some(UnderWay::Capture | UnderWay::Refund) | None)
        | (PaymentStatus::Authorized, Some(UnderWay::Capture)) => {
            Err(HandlerError::fault(format!("{payment_id} is under way at the provider")))
        }
        (PaymentStatus::Refunded, _) => refused(format!("{payment_id} was given back")),
        (
            PaymentStatus::Pending
            | PaymentStatus::RequiresAction
            | PaymentStatus::Authorized
            | PaymentStatus::Voided
            | PaymentStatus::Failed,
            _,
        ) => refused(format!("{payment_id} is not captured")),
    }
}
