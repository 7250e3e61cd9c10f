//! `order.create`: the order is judged and kept, as pending or, when it breaks a rule, as rejected from the start. A
//! refused order is kept too, so that the person who placed it finds it among the others, with the reason.

use contract::{
    Refusal,
    command::Outcome,
    order::{CreateOrder, OrderCreated, OrderStatus},
};
use sqlx::PgConnection;
use worker_runtime::{Context, Handled, Handler};

use super::Orders;
use crate::rules;

impl Handler<CreateOrder> for Orders {
    async fn handle(&self, tx: &mut PgConnection, order: CreateOrder, context: &mut Context) -> Handled<OrderCreated> {
        let refusal = rules::judge(&order, context.now.date_naive()).err();
        insert(tx, &order, refusal.as_ref(), context).await?;
        Ok(refusal.map_or_else(|| Outcome::done(OrderCreated {}), Outcome::Refused))
    }
}

async fn insert(
    tx: &mut PgConnection,
    order: &CreateOrder,
    refusal: Option<&Refusal>,
    context: &Context,
) -> Result<(), sqlx::Error> {
    let status = if refusal.is_none() { OrderStatus::Pending } else { OrderStatus::Rejected };
    let amounts: Vec<_> = order.items.iter().map(|item| item.total.amount()).collect();
    let currencies: Vec<_> = order.items.iter().map(|item| item.total.currency_code()).collect();
    let offers: Vec<_> = order.items.iter().map(|item| item.offer_id.as_str()).collect();
    let descriptions: Vec<_> = order.items.iter().map(|item| item.description.as_str()).collect();
    let given_names: Vec<_> = order.travellers.iter().map(|person| person.given_name.as_str()).collect();
    let family_names: Vec<_> = order.travellers.iter().map(|person| person.family_name.as_str()).collect();
    let births: Vec<_> = order.travellers.iter().map(|person| person.born_on.date()).collect();
    let emails: Vec<_> = order.travellers.iter().map(|person| person.email.as_str()).collect();
    sqlx::query(
        "WITH placed AS (
             INSERT INTO orders (order_id, user_id, status, reason_code, reason, total_amount, total_currency,
                                 created_at, updated_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8)
         ), items AS (
             INSERT INTO order_item (order_id, place, offer_id, description, amount, currency)
             SELECT $1, place, offer_id, description, amount, currency
             FROM unnest($9::text[], $10::text[], $11::numeric[], $12::text[])
                  WITH ORDINALITY AS item (offer_id, description, amount, currency, place)
         ), travellers AS (
             INSERT INTO order_traveller (order_id, place, given_name, family_name, born_on, email)
             SELECT $1, place, given_name, family_name, born_on, email
             FROM unnest($13::text[], $14::text[], $15::date[], $16::text[])
                  WITH ORDINALITY AS person (given_name, family_name, born_on, email, place)
         )
         INSERT INTO order_history (order_id, status, command_id, at) VALUES ($1, $3, $17, $8)",
    )
    .bind(order.order_id.uuid())
    .bind(order.user_id.uuid())
    .bind(status.as_str())
    .bind(refusal.map(|refusal| refusal.code.as_str()))
    .bind(refusal.map(|refusal| refusal.message.as_str()))
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
    Ok(())
}
