//! `payment.capture`: takes the reserved money of payments. Their sagas are at or past their point of no return, so an
//! authorization that has lapsed meanwhile is given again on the same payment method, and the money taken from that one.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use contract::{
    Money, PaymentId,
    command::Outcome,
    payment::{PaymentCaptured, PaymentStatus, REFUSED_CAPTURE, REFUSED_NOT_AUTHORIZED},
};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;
use worker_runtime::{Decided, HandlerError, Member, OutsideHandler, Prepare, Recording, SetHandled};

use super::{
    calls::{Payments, definite},
    versions::Captures,
};
use crate::{
    authorizations::{Answered, Given, replace},
    ledger::{Movement, Posting, posting},
    payments::{Payment, UnderWay, end, find, reference},
    provider::{Answer, Authorized, Charge, PaymentProvider, ProviderReference, Refused, Taking},
};

/// The handler of all versions.
#[derive(Debug, Clone)]
pub(crate) struct Capturing(pub(crate) Payments);

/// The arguments of the call, stored until its record.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Prepared {
    key: String,
    payment_id: PaymentId,
    authorized: Money,
    /// The reserved money that is no longer reserved after it: what is taken, and the rest that is let go.
    released: Money,
    provider_reference: ProviderReference,
    taking: Taking,
    /// The number that an authorization would have which is given again.
    next_number: i16,
    /// The charge of that one.
    next: Charge,
}

/// The provider's answers.
#[derive(Debug, Clone)]
pub(crate) struct Answers {
    /// The authorization that was given again.
    again: Option<Authorized>,
    /// Whether the money was taken.
    last: Result<(), Refused>,
}

impl<C: Captures> OutsideHandler<C> for Capturing {
    type Prepared = Prepared;
    type Answer = Answers;

    async fn prepare_many(&self, tx: &mut PgConnection, set: &mut [Member<C>]) -> Decided<Self, C> {
        let asked = set.iter().filter(|member| !member.command.amount().is_zero());
        let asked: Vec<_> = asked.map(|member| (member.command.named(), Some(member.command.amount()))).collect();
        let mut begun = UnderWay::Capture.begin(tx, C::BY, &asked).await?;
        // Of two commands for one payment, the earlier one that fits has begun.
        let mut claim = |member: &Member<C>| {
            let id = member.command.named();
            let fits = begun.get(&id).is_some_and(|payment| fits(member.command.amount(), payment));
            if fits { begun.remove(&id) } else { None }
        };
        let begun: Vec<Option<Payment>> = set.iter().map(&mut claim).collect();
        let left = set.iter().zip(&begun).filter(|(_, begun)| begun.is_none());
        let others = find(tx, C::BY, &left.map(|(member, _)| member.command.named()).collect::<Vec<_>>()).await?;
        let decide = |(member, begun): (&Member<C>, Option<Payment>)| decide(member, begun, &others);
        set.iter().zip(begun).map(decide).collect()
    }

    async fn call(&self, prepared: &Prepared, _resumed: bool) -> Result<Answers, HandlerError> {
        let Prepared { provider_reference, taking, next, .. } = prepared;
        let provider = &*self.0.provider;
        if let Some(last) = taken(provider, provider_reference, taking).await? {
            return Ok(Answers { again: None, last });
        }
        let no = |message: &str| Err(Refused::new(REFUSED_CAPTURE, message));
        if taking.amount != taking.taken {
            return Ok(Answers { again: None, last: no("the authorization lapsed after a part of it was taken") });
        }
        match definite(provider.authorize_again(next, provider_reference).await)? {
            Answer::Done(again) => {
                let taken = taken(provider, &again.provider_reference, taking).await?;
                let last = taken.unwrap_or_else(|| no("the authorization lapsed again"));
                Ok(Answers { again: Some(again), last })
            }
            Answer::RequiresAction(_) => {
                definite(provider.abandon(next).await)?;
                let last = no("the authorization lapsed, and the card asks for the client before it gives another");
                Ok(Answers { again: None, last })
            }
            Answer::Refused(refused) => Ok(Answers { again: None, last: Err(refused) }),
            Answer::Lapsed => Ok(Answers { again: None, last: no("the authorization lapsed, and gives no other") }),
            Answer::Accepted => Err(HandlerError::unclear("the provider has not decided yet")),
        }
    }

    async fn record_many(
        &self,
        tx: &mut PgConnection,
        set: &mut [Recording<C, Prepared, Answers>],
    ) -> SetHandled<PaymentCaptured> {
        let Some(now) = set.first().map(|recording| recording.context.now) else { return Ok(Vec::new()) };
        let (mut given, mut refused) = (Vec::new(), Vec::new());
        let (mut captures, mut takings, mut outcomes) = (Posting::default(), Vec::new(), Vec::new());
        for Recording { prepared, answer, .. } in &*set {
            let Prepared { payment_id, authorized, released, taking, next_number, ref key, .. } = *prepared;
            if let Some(again) = answer.again.clone() {
                let answer = Given { amount: authorized, number: next_number, authorized: again };
                given.push(Answered { payment_id, answer });
            }
            outcomes.push(match &answer.last {
                Ok(()) => {
                    let movement = Movement::Capture { authorized: released, captured: taking.amount };
                    captures.add(payment_id, movement, key);
                    takings.push(taking);
                    Outcome::done(PaymentCaptured { payment_id })
                }
                Err(Refused { code, message }) => {
                    refused.push(payment_id.uuid());
                    Outcome::refused(code, message.clone())
                }
            });
        }
        // A payment is written by one of these commands only, and a copy of it, whose answer is the same, writes it in the same
        // place: no two transactions wait for each other.
        replace(tx, &given, now).await?;
        end(tx, refused, now).await?;
        take(tx, captures, &takings, now).await?;
        Ok(outcomes)
    }
}

