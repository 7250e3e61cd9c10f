//! The beginning of payments and the answers to their authorizations, as the domain keeps them.

use std::collections::{HashMap, hash_map::Entry};

use chrono::{DateTime, Utc};
use contract::{
    Money, OrderId, PaymentId, SagaId, UserId,
    payment::{PaymentStatus, REFUSED_PAYMENT_EXISTS},
};
use sqlx::PgConnection;
use uuid::Uuid;
use worker_runtime::{DomainError, HandlerError};

use crate::{
    ledger::{Movement, Posting, posting},
    payments::reference,
    provider::{Action, Authorized, Refused},
};

/// A payment that is to be begun.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewPayment {
    pub(crate) payment_id: PaymentId,
    pub(crate) order_id: OrderId,
    /// None by the first version of the commands.
    pub(crate) user_id: Option<UserId>,
    pub(crate) saga_id: SagaId,
    pub(crate) amount: Money,
}

/// Keeps payments as pending; answers the number of the authorization of each, or why there is none.
pub(crate) async fn begin(
    tx: &mut PgConnection,
    new: &[NewPayment],
    now: DateTime<Utc>,
) -> Result<HashMap<PaymentId, Result<i16, Refused>>, HandlerError> {
    // In the order of the orders: a copy of these commands meets the same keys in the same order.
    let begun: Vec<Uuid> = sqlx::query_scalar(
        "INSERT INTO payment (payment_id, order_id, user_id, saga_id, status, currency, authorized_amount, created_at,
                              updated_at)
         SELECT payment_id, order_id, user_id, saga_id, 'pending', currency, amount, $1, $1
         FROM unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::uuid[], $6::text[], $7::numeric[])
              AS new (payment_id, order_id, user_id, saga_id, currency, amount)
         ORDER BY order_id ON CONFLICT DO NOTHING RETURNING payment_id",
    )
    .bind(now)
    .bind(new.iter().map(|one| one.payment_id.uuid()).collect::<Vec<_>>())
    .bind(new.iter().map(|one| one.order_id.uuid()).collect::<Vec<_>>())
    .bind(new.iter().map(|one| one.user_id.map(UserId::uuid)).collect::<Vec<_>>())
    .bind(new.iter().map(|one| one.saga_id.uuid()).collect::<Vec<_>>())
    .bind(new.iter().map(|one| one.amount.currency_code()).collect::<Vec<_>>())
    .bind(new.iter().map(|one| one.amount.amount()).collect::<Vec<_>>())
    .fetch_all(&mut *tx)
    .await?;
    let mut numbers: HashMap<_, _> = begun.into_iter().map(|id| (PaymentId::from_uuid(id), Ok(1))).collect();
    for one in new {
        if let Entry::Vacant(place) = numbers.entry(one.payment_id) {
            place.insert(begin_again(tx, one, now).await?);
        }
    }
    Ok(numbers)
}

/// A payment that was refused may be asked for again by its saga, which an operator has told to. Everything else that is in
/// the way of a new payment stays in its way.
async fn begin_again(
    tx: &mut PgConnection,
    new: &NewPayment,
    now: DateTime<Utc>,
) -> Result<Result<i16, Refused>, HandlerError> {
    let number: Option<i16> = sqlx::query_scalar(
        "UPDATE payment SET status = 'pending', failure_code = NULL, provider_reference = NULL, updated_at = $1,
                authorization_number = authorization_number + 1, authorized_amount = $4, currency = $5
         WHERE payment_id = $2 AND saga_id = $3 AND status = 'failed' RETURNING authorization_number",
    )
    .bind(now)
    .bind(new.payment_id.uuid())
    .bind(new.saga_id.uuid())
    .bind(new.amount.amount())
    .bind(new.amount.currency_code())
    .fetch_optional(&mut *tx)
    .await?;
    if let Some(number) = number {
        return Ok(Ok(number));
    }
    let exists: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM payment WHERE payment_id = $1)")
        .bind(new.payment_id.uuid())
        .fetch_one(tx)
        .await?;
    if exists {
        let message = format!("{} was begun already", new.payment_id);
        return Ok(Err(Refused::new(REFUSED_PAYMENT_EXISTS, message)));
    }
    // At most one of an order is open at a time (S23).
    Err(HandlerError::fault(format!("the order {} has another payment that is not over", new.order_id)))
}

/// The answer to the authorization of a payment.
#[derive(Debug, Clone)]
pub(crate) struct Answered<T> {
    pub(crate) payment_id: PaymentId,
    pub(crate) answer: T,
}

/// An authorization that was given, with what it was asked for.
#[derive(Debug, Clone)]
pub(crate) struct Given {
    pub(crate) amount: Money,
    /// The number of the authorization.
    pub(crate) number: i16,
    pub(crate) authorized: Authorized,
}

