//! The payments of a batch with commands of several kinds, locked in the order of their ids.

use contract::payment::{AuthorizePayment, CapturePayment, VoidPayment};
use sqlx::PgConnection;
use worker_runtime::{Batch, DomainError, HandlerError, LockOrder};

use super::Payments;

impl LockOrder for Payments {
    async fn lock(&self, tx: &mut PgConnection, batch: &Batch<'_>) -> Result<(), HandlerError> {
        let authorized = batch.of::<AuthorizePayment>().map(|command| command.order_id);
        let captured = batch.of::<CapturePayment>().map(|command| command.order_id);
        let voided = batch.of::<VoidPayment>().map(|command| command.order_id);
        let orders = authorized.chain(captured).chain(voided).map(|order_id| order_id.uuid());
        sqlx::query("SELECT FROM payment WHERE order_id = ANY($1) ORDER BY payment_id FOR NO KEY UPDATE")
            .bind(orders.collect::<Vec<_>>())
            .execute(tx)
            .await
            .map_err(DomainError::doing("locking the payments of a batch"))?;
        Ok(())
    }
}