/// Whether the money was taken; none when the authorization has lapsed.
async fn taken(
    provider: &dyn PaymentProvider,
    authorization: &ProviderReference,
    taking: &Taking,
) -> Result<Option<Result<(), Refused>>, HandlerError> {
    match definite(provider.capture(authorization, taking).await)? {
        Answer::Done(()) => Ok(Some(Ok(()))),
        Answer::Refused(no) => Ok(Some(Err(no))),
        Answer::Lapsed => Ok(None),
        // It may still be done: only the provider can tell, later.
        Answer::Accepted => Err(HandlerError::unclear("the provider has not taken the money yet")),
        Answer::RequiresAction(_) => {
            Err(HandlerError::fault("the provider answered a capture with an act of the client"))
        }
    }
}

/// Takes the money of payments. One of which the rest is kept stays authorized.
async fn take(
    tx: &mut PgConnection,
    captures: Posting,
    takings: &[Taking],
    now: DateTime<Utc>,
) -> Result<(), HandlerError> {
    if captures.is_empty() {
        return Ok(());
    }
    let statement = posting!(
        "UPDATE payment SET status = CASE WHEN taken.keep_rest THEN status ELSE 'captured' END,
                captured_amount = taken.amount, updated_at = $1, under_way = NULL
         FROM unnest($2::uuid[], $10::numeric[], $11::boolean[]) AS taken (payment_id, amount, keep_rest)
         WHERE (SELECT count(*) FROM locked) > 0 AND payment.payment_id = taken.payment_id
           AND status = 'authorized' AND under_way = 'capture'
         RETURNING payment.payment_id"
    );
    let lines = captures.lines();
    let amounts: Vec<Decimal> = takings.iter().map(|taking| taking.taken.amount()).collect();
    let kept: Vec<bool> = takings.iter().map(|taking| taking.keep_rest).collect();
    let written = captures.query(statement, now).bind(amounts).bind(kept).execute(tx).await?;
    if written.rows_affected() != lines {
        return Err(HandlerError::fault("a payment that was captured is no longer authorized"));
    }
    Ok(())
}

/// Whether something is asked for, and no more than is reserved.
fn fits(asked: Money, payment: &Payment) -> bool {
    !asked.is_zero() && asked.currency() == payment.left.currency() && asked.amount() <= payment.left.amount()
}

/// The question for the provider, or the answer when there is none to ask.
fn decide<C: Captures>(
    member: &Member<C>,
    begun: Option<Payment>,
    others: &HashMap<Uuid, Payment>,
) -> Result<Prepare<Prepared, PaymentCaptured>, HandlerError> {
    let (id, amount) = (member.command.named(), member.command.amount());
    let Some(payment) = begun else { return why_not(amount, others.get(&id)) };
    let Some(provider_reference) = payment.provider_reference.clone() else {
        return Err(HandlerError::fault(format!(
            "{} is authorized without a provider's reference",
            payment.payment_id
        )));
    };
    let next_number = payment.authorization.saturating_add(1);
    let next = Charge { reference: reference(payment.payment_id, next_number), ..payment.charge() };
    let Payment { captured, left, .. } = payment;
    let taken = captured.checked_add(amount).map_err(|error| HandlerError::fault(error.to_string()))?;
    let keep_rest = member.command.keeps_rest() && amount != left;
    Ok(Prepare::Call(Prepared {
        key: member.context.idempotency_key(),
        payment_id: payment.payment_id,
        authorized: payment.amount,
        released: if keep_rest { amount } else { left },
        provider_reference,
        taking: Taking { amount, taken, keep_rest },
        next_number,
        next,
    }))
}

/// The answer when there is no payment that can be captured now.
fn why_not(asked: Money, payment: Option<&Payment>) -> Result<Prepare<Prepared, PaymentCaptured>, HandlerError> {
    let refused = |code, message: String| Ok(Prepare::Answer(Outcome::refused(code, message)));
    let none = |message: String| refused(REFUSED_NOT_AUTHORIZED, message);
    let Some(payment) = payment else { return none("nothing is authorized".to_owned()) };
    let Payment { payment_id, captured, left, .. } = payment;
    match (payment.status, payment.under_way) {
        (PaymentStatus::Captured, _) if *captured != asked => {
            refused(REFUSED_CAPTURE, format!("{captured} was taken of {payment_id} already, not {asked}"))
        }
        (PaymentStatus::Captured, _) => Ok(Prepare::Answer(Outcome::done(PaymentCaptured { payment_id: *payment_id }))),
        (PaymentStatus::Pending | PaymentStatus::RequiresAction | PaymentStatus::Failed, _) => {
            none(format!("{payment_id} is not authorized"))
        }
        (PaymentStatus::Voided | PaymentStatus::Refunded, _) => none(format!("{payment_id} was given back")),
        (PaymentStatus::Authorized, Some(UnderWay::Undo)) => none(format!("{payment_id} is being given back")),
        (PaymentStatus::Authorized, None) if !fits(asked, payment) => {
            refused(REFUSED_CAPTURE, format!("{asked} cannot be taken of {payment_id}: {left} is reserved of it"))
        }
        (PaymentStatus::Authorized, Some(UnderWay::Capture | UnderWay::Refund) | None) => {
            Err(HandlerError::fault(format!("{payment_id} is under way at the provider")))
        }
    }
}
