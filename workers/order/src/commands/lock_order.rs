//! The orders of a batch with commands of several kinds, locked in the order of their ids.

use contract::order::{BeginPayment, CloseOrder, ConfirmOrder, EndPayment, RecordPayment, RejectOrder};
use sqlx::PgConnection;
use worker_runtime::{Batch, HandlerError, LockOrder};

use super::{Orders, lock};

impl LockOrder for Orders {
    async fn lock(&self, tx: &mut PgConnection, batch: &Batch<'_>) -> Result<(), HandlerError> {
        let confirmed = batch.of::<ConfirmOrder>().map(|command| command.order_id);
        let rejected = batch.of::<RejectOrder>().map(|command| command.order_id);
        let closed = batch.of::<CloseOrder>().map(|command| command.order.order_id);
        let begun = batch.of::<BeginPayment>().map(|command| command.order_id);
        let ended = batch.of::<EndPayment>().map(|command| command.order_id);
        let recorded = batch.of::<RecordPayment>().map(|command| command.order_id);
        lock(tx, confirmed.chain(rejected).chain(closed).chain(begun).chain(ended).chain(recorded)).await
    }
}
