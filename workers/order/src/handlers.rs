//! The domain's commands. Each is one statement, so that a batch of them costs one round trip each.

use contract::command::Outcome;
use contract::order::{
    ConfirmOrder, CreateOrder, OrderConfirmation, OrderConfirmed, OrderCreated, OrderRejected, OrderRejection,
    RejectOrder,
};
use sqlx::PgConnection;
use worker_runtime::{Context, Handled, Handler, HandlerError};

/// Carries out the domain's commands.
#[derive(Debug, Clone, Copy)]
pub struct Orders;

impl Handler<CreateOrder> for Orders {
    async fn handle(&self, tx: &mut PgConnection, order: CreateOrder, context: &mut Context) -> Handled<OrderCreated> {
        let amounts: Vec<_> = order.items.iter().map(|item| item.total.amount()).collect();
        let currencies: Vec<_> = order.items.iter().map(|item| item.total.currency_code()).collect();
        let offers: Vec<_> = order.items.iter().map(|item| item.offer_id.to_string()).collect();
        let descriptions: Vec<_> = order.items.iter().map(|item| item.description.as_str()).collect();
        let given_names: Vec<_> = order.travellers.iter().map(|person| person.given_name.as_str()).collect();
        let family_names: Vec<_> = order.travellers.iter().map(|person| person.family_name.as_str()).collect();
        let births: Vec<_> = order.travellers.iter().map(|person| person.born_on).collect();
        let emails: Vec<_> = order.travellers.iter().map(|person| person.email.as_str()).collect();
        sqlx::query(
            "WITH placed AS (
                 INSERT INTO orders (order_id, user_id, status, total_amount, total_currency, created_at, updated_at)
                 VALUES ($1, $2, 'pending', $3, $4, $5, $5)
             ), items AS (
                 INSERT INTO order_item (order_id, place, offer_id, description, amount, currency)
                 SELECT $1, place, offer_id, description, amount, currency
                 FROM unnest($6::text[], $7::text[], $8::numeric[], $9::text[])
                      WITH ORDINALITY AS item (offer_id, description, amount, currency, place)
             ), travellers AS (
                 INSERT INTO order_traveller (order_id, place, given_name, family_name, born_on, email)
                 SELECT $1, place, given_name, family_name, born_on, email
                 FROM unnest($10::text[], $11::text[], $12::date[], $13::text[])
                      WITH ORDINALITY AS person (given_name, family_name, born_on, email, place)
             )
             INSERT INTO order_history (order_id, status, command_id, at) VALUES ($1, 'pending', $14, $5)",
        )
        .bind(order.order_id.uuid())
        .bind(order.user_id.uuid())
        .bind(order.total.amount())
        .bind(order.total.currency_code())
        .bind(context.now)
        .bind(offers)
        .bind(descriptions)
        .bind(amounts)
        .bind(currencies)
        .bind(given_names)
        .bind(family_names)
        .bind(births)
        .bind(emails)
        .bind(context.command_id.to_string())
        .execute(tx)
        .await?;
        Ok(Outcome::done(OrderCreated {}))
    }
}

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
        only_if_pending(changed.rows_affected(), &order.order_id.to_string())?;
        context.emit(&OrderRejected { order_id: order.order_id, reason_code: order.reason_code });
        Ok(Outcome::done(OrderRejection {}))
    }
}

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
        only_if_pending(changed.rows_affected(), &order.order_id.to_string())?;
        context.emit(&OrderConfirmed { order_id: order.order_id });
        Ok(Outcome::done(OrderConfirmation {}))
    }
}

/// Neither of the two ends may meet an order that is not pending: its one saga takes one of them, once. If it happens
/// it is a bug, and waits for a person; it must not pass as a business refusal.
fn only_if_pending(changed: u64, order_id: &str) -> Result<(), HandlerError> {
    if changed == 1 { Ok(()) } else { Err(HandlerError::fault(format!("the order {order_id} is not pending"))) }
}
