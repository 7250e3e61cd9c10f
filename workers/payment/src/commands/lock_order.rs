//! The payments of a batch with commands of several kinds, locked in the order of their ids.

use contract::payment::{self as v1, v2};
use sqlx::PgConnection;
use worker_runtime::{Batch, DomainError, HandlerError, LockOrder};

use super::{calls::Payments, versions::NamesPayment};

impl LockOrder for Payments {
    async fn lock(&self, tx: &mut PgConnection, batch: &Batch<'_>) -> Result<(), HandlerError> {
        let authorized = batch.of::<v1::AuthorizePayment>().map(|command| command.order_id.uuid());
        let authorized = authorized.chain(batch.of::<v2::AuthorizePayment>().map(|command| command.order_id.uuid()));
        let captured = batch.of::<v1::CapturePayment>().map(NamesPayment::named);
        let voided = batch.of::<v1::VoidPayment>().map(NamesPayment::named);
        let orders = authorized.chain(captured).chain(voided);
        let completed = batch.of::<v2::CompleteAuthorization>().map(NamesPayment::named);
        let captured = batch.of::<v2::CapturePayment>().map(NamesPayment::named);
        let voided = batch.of::<v2::VoidPayment>().map(NamesPayment::named);
        let refunded = batch.of::<v2::RefundPayment>().map(NamesPayment::named);
        let payments = completed.chain(captured).chain(refunded).chain(voided);
        sqlx::query(
            "SELECT FROM payment WHERE order_id = ANY($1) OR payment_id = ANY($2)
             ORDER BY payment_id FOR NO KEY UPDATE",
        )
        .bind(orders.collect::<Vec<_>>())
        .bind(payments.collect::<Vec<_>>())
        .execute(tx)
        .await
        .map_err(DomainError::doing("locking the payments of a batch"))?;
        Ok(())
    }
}
