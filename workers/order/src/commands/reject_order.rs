//! `order.reject`: the orders did not come about, and say why.

use contract::{
    command::Outcome,
    order::{OrderRejected, OrderRejection, RejectOrder},
};
use sqlx::PgConnection;
use uuid::Uuid;
use worker_runtime::{Member, SetHandled, SetHandler};

use super::{Orders, only_if_pending};

impl SetHandler<RejectOrder> for Orders {
    async fn handle_many(&self, tx: &mut PgConnection, set: &mut [Member<RejectOrder>]) -> SetHandled<OrderRejection> {
        let Some(now) = set.first().map(|member| member.context.now) else { return Ok(Vec::new()) };
        let orders = || set.iter().map(|member| &member.command);
        let changed: Vec<Uuid> = sqlx::query_scalar(
            "WITH locked AS MATERIALIZED (
                 SELECT order_id FROM orders WHERE order_id = ANY($2) ORDER BY order_id FOR NO KEY UPDATE
             ), changed AS (
                 UPDATE orders o SET status = 'rejected', reason_code = a.reason_code, reason = a.reason, updated_at = $1
                 FROM unnest($2::uuid[], $3::text[], $4::text[], $5::text[])
                     AS a (order_id, reason_code, reason, command_id)
                 WHERE (SELECT count(*) FROM locked) > 0 AND o.order_id = a.order_id AND o.status = 'pending' RETURNING o.order_id, a.command_id
             ), unpaid AS (
                 DELETE FROM order_payment WHERE order_id IN (SELECT order_id FROM changed) AND recorded_at IS NULL
             )
             INSERT INTO order_history (order_id, status, command_id, at)
             SELECT order_id, 'rejected', command_id, $1 FROM changed RETURNING order_id",
        )
        .bind(now)
        .bind(orders().map(|order| order.order_id.uuid()).collect::<Vec<_>>())
        .bind(orders().map(|order| order.reason_code.as_str()).collect::<Vec<_>>())
        .bind(orders().map(|order| order.reason.as_str()).collect::<Vec<_>>())
        .bind(set.iter().map(|member| member.context.command_id.to_string()).collect::<Vec<_>>())
        .fetch_all(tx)
        .await?;
        only_if_pending(&changed, orders().map(|order| order.order_id))?;
        for Member { command, context } in &mut *set {
            context.emit(&OrderRejected { order_id: command.order_id, reason_code: command.reason_code.clone() });
        }
        Ok(set.iter().map(|_| Outcome::done(OrderRejection {})).collect())
    }
}
