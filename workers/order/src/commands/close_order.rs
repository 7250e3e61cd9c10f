//! `order.close`: a person gave the sagas of the orders up. Each order ends as closed, whether it was created or not.

use std::collections::HashSet;

use contract::{
    command::Outcome,
    order::{CloseOrder, OrderClosed},
};
use sqlx::PgConnection;
use uuid::Uuid;
use worker_runtime::{Member, SetHandled, SetHandler};

use super::{Orders, create_order::create, lock};
use crate::rules::NewOrder;

impl SetHandler<CloseOrder> for Orders {
    async fn handle_many(&self, tx: &mut PgConnection, set: &mut [Member<CloseOrder>]) -> SetHandled<OrderClosed> {
        let Some(now) = set.first().map(|member| member.context.now) else { return Ok(Vec::new()) };
        let orders = || set.iter().map(|member| &member.command);
        let ids = || orders().map(|close| close.order.order_id.uuid()).collect::<Vec<_>>();
        lock(tx, orders().map(|close| close.order.order_id)).await?;
        let known: Vec<Uuid> = sqlx::query_scalar("SELECT order_id FROM orders WHERE order_id = ANY($1)")
            .bind(ids())
            .fetch_all(&mut *tx)
            .await?;
        let known: HashSet<_> = known.into_iter().collect();
        // An order that never reached this domain is kept all the same; a late order.create then meets it, and fails.
        let unknown = set.iter().filter(|member| !known.contains(&member.command.order.order_id.uuid()));
        create(tx, unknown, without_payment).await?;
        sqlx::query(
            "WITH changed AS (
                 UPDATE orders o SET status = 'closed', reason_code = a.reason_code, reason = a.reason, updated_at = $1
                 FROM unnest($2::uuid[], $3::text[], $4::text[], $5::text[])
                     AS a (order_id, reason_code, reason, command_id)
                 WHERE o.order_id = a.order_id AND o.status = 'pending' RETURNING o.order_id, a.command_id
             )
             INSERT INTO order_history (order_id, status, command_id, at)
             SELECT order_id, 'closed', command_id, $1 FROM changed",
        )
        .bind(now)
        .bind(ids())
        .bind(orders().map(|close| close.reason_code.as_str()).collect::<Vec<_>>())
        .bind(orders().map(|close| close.reason.as_str()).collect::<Vec<_>>())
        .bind(set.iter().map(|member| member.context.command_id.to_string()).collect::<Vec<_>>())
        .execute(tx)
        .await?;
        Ok(set.iter().map(|_| Outcome::done(OrderClosed {})).collect())
    }
}

/// The order as it was to be created, but for the payment: nothing more is to be paid for it.
fn without_payment(close: &CloseOrder) -> NewOrder<'_> {
    NewOrder { first_payment: None, ..NewOrder::from(&close.order) }
}
