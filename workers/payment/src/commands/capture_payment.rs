//! `payment.capture`: takes the reserved money of orders. An order is past its point of no return, so an authorization
//! that has lapsed meanwhile is given again on the same payment method, and the money taken from that one.

use chrono::{DateTime, Utc};
use contract::{
    Money, PaymentId,
    command::Outcome,
    payment::{CapturePayment, PaymentCaptured, REFUSED_CAPTURE, REFUSED_NOT_AUTHORIZED},
};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;
use worker_runtime::{Decided, DomainError, HandlerError, Member, OutsideHandler, Prepare, Recording, SetHandled};

use super::Payments;
use crate::{
    authorizations::{Authorization, let_go, store},
    ledger::{Movement, Posting, posting},
    lookup::ask_once,
    payments::{Payment, Status, UnderWay, newest},
    provider::{Answer, Key, Reference},
};

/// The end of the key under which a lapsed authorization is given again.
const AUTHORIZE_AGAIN: &str = ":authorize-again";

/// The end of the key under which the money is then taken.
const CAPTURE_AGAIN: &str = ":capture-again";

/// The arguments of the call, stored until its record.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Prepared {
    key: Key,
    payment_id: PaymentId,
    reference: Reference,
    authorized: Money,
    amount: Money,
}

/// The provider's answers.
#[derive(Debug, Clone)]
pub(crate) struct Answers {
    /// The authorization that was given again.
    again: Option<(Reference, DateTime<Utc>)>,
    /// The answer to the last question.
    last: Answer,
}

impl OutsideHandler<CapturePayment> for Payments {
    type Prepared = Prepared;
    type Answer = Answers;

    async fn prepare_many(
        &self,
        tx: &mut PgConnection,
        set: &mut [Member<CapturePayment>],
    ) -> Decided<Self, CapturePayment> {
        let asked: Vec<_> = set.iter().map(|member| (member.command.order_id, Some(member.command.amount))).collect();
        let mut begun = UnderWay::Capture.begin(tx, &asked).await?;
        // Of two commands for one order, the earlier one that fits has begun.
        let begun: Vec<Option<Payment>> = set
            .iter()
            .map(|member| {
                let fits = begun.get(&member.command.order_id).is_some_and(|payment| fits(&member.command, payment));
                if fits { begun.remove(&member.command.order_id) } else { None }
            })
            .collect();
        let left = set.iter().zip(&begun).filter(|(_, begun)| begun.is_none());
        let others = newest(tx, &left.map(|(member, _)| member.command.order_id).collect::<Vec<_>>()).await?;
        let decide = |(Member { command, context }, begun): (&Member<CapturePayment>, Option<Payment>)| match begun {
            None => why_not(command, others.get(&command.order_id)),
            Some(Payment { payment_id, reference, authorized, .. }) => {
                let key = Key(context.idempotency_key());
                Ok(Prepare::Call(Prepared { key, payment_id, reference, authorized, amount: command.amount }))
            }
        };
        set.iter().zip(begun).map(decide).collect()
    }

    async fn call(&self, prepared: &Prepared, resumed: bool) -> Result<Answers, HandlerError> {
        let Prepared { key, reference, amount, authorized, .. } = prepared;
        let provider = &*self.provider;
        let last = ask_once(provider, key, resumed, provider.capture(key, reference, *amount)).await?;
        if last != Answer::Lapsed {
            return Ok(Answers { again: None, last });
        }
        let authorize = Key(format!("{}{AUTHORIZE_AGAIN}", key.0));
        let capture = Key(format!("{}{CAPTURE_AGAIN}", key.0));
        let authorizing = provider.authorize_again(&authorize, reference, *authorized);
        match ask_once(provider, &authorize, resumed, authorizing).await? {
            Answer::Authorized { reference, capture_before } => {
                let capturing = provider.capture(&capture, &reference, *amount);
                let last = ask_once(provider, &capture, resumed, capturing).await?;
                Ok(Answers { again: Some((reference, capture_before)), last })
            }
            last => Ok(Answers { again: None, last }),
        }
    }

