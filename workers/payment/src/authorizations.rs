//! Authorizations that the provider has given, as the domain keeps them.

use chrono::{DateTime, Utc};
use contract::{Money, OrderId, PaymentId};
use sqlx::PgConnection;
use worker_runtime::DomainError;

use crate::{
    ledger::{Movement, Posting, posting},
    provider::Reference,
};

/// Money that is reserved at the provider for an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Authorization {
    pub(crate) payment_id: PaymentId,
    pub(crate) order_id: OrderId,
    pub(crate) amount: Money,
    pub(crate) reference: Reference,
    pub(crate) capture_before: DateTime<Utc>,
}

/// Keeps them as the live payments of their orders.
pub(crate) async fn store(
    tx: &mut PgConnection,
    given: &[Authorization],
    now: DateTime<Utc>,
) -> Result<(), DomainError> {
    let mut posting = Posting::default();
    for one in given {
        posting.add(one.payment_id, Movement::Authorize { amount: one.amount });
    }
    if posting.is_empty() {
        return Ok(());
    }
    // In the order of the orders: a copy of these commands meets the same keys in the same order.
    let statement = posting!(
        "INSERT INTO payment (payment_id, order_id, status, currency, authorized_amount, provider_reference,
                              capture_before, created_at, updated_at)
         SELECT payment_id, order_id, 'authorized', currency, amount, reference, capture_before, $1, $1
         FROM unnest($2::uuid[], $8::uuid[], $9::text[], $10::numeric[], $11::text[], $12::timestamptz[])
              AS given (payment_id, order_id, currency, amount, reference, capture_before)
         ORDER BY order_id RETURNING payment_id"
    );
    posting
        .query(statement, now)
        .bind(given.iter().map(|one| one.order_id.uuid()).collect::<Vec<_>>())
        .bind(given.iter().map(|one| one.amount.currency_code()).collect::<Vec<_>>())
        .bind(given.iter().map(|one| one.amount.amount()).collect::<Vec<_>>())
        .bind(given.iter().map(|one| one.reference.0.clone()).collect::<Vec<_>>())
        .bind(given.iter().map(|one| one.capture_before).collect::<Vec<_>>())
        .execute(tx)
        .await
        .map_err(DomainError::doing("keeping authorizations"))?;
    Ok(())
}

/// Lets authorizations go that have lapsed at the provider.
pub(crate) async fn let_go(
    tx: &mut PgConnection,
    lapsed: &[(PaymentId, Money)],
    now: DateTime<Utc>,
) -> Result<(), DomainError> {
    let mut posting = Posting::default();
    for (payment_id, authorized) in lapsed {
        posting.add(*payment_id, Movement::Void { authorized: *authorized });
    }
    if posting.is_empty() {
        return Ok(());
    }
    let statement = posting!(
        "UPDATE payment SET status = 'voided', under_way = NULL, updated_at = $1
         WHERE (SELECT count(*) FROM locked) > 0 AND payment_id = ANY($2) AND status = 'authorized'
         RETURNING payment_id"
    );
    posting.query(statement, now).execute(tx).await.map_err(DomainError::doing("letting lapsed authorizations go"))?;
    Ok(())
}
