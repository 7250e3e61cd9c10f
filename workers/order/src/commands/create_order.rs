//! `order.create`, both versions: the orders of a set are judged and kept, as pending or, when one breaks a rule, as rejected
//! from the start. A refused order is kept too, so that the person who placed it finds it among the others, with the reason.

use contract::{
    Refusal,
    command::{Command, Outcome},
    order::{CreateOrder, Due, OrderCreated, OrderItem, OrderStatus, Traveller, v2},
};
use sqlx::PgConnection;
use uuid::Uuid;
use worker_runtime::{Context, Member, SetHandled, SetHandler};

use super::Orders;
use crate::rules::{self, NewOrder};

impl SetHandler<CreateOrder> for Orders {
    async fn handle_many(&self, tx: &mut PgConnection, set: &mut [Member<CreateOrder>]) -> SetHandled<OrderCreated> {
        let judged = create(tx, &*set, NewOrder::from).await?;
        Ok(judged
            .into_iter()
            .map(|judged| judged.map_or_else(Outcome::Refused, |_| Outcome::done(OrderCreated {})))
            .collect())
    }
}

impl SetHandler<v2::CreateOrder> for Orders {
    async fn handle_many(
        &self,
        tx: &mut PgConnection,
        set: &mut [Member<v2::CreateOrder>],
    ) -> SetHandled<v2::OrderCreated> {
        let judged = create(tx, &*set, NewOrder::from).await?;
        let done = |due: Due| Outcome::done(v2::OrderCreated { due_now: due.now });
        Ok(judged.into_iter().map(|judged| judged.map_or_else(Outcome::Refused, done)).collect())
    }
}

/// An order with what is due for it, or with the reason why it is refused.
struct Judged<'a> {
    order: NewOrder<'a>,
    context: &'a Context,
    due: Result<Due, Refusal>,
}

/// Judges and keeps the orders of a set; what is due for each, in their order.
pub(super) async fn create<'a, C: Command>(
    tx: &mut PgConnection,
    set: impl IntoIterator<Item = &'a Member<C>>,
    order: impl Fn(&'a C) -> NewOrder<'a>,
) -> Result<Vec<Result<Due, Refusal>>, sqlx::Error> {
    let judge = |Member { command, context }: &'a Member<C>| {
        let order = order(command);
        let due = rules::judge(&order, context.now.date_naive());
        Judged { order, context, due }
    };
    let judged: Vec<_> = set.into_iter().map(judge).collect();
    insert(tx, &judged).await?;
    insert_first_payments(tx, &judged).await?;
    Ok(judged.into_iter().map(|judged| judged.due).collect())
}

/// The parts of all orders of a set, each with its order and its place there.
fn parts<'a, T: 'a>(set: &'a [Judged<'a>], of: impl Fn(&'a NewOrder<'a>) -> &'a [T]) -> Vec<(Uuid, i16, &'a T)> {
    let of_order = |Judged { order, .. }: &'a Judged<'a>| {
        let order_id = order.order_id.uuid();
        (1..).zip(of(order)).map(move |(place, part)| (order_id, place, part))
    };
    set.iter().flat_map(of_order).collect()
}

/// Begins the payments by which orders are paid that take what is due at once.
async fn insert_first_payments(tx: &mut PgConnection, set: &[Judged<'_>]) -> Result<(), sqlx::Error> {
    let begun =
        |judged: &Judged<'_>| Some((judged.order.first_payment?, judged.order.order_id, judged.due.as_ref().ok()?.now));
    let begun: Vec<_> = set.iter().filter_map(begun).collect();
    let Some(now) = set.first().map(|judged| judged.context.now).filter(|_| !begun.is_empty()) else { return Ok(()) };
    sqlx::query(
        "INSERT INTO order_payment (payment_id, order_id, amount, begun_at)
         SELECT payment_id, order_id, amount, $1
         FROM unnest($2::uuid[], $3::uuid[], $4::numeric[]) AS p (payment_id, order_id, amount)",
    )
    .bind(now)
    .bind(begun.iter().map(|(payment_id, ..)| payment_id.uuid()).collect::<Vec<_>>())
    .bind(begun.iter().map(|(_, order_id, _)| order_id.uuid()).collect::<Vec<_>>())
    .bind(begun.iter().map(|(.., amount)| amount.amount()).collect::<Vec<_>>())
    .execute(tx)
    .await?;
    Ok(())
}

async fn insert(tx: &mut PgConnection, set: &[Judged<'_>]) -> Result<(), sqlx::Error> {
    let Some(now) = set.first().map(|judged| judged.context.now) else { return Ok(()) };
    let orders = || set.iter().map(|judged| &judged.order);
    let refusals = || set.iter().map(|judged| judged.due.as_ref().err());
    let status = |refusal: Option<&Refusal>| {
        if refusal.is_none() { OrderStatus::Pending.as_str() } else { OrderStatus::Rejected.as_str() }
    };
    let balance_due_on = |judged: &Judged<'_>| judged.due.as_ref().ok().and_then(|due| due.balance_on);
    let items: Vec<(Uuid, i16, &OrderItem)> = parts(set, |order| order.items);
    let people: Vec<(Uuid, i16, &Traveller)> = parts(set, |order| order.travellers);
    sqlx::query(
        "WITH placed AS (
             INSERT INTO orders (order_id, user_id, status, reason_code, reason, total_amount, total_currency,
                                 payment_plan, balance_due_on, created_at, updated_at)
             SELECT order_id, user_id, status, reason_code, reason, amount, currency, plan, balance_due_on, $1, $1
             FROM unnest($2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::numeric[], $8::text[],
                         $22::text[], $23::date[])
                 AS o (order_id, user_id, status, reason_code, reason, amount, currency, plan, balance_due_on)
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
    .bind(refusals().map(status).collect::<Vec<_>>())
    .bind(refusals().map(|refusal| refusal.map(|one| one.code.as_str())).collect::<Vec<_>>())
    .bind(refusals().map(|refusal| refusal.map(|one| one.message.as_str())).collect::<Vec<_>>())
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
    .bind(set.iter().map(|judged| judged.context.command_id.to_string()).collect::<Vec<_>>())
    .bind(orders().map(|order| order.plan.map(|(plan, _)| plan.as_str())).collect::<Vec<_>>())
    .bind(set.iter().map(balance_due_on).collect::<Vec<_>>())
    .execute(tx)
    .await?;
    Ok(())
}
