//! `order.create`: the orders of a set are judged and kept, as pending or, when one breaks a rule, as rejected from the
//! start. A refused order is kept too, so that the person who placed it finds it among the others, with the reason.

use contract::{
    Refusal,
    command::Outcome,
    order::{CreateOrder, OrderCreated, OrderItem, OrderStatus, Traveller},
};
use sqlx::PgConnection;
use uuid::Uuid;
use worker_runtime::{Member, SetHandled, SetHandler};

use super::Orders;
use crate::rules;

impl SetHandler<CreateOrder> for Orders {
    async fn handle_many(&self, tx: &mut PgConnection, set: &mut [Member<CreateOrder>]) -> SetHandled<OrderCreated> {
        let judge = |member: &Member<CreateOrder>| rules::judge(&member.command, member.context.now.date_naive()).err();
        let refusals: Vec<Option<Refusal>> = set.iter().map(judge).collect();
        insert(tx, set, &refusals).await?;
        let outcome =
            |refusal: Option<Refusal>| refusal.map_or_else(|| Outcome::done(OrderCreated {}), Outcome::Refused);
        Ok(refusals.into_iter().map(outcome).collect())
    }
}

/// The parts of all orders of a set, each with its order and its place there.
fn parts<'a, T>(set: &'a [Member<CreateOrder>], of: impl Fn(&'a CreateOrder) -> &'a [T]) -> Vec<(Uuid, i16, &'a T)> {
    let of_order = |member: &'a Member<CreateOrder>| {
        let order_id = member.command.order_id.uuid();
        (1..).zip(of(&member.command)).map(move |(place, part)| (order_id, place, part))
    };
    set.iter().flat_map(of_order).collect()
}

async fn insert(
    tx: &mut PgConnection,
    set: &[Member<CreateOrder>],
    refusals: &[Option<Refusal>],
) -> Result<(), sqlx::Error> {
    let Some(now) = set.first().map(|member| member.context.now) else { return Ok(()) };
    let orders = || set.iter().map(|member| &member.command);
    let status = |refusal: &Option<Refusal>| {
        if refusal.is_none() { OrderStatus::Pending.as_str() } else { OrderStatus::Rejected.as_str() }
    };
    let items: Vec<(Uuid, i16, &OrderItem)> = parts(set, |order| &order.items);
    let people: Vec<(Uuid, i16, &Traveller)> = parts(set, |order| &order.travellers);
    sqlx::query(
        "WITH placed AS (
             INSERT INTO orders (order_id, user_id, status, reason_code, reason, total_amount, total_currency,
                                 created_at, updated_at)
             SELECT order_id, user_id, status, reason_code, reason, amount, currency, $1, $1
             FROM unnest($2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::numeric[], $8::text[])
                 AS o (order_id, user_id, status, reason_code, reason, amount, currency)
             ORDER BY order_id
         ), items AS (
             INSERT INTO order_item (order_id, place, offer_id, description, amount, currency)
             SELECT * FROM unnest($9::uuid[], $10::smallint[], $11::text[], $12::text[], $13::numeric[], $14::text[])
         ), travellers AS (
             INSERT INTO order_traveller (order_id, place, given_name, family_name, born_on, email)
             SELECT * FROM unnest($15::uuid[], $16::smallint[], $17::text[], $18::text[], $19::date[], $20::text[])
         )
         INSERT INTO order_history (order_id, status, command_id, at)
         SELECT order_id, status, command_id, $1
         FROM unnest($2::uuid[], $4::text[], $21::text[]) AS h (order_id, status, command_id)",
    )
    .bind(now)
    .bind(orders().map(|order| order.order_id.uuid()).collect::<Vec<_>>())
    .bind(orders().map(|order| order.user_id.uuid()).collect::<Vec<_>>())
    .bind(refusals.iter().map(status).collect::<Vec<_>>())
    .bind(refusals.iter().map(|refusal| refusal.as_ref().map(|one| one.code.as_str())).collect::<Vec<_>>())
    .bind(refusals.iter().map(|refusal| refusal.as_ref().map(|one| one.message.as_str())).collect::<Vec<_>>())
    .bind(orders().map(|order| order.total.amount()).collect::<Vec<_>>())
    .bind(orders().map(|order| order.total.currency_code()).collect::<Vec<_>>())
    .bind(items.iter().map(|(order, ..)| *order).collect::<Vec<_>>())
    .bind(items.iter().map(|(_, place, _)| *place).collect::<Vec<_>>())
    .bind(items.iter().map(|(.., item)| item.offer_id.as_str()).collect::<Vec<_>>())
    .bind(items.iter().map(|(.., item)| item.description.as_str()).collect::<Vec<_>>())
    .bind(items.iter().map(|(.., item)| item.total.amount()).collect::<Vec<_>>())
    .bind(items.iter().map(|(.., item)| item.total.currency_code()).collect::<Vec<_>>())
    .bind(people.iter().map(|(order, ..)| *order).collect::<Vec<_>>())
    .bind(people.iter().map(|(_, place, _)| *place).collect::<Vec<_>>())
    .bind(people.iter().map(|(.., person)| person.given_name.as_str()).collect::<Vec<_>>())
    .bind(people.iter().map(|(.., person)| person.family_name.as_str()).collect::<Vec<_>>())
    .bind(people.iter().map(|(.., person)| person.born_on.date()).collect::<Vec<_>>())
    .bind(people.iter().map(|(.., person)| person.email.as_str()).collect::<Vec<_>>())
    .bind(set.iter().map(|member| member.context.command_id.to_string()).collect::<Vec<_>>())
    .execute(tx)
    .await?;
    Ok(())
}
