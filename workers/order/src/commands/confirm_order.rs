//! `order.confirm`: everything of the order is confirmed and paid.

use contract::{
    command::Outcome,
    order::{ConfirmOrder, OrderConfirmation, OrderConfirmed},
};
use sqlx::PgConnection;
use worker_runtime::{Context, Handled, Handler};

use super::{Orders, only_if_pending};

impl Handler<ConfirmOrder> for Orders {
    async fn handle(
        &self,
        tx: &mut PgConnection,
        order: ConfirmOrder,
        context: &mut Context,
    ) -> Handled<OrderConfirmation> {
        let changed = sqlx::query(
            "WITH changed AS (
                 UPDATE orders SET status = 'confirmed', flight_reference = $2, stay_reference = $3, updated_at = $4
                 WHERE order_id = $1 AND status = 'pending' RETURNING order_id
             )
             INSERT INTO order_history (order_id, status, command_id, at)
             SELECT order_id, 'confirmed', $5, $4 FROM changed",
        )
        .bind(order.order_id.uuid())
        .bind(&order.flight_reference)
        .bind(&order.stay_reference)
        .bind(context.now)
        .bind(context.command_id.to_string())
        .execute(tx)
        .await?;
        only_if_pending(changed.rows_affected(), order.order_id)?;
        context.emit(&OrderConfirmed { order_id: order.order_id });
        Ok(Outcome::done(OrderConfirmation {}))
    }
}
