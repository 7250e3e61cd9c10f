//! `order.confirm`: everything of the orders is confirmed and paid.

use contract::{
    command::Outcome,
    order::{ConfirmOrder, OrderConfirmation, OrderConfirmed},
};
use sqlx::PgConnection;
use uuid::Uuid;
use worker_runtime::{Member, SetHandled, SetHandler};

use super::{Orders, only_if_pending};

impl SetHandler<ConfirmOrder> for Orders {
    async fn handle_many(
        &self,
        tx: &mut PgConnection,
        set: &mut [Member<ConfirmOrder>],
    ) -> SetHandled<OrderConfirmation> {
        let Some(now) = set.first().map(|member| member.context.now) else { return Ok(Vec::new()) };
        let orders = || set.iter().map(|member| &member.command);
        let changed: Vec<Uuid> = sqlx::query_scalar(
            "WITH locked AS MATERIALIZED (
                 SELECT order_id FROM orders WHERE order_id = ANY($2) ORDER BY order_id FOR NO KEY UPDATE
             ), changed AS (
                 UPDATE orders o SET status = 'confirmed',
                        paid_amount = CASE WHEN o.payment_plan IS NULL THEN o.total_amount ELSE o.paid_amount END,
                        flight_reference = a.flight_reference,
                        stay_reference = a.stay_reference, updated_at = $1
                 FROM unnest($2::uuid[], $3::text[], $4::text[], $5::text[])
                     AS a (order_id, flight_reference, stay_reference, command_id)
                 WHERE (SELECT count(*) FROM locked) > 0 AND o.order_id = a.order_id AND o.status = 'pending' RETURNING o.order_id, a.command_id
             )
             INSERT INTO order_history (order_id, status, command_id, at)
             SELECT order_id, 'confirmed', command_id, $1 FROM changed RETURNING order_id",
        )
        .bind(now)
        .bind(orders().map(|order| order.order_id.uuid()).collect::<Vec<_>>())
        .bind(orders().map(|order| order.flight_reference.as_deref()).collect::<Vec<_>>())
        .bind(orders().map(|order| order.stay_reference.as_deref()).collect::<Vec<_>>())
        .bind(set.iter().map(|member| member.context.command_id.to_string()).collect::<Vec<_>>())
        .fetch_all(tx)
        .await?;
        only_if_pending(&changed, orders().map(|order| order.order_id))?;
        for Member { command, context } in &mut *set {
            context.emit(&OrderConfirmed { order_id: command.order_id });
        }
        Ok(set.iter().map(|_| Outcome::done(OrderConfirmation {})).collect())
    }
}
