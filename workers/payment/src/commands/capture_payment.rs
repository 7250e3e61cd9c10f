//! `payment.capture`: takes the reserved money of an order. The order is past its point of no return, so an authorization
//! that has lapsed meanwhile is given again on the same payment method, and the money taken from that one.

use chrono::{DateTime, Utc};
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
    authorizations::{Authorization, let_go, store},
    ledger::{self, Movement, posting},
    lookup::ask_once,
    payments::{Payment, Status, UnderWay, of_order},
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

    async fn prepare(
        &self,
        tx: &mut PgConnection,
        command: &CapturePayment,
        context: &mut Context,
    ) -> Result<Prepare<Prepared, PaymentCaptured>, HandlerError> {
        let Some(payment) = UnderWay::Capture.begin(tx, command.order_id).await? else {
            return why_not(command, of_order(tx, command.order_id).await?);
        };
        let within = command.amount.currency() == payment.authorized.currency()
            && command.amount.amount() <= payment.authorized.amount();
        if !within {
            let message = format!("{} is more than the authorized {}", command.amount, payment.authorized);
            return Err(HandlerError::refused(REFUSED_CAPTURE, message));
        }
        Ok(Prepare::Call(Prepared {
            key: Key(context.idempotency_key()),
            payment_id: payment.payment_id,
            reference: payment.reference,
            authorized: payment.authorized,
            amount: command.amount,
        }))
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

    async fn record(
        &self,
        tx: &mut PgConnection,
        command: CapturePayment,
        prepared: Prepared,
        answers: Answers,
        context: &mut Context,
    ) -> Handled<PaymentCaptured> {
        let Prepared { mut payment_id, authorized, amount, .. } = prepared;
        if let Some((reference, capture_before)) = answers.again {
            let_go(tx, payment_id, authorized, context.now).await?;
            payment_id = kit::ids::payment_id();
            let given = Authorization { payment_id, amount: authorized, reference, capture_before };
            store(tx, command.order_id, &given, context.now).await?;
        }
        let refused = match answers.last {
            Answer::Done => None,
            Answer::Refused { code, message } => Some((code, message)),
            Answer::Lapsed => Some((REFUSED_CAPTURE.to_owned(), "the authorization lapsed again".to_owned())),
            Answer::Authorized { .. } => {
                return Err(HandlerError::fault("the provider answered a capture with `authorized`"));
            }
        };
        if let Some((code, message)) = refused {
            sqlx::query("UPDATE payment SET under_way = NULL, updated_at = $2 WHERE payment_id = $1")
                .bind(payment_id.uuid())
                .bind(context.now)
                .execute(tx)
                .await?;
            return Ok(Outcome::refused(&code, message));
        }
        let statement = posting!(
            "UPDATE payment SET status = 'captured', captured_amount = $7, updated_at = $2, under_way = NULL
             WHERE payment_id = $6 AND status = 'authorized' RETURNING payment_id"
        );
        let lines = ledger::post(statement, Movement::Capture { authorized, captured: amount }, context.now)
            .bind(payment_id.uuid())
            .bind(amount.amount())
            .execute(tx)
            .await?;
        if lines.rows_affected() == 0 {
            return Err(HandlerError::fault(format!("the payment {payment_id} is no longer authorized")));
        }
        Ok(Outcome::done(PaymentCaptured { payment_id }))
    }
}

/// The answer when the order has no payment that can be captured now.
fn why_not(
    command: &CapturePayment,
    payment: Option<Payment>,
) -> Result<Prepare<Prepared, PaymentCaptured>, HandlerError> {
    let order_id = command.order_id;
    let refused = |message: String| Ok(Prepare::Answer(Outcome::refused(REFUSED_NOT_AUTHORIZED, message)));
    let Some(payment) = payment else { return refused(format!("nothing is authorized for {order_id}")) };
    match (payment.status, payment.under_way) {
        (Status::Captured, _) => Ok(Prepare::Answer(Outcome::done(PaymentCaptured { payment_id: payment.payment_id }))),
        (Status::Voided | Status::Refunded, _) => refused(format!("the payment of {order_id} was given back")),
        (Status::Authorized, Some(UnderWay::Undo)) => refused(format!("the payment of {order_id} is being given back")),
        (Status::Authorized, Some(UnderWay::Capture) | None) => {
            Err(HandlerError::fault(format!("{} is being captured already", payment.payment_id)))
        }
    }
}