    async fn record_many(
        &self,
        tx: &mut PgConnection,
        set: &mut [Recording<CapturePayment, Prepared, Answers>],
    ) -> SetHandled<PaymentCaptured> {
        let Some(now) = set.first().map(|recording| recording.context.now) else { return Ok(Vec::new()) };
        let (mut lapsed, mut given, mut refused) = (Vec::new(), Vec::new(), Vec::new());
        let (mut captures, mut captured, mut outcomes) = (Posting::default(), Vec::new(), Vec::new());
        for Recording { command, prepared, answer, .. } in &*set {
            let Prepared { mut payment_id, authorized, amount, .. } = *prepared;
            if let Some((reference, capture_before)) = answer.again.clone() {
                lapsed.push((payment_id, authorized));
                payment_id = kit::ids::payment_id();
                let order_id = command.order_id;
                given.push(Authorization { payment_id, order_id, amount: authorized, reference, capture_before });
            }
            outcomes.push(match &answer.last {
                Answer::Done => {
                    captures.add(payment_id, Movement::Capture { authorized, captured: amount });
                    captured.push(amount.amount());
                    Outcome::done(PaymentCaptured { payment_id })
                }
                Answer::Refused { code, message } => {
                    refused.push(payment_id.uuid());
                    Outcome::refused(code, message.clone())
                }
                Answer::Lapsed => {
                    refused.push(payment_id.uuid());
                    Outcome::refused(REFUSED_CAPTURE, "the authorization lapsed again".to_owned())
                }
                Answer::Authorized { .. } => {
                    return Err(HandlerError::fault("the provider answered a capture with `authorized`"));
                }
            });
        }
        // A payment that others can see is written by one of these only, and a copy of its command, whose answer is the same,
        // writes it in the same place: no two transactions wait for each other.
        let_go(tx, &lapsed, now).await?;
        store(tx, &given, now).await?;
        end(tx, refused, now).await?;
        take(tx, captures, captured, now).await?;
        Ok(outcomes)
    }
}

/// Nothing is asked about these payments any more.
async fn end(tx: &mut PgConnection, refused: Vec<Uuid>, now: DateTime<Utc>) -> Result<(), DomainError> {
    if refused.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "WITH locked AS MATERIALIZED (
             SELECT payment_id FROM payment WHERE payment_id = ANY($1) ORDER BY payment_id FOR NO KEY UPDATE
         )
         UPDATE payment SET under_way = NULL, updated_at = $2
         WHERE (SELECT count(*) FROM locked) > 0 AND payment_id = ANY($1)",
    )
    .bind(refused)
    .bind(now)
    .execute(tx)
    .await
    .map_err(DomainError::doing("ending captures"))?;
    Ok(())
}

/// Takes the money of payments, so much of each.
async fn take(
    tx: &mut PgConnection,
    captures: Posting,
    captured: Vec<Decimal>,
    now: DateTime<Utc>,
) -> Result<(), HandlerError> {
    if captures.is_empty() {
        return Ok(());
    }
    let statement = posting!(
        "UPDATE payment SET status = 'captured', captured_amount = taken.amount, updated_at = $1, under_way = NULL
         FROM unnest($2::uuid[], $8::numeric[]) AS taken (payment_id, amount)
         WHERE (SELECT count(*) FROM locked) > 0 AND payment.payment_id = taken.payment_id AND status = 'authorized'
         RETURNING payment.payment_id"
    );
    let lines = captures.lines();
    let written = captures.query(statement, now).bind(captured).execute(tx).await?;
    if written.rows_affected() != lines {
        return Err(HandlerError::fault("a payment that was captured is no longer authorized"));
    }
    Ok(())
}

/// Whether no more is asked for than was reserved.
fn fits(command: &CapturePayment, payment: &Payment) -> bool {
    let (asked, authorized) = (command.amount, payment.authorized);
    asked.currency() == authorized.currency() && asked.amount() <= authorized.amount()
}

/// The answer when the order has no payment that can be captured now.
fn why_not(
    command: &CapturePayment,
    payment: Option<&Payment>,
) -> Result<Prepare<Prepared, PaymentCaptured>, HandlerError> {
    let order_id = command.order_id;
    let refused = |code, message: String| Ok(Prepare::Answer(Outcome::refused(code, message)));
    let none = |message: String| refused(REFUSED_NOT_AUTHORIZED, message);
    let Some(payment) = payment else { return none(format!("nothing is authorized for {order_id}")) };
    match (payment.status, payment.under_way) {
        (Status::Captured, _) => Ok(Prepare::Answer(Outcome::done(PaymentCaptured { payment_id: payment.payment_id }))),
        (Status::Voided | Status::Refunded, _) => none(format!("the payment of {order_id} was given back")),
        (Status::Authorized, Some(UnderWay::Undo)) => none(format!("the payment of {order_id} is being given back")),
        (Status::Authorized, None) if !fits(command, payment) => {
            let message = format!("{} is more than the authorized {}", command.amount, payment.authorized);
            refused(REFUSED_CAPTURE, message)
        }
        (Status::Authorized, Some(UnderWay::Capture) | None) => {
            Err(HandlerError::fault(format!("{} is being captured already", payment.payment_id)))
        }
    }
}