/// Keeps authorizations of payments that are in the state `from`.
pub(crate) async fn store(
    tx: &mut PgConnection,
    from: PaymentStatus,
    given: &[Answered<Given>],
    now: DateTime<Utc>,
) -> Result<(), HandlerError> {
    let mut posting = Posting::default();
    for Answered { payment_id, answer } in given {
        let key = reference(*payment_id, answer.number).0;
        posting.add(*payment_id, Movement::Authorize { amount: answer.amount }, &key);
    }
    if posting.is_empty() {
        return Ok(());
    }
    let statement = posting!(
        "UPDATE payment SET status = 'authorized', provider_reference = given.reference,
                capture_before = given.capture_before, action_url = NULL, action_expires_at = NULL, updated_at = $1
         FROM unnest($2::uuid[], $10::text[], $11::timestamptz[]) AS given (payment_id, reference, capture_before)
         WHERE (SELECT count(*) FROM locked) > 0 AND payment.payment_id = given.payment_id AND status = $12
           AND under_way IS NULL
         RETURNING payment.payment_id"
    );
    let lines = posting.lines();
    let written = posting
        .query(statement, now)
        .bind(given.iter().map(|one| one.answer.authorized.provider_reference.0.clone()).collect::<Vec<_>>())
        .bind(given.iter().map(|one| one.answer.authorized.capture_before).collect::<Vec<_>>())
        .bind(from.as_str())
        .execute(tx)
        .await?;
    if written.rows_affected() != lines {
        return Err(HandlerError::fault("a payment was given back while it was authorized"));
    }
    Ok(())
}

/// Keeps the acts that the provider wants of clients.
pub(crate) async fn wait(
    tx: &mut PgConnection,
    acts: &[Answered<Action>],
    now: DateTime<Utc>,
) -> Result<(), DomainError> {
    if acts.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "WITH locked AS MATERIALIZED (
             SELECT payment_id FROM payment WHERE payment_id = ANY($2) ORDER BY payment_id FOR NO KEY UPDATE
         )
         UPDATE payment SET status = 'requires_action', provider_reference = act.reference, action_url = act.url,
                action_expires_at = act.expires_at, updated_at = $1
         FROM unnest($2::uuid[], $3::text[], $4::text[], $5::timestamptz[]) AS act (payment_id, reference, url, expires_at)
         WHERE (SELECT count(*) FROM locked) > 0 AND payment.payment_id = act.payment_id AND status = 'pending'",
    )
    .bind(now)
    .bind(acts.iter().map(|one| one.payment_id.uuid()).collect::<Vec<_>>())
    .bind(acts.iter().map(|one| one.answer.provider_reference.0.as_str()).collect::<Vec<_>>())
    .bind(acts.iter().map(|one| one.answer.url.as_str()).collect::<Vec<_>>())
    .bind(acts.iter().map(|one| one.answer.expires_at).collect::<Vec<_>>())
    .execute(tx)
    .await
    .map_err(DomainError::doing("keeping the acts that payments wait for"))?;
    Ok(())
}

/// Keeps refusals of authorizations.
pub(crate) async fn refuse(
    tx: &mut PgConnection,
    refused: &[Answered<Refused>],
    now: DateTime<Utc>,
) -> Result<(), DomainError> {
    if refused.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "WITH locked AS MATERIALIZED (
             SELECT payment_id FROM payment WHERE payment_id = ANY($2) ORDER BY payment_id FOR NO KEY UPDATE
         )
         UPDATE payment SET status = 'failed', failure_code = refused.code, action_url = NULL, action_expires_at = NULL,
                updated_at = $1
         FROM unnest($2::uuid[], $3::text[]) AS refused (payment_id, code)
         WHERE (SELECT count(*) FROM locked) > 0 AND payment.payment_id = refused.payment_id
           AND status IN ('pending', 'requires_action') AND under_way IS NULL",
    )
    .bind(now)
    .bind(refused.iter().map(|one| one.payment_id.uuid()).collect::<Vec<_>>())
    .bind(refused.iter().map(|one| one.answer.code).collect::<Vec<_>>())
    .execute(tx)
    .await
    .map_err(DomainError::doing("keeping refusals of payments"))?;
    Ok(())
}

/// Puts new authorizations in the place of lapsed ones, while their payments are captured.
pub(crate) async fn replace(
    tx: &mut PgConnection,
    given: &[Answered<Given>],
    now: DateTime<Utc>,
) -> Result<(), DomainError> {
    let mut posting = Posting::default();
    for Answered { payment_id, answer } in given {
        let Given { amount, number, .. } = answer;
        posting.add(*payment_id, Movement::Void { authorized: *amount }, &reference(*payment_id, number - 1).0);
        posting.add(*payment_id, Movement::Authorize { amount: *amount }, &reference(*payment_id, *number).0);
    }
    if posting.is_empty() {
        return Ok(());
    }
    let statement = posting!(
        "UPDATE payment SET provider_reference = given.reference, capture_before = given.capture_before,
                authorization_number = given.number, updated_at = $1
         FROM unnest($10::uuid[], $11::text[], $12::timestamptz[], $13::smallint[])
              AS given (payment_id, reference, capture_before, number)
         WHERE (SELECT count(*) FROM locked) > 0 AND payment.payment_id = given.payment_id
           AND status = 'authorized' AND under_way = 'capture'
         RETURNING payment.payment_id"
    );
    posting
        .query(statement, now)
        .bind(given.iter().map(|one| one.payment_id.uuid()).collect::<Vec<_>>())
        .bind(given.iter().map(|one| one.answer.authorized.provider_reference.0.clone()).collect::<Vec<_>>())
        .bind(given.iter().map(|one| one.answer.authorized.capture_before).collect::<Vec<_>>())
        .bind(given.iter().map(|one| one.answer.number).collect::<Vec<_>>())
        .execute(tx)
        .await
        .map_err(DomainError::doing("replacing lapsed authorizations"))?;
    Ok(())
}
