//! The orders of a batch with commands of several kinds, locked in the order of their ids.

use contract::order::{ConfirmOrder, RejectOrder};
use sqlx::PgConnection;
use worker_runtime::{Batch, HandlerError, LockOrder};

use super::Orders;

impl LockOrder for Orders {
    async fn lock(&self, tx: &mut PgConnection, batch: &Batch<'_>) -> Result<(), HandlerError> {
        let confirmed = batch.of::<ConfirmOrder>().map(|command| command.order_id);
        let rejected = batch.of::<RejectOrder>().map(|command| command.order_id);
        sqlx::query("SELECT FROM orders WHERE order_id = ANY($1) ORDER BY order_id FOR NO KEY UPDATE")
            .bind(confirmed.chain(rejected).map(|order_id| order_id.uuid()).collect::<Vec<_>>())
            .execute(tx)
            .await?;
        Ok(())
    }
}
