//! `order.reject`: the order did not come about, and says why.

use contract::{
    command::Outcome,
    order::{OrderRejected, OrderRejection, RejectOrder},
};
use sqlx::PgConnection;
use worker_runtime::{Context, Handled, Handler};

use super::{Orders, only_if_pending};

impl Handler<RejectOrder> for Orders {
    async fn handle(
        &self,
        tx: &mut PgConnection,
        order: RejectOrder,
        context: &mut Context,
    ) -> Handled<OrderRejection> {
        let changed = sqlx::query(
            "WITH changed AS (
                 UPDATE orders SET status = 'rejected', reason_code = $2, reason = $3, updated_at = $4
                 WHERE order_id = $1 AND status = 'pending' RETURNING order_id
             )
             INSERT INTO order_history (order_id, status, command_id, at)
             SELECT order_id, 'rejected', $5, $4 FROM changed",
        )
        .bind(order.order_id.uuid())
        .bind(&order.reason_code)
        .bind(&order.reason)
        .bind(context.now)
        .bind(context.command_id.to_string())
        .execute(tx)
        .await?;
        only_if_pending(changed.rows_affected(), order.order_id)?;
        context.emit(&OrderRejected { order_id: order.order_id, reason_code: order.reason_code });
        Ok(Outcome::done(OrderRejection {}))
    }
}
