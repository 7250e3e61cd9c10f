//! An authorization that the provider has given, as the domain keeps it.

use chrono::{DateTime, Utc};
use contract::{Money, OrderId, PaymentId};
use sqlx::PgConnection;
use worker_runtime::DomainError;

use crate::{
    ledger::{self, Movement, posting},
    provider::Reference,
};

/// Money that is reserved at the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Authorization {
    pub(crate) payment_id: PaymentId,
    pub(crate) amount: Money,
    pub(crate) reference: Reference,
    pub(crate) capture_before: DateTime<Utc>,
}

/// Keeps it as the order's live payment.
pub(crate) async fn store(
    tx: &mut PgConnection,
    order_id: OrderId,
    given: &Authorization,
    now: DateTime<Utc>,
) -> Result<(), DomainError> {
    let statement = posting!(
        "INSERT INTO payment (payment_id, order_id, status, currency, authorized_amount, provider_reference,
                              capture_before, created_at, updated_at)
         VALUES ($6, $7, 'authorized', $8, $9, $10, $11, $2, $2) RETURNING payment_id"
    );
    ledger::post(statement, Movement::Authorize { amount: given.amount }, now)
        .bind(given.payment_id.uuid())
        .bind(order_id.uuid())
        .bind(given.amount.currency_code())
        .bind(given.amount.amount())
        .bind(given.reference.0.clone())
        .bind(given.capture_before)
        .execute(tx)
        .await
        .map_err(DomainError::doing("keeping an authorization"))?;
    Ok(())
}

/// Lets an authorization go that has lapsed at the provider.
pub(crate) async fn let_go(
    tx: &mut PgConnection,
    payment_id: PaymentId,
    amount: Money,
    now: DateTime<Utc>,
) -> Result<(), DomainError> {
    let statement = posting!(
        "UPDATE payment SET status = 'voided', under_way = NULL, updated_at = $2
         WHERE payment_id = $6 AND status = 'authorized' RETURNING payment_id"
    );
    ledger::post(statement, Movement::Void { authorized: amount }, now)
        .bind(payment_id.uuid())
        .execute(tx)
        .await
        .map_err(DomainError::doing("letting a lapsed authorization go"))?;
    Ok(())
}
