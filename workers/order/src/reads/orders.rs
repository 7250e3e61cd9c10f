//! Orders as the database has them, read back into views.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use contract::{
    Money, OrderId, UserId,
    birth_date::BirthDate,
    email_address::EmailAddress,
    order::{OrderItem, OrderStatus, OrderView, Reason, Traveller},
    person_name::PersonName,
};
use rust_decimal::Decimal;
use sqlx::PgPool;
use uuid::Uuid;
use worker_runtime::DomainError;

#[derive(sqlx::FromRow)]
struct OrderRow {
    order_id: Uuid,
    user_id: Uuid,
    status: String,
    total_amount: Decimal,
    total_currency: String,
    paid_amount: Decimal,
    balance_due_on: Option<NaiveDate>,
    reason_code: Option<String>,
    reason: Option<String>,
    flight_reference: Option<String>,
    stay_reference: Option<String>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

#[derive(sqlx::FromRow)]
struct ItemRow {
    order_id: Uuid,
    offer_id: String,
    description: String,
    amount: Decimal,
    currency: String,
}

#[derive(sqlx::FromRow)]
struct TravellerRow {
    order_id: Uuid,
    given_name: String,
    family_name: String,
    born_on: NaiveDate,
    email: String,
}

/// One order, or none.
pub(crate) async fn find(pool: &PgPool, order_id: OrderId) -> Result<Option<OrderView>, DomainError> {
    let rows = sqlx::query_as("SELECT * FROM orders WHERE order_id = $1").bind(order_id.uuid()).fetch_all(pool).await;
    Ok(with_parts(pool, rows.map_err(DomainError::doing("reading an order"))?).await?.pop())
}

/// A person's orders below `before`, newest first.
pub(crate) async fn of_user(
    pool: &PgPool,
    user_id: UserId,
    before: Option<OrderId>,
    limit: u32,
) -> Result<Vec<OrderView>, DomainError> {
    let rows = sqlx::query_as(
        "SELECT * FROM orders WHERE user_id = $1 AND ($2::uuid IS NULL OR order_id < $2)
         ORDER BY order_id DESC LIMIT $3",
    )
    .bind(user_id.uuid())
    .bind(before.map(OrderId::uuid))
    .bind(i64::from(limit))
    .fetch_all(pool)
    .await
    .map_err(DomainError::doing("reading orders"))?;
    with_parts(pool, rows).await
}

async fn with_parts(pool: &PgPool, orders: Vec<OrderRow>) -> Result<Vec<OrderView>, DomainError> {
    if orders.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<Uuid> = orders.iter().map(|order| order.order_id).collect();
    let item_rows: Vec<ItemRow> =
        sqlx::query_as("SELECT * FROM order_item WHERE order_id = ANY($1) ORDER BY order_id, place")
            .bind(&ids)
            .fetch_all(pool)
            .await
            .map_err(DomainError::doing("reading the items of orders"))?;
    let traveller_rows: Vec<TravellerRow> =
        sqlx::query_as("SELECT * FROM order_traveller WHERE order_id = ANY($1) ORDER BY order_id, place")
            .bind(&ids)
            .fetch_all(pool)
            .await
            .map_err(DomainError::doing("reading the travellers of orders"))?;
    let mut items: BTreeMap<Uuid, Vec<OrderItem>> = BTreeMap::new();
    for row in item_rows {
        items.entry(row.order_id).or_default().push(item(row)?);
    }
    let mut travellers: BTreeMap<Uuid, Vec<Traveller>> = BTreeMap::new();
    for row in traveller_rows {
        travellers.entry(row.order_id).or_default().push(traveller(row)?);
    }
    orders
        .into_iter()
        .map(|row| {
            let (items, travellers) = (items.remove(&row.order_id), travellers.remove(&row.order_id));
            view(row, items.unwrap_or_default(), travellers.unwrap_or_default())
        })
        .collect()
}

fn view(row: OrderRow, items: Vec<OrderItem>, travellers: Vec<Traveller>) -> Result<OrderView, DomainError> {
    let order_id = OrderId::from_uuid(row.order_id);
    let broken = |column, detail: String| DomainError::broken_row("orders", column, order_id, detail);
    let status = OrderStatus::ALL
        .into_iter()
        .find(|status| status.as_str() == row.status)
        .ok_or_else(|| broken("status", format!("`{}` is unknown", row.status)))?;
    let total = Money::from_parts(row.total_amount, &row.total_currency)
        .map_err(|error| broken("total_amount", error.to_string()))?;
    let paid = Money::from_parts(row.paid_amount, &row.total_currency)
        .map_err(|error| broken("paid_amount", error.to_string()))?;
    let balance_due = if status.is_over() { Money::zero(total.currency()) } else { total.checked_sub(paid) };
    let balance_due = balance_due.map_err(|error| broken("paid_amount", error.to_string()))?;
    Ok(OrderView {
        order_id,
        user_id: UserId::from_uuid(row.user_id),
        status,
        reason: row.reason_code.map(|code| Reason { code, message: row.reason.unwrap_or_default() }),
        items,
        travellers,
        total,
        paid,
        balance_due,
        balance_due_on: row.balance_due_on.filter(|_| !balance_due.is_zero()),
        flight_reference: row.flight_reference,
        stay_reference: row.stay_reference,
        created_at: row.created_at,
        updated_at: row.updated_at,
    })
}

fn traveller(row: TravellerRow) -> Result<Traveller, DomainError> {
    let order_id = OrderId::from_uuid(row.order_id);
    let broken =
        |column, error: &dyn std::error::Error| DomainError::broken_row("order_traveller", column, order_id, error);
    Ok(Traveller {
        given_name: PersonName::parse(&row.given_name).map_err(|error| broken("given_name", &error))?,
        family_name: PersonName::parse(&row.family_name).map_err(|error| broken("family_name", &error))?,
        born_on: BirthDate::new(row.born_on).map_err(|error| broken("born_on", &error))?,
        email: EmailAddress::parse(&row.email).map_err(|error| broken("email", &error))?,
    })
}

fn item(row: ItemRow) -> Result<OrderItem, DomainError> {
    let order_id = OrderId::from_uuid(row.order_id);
    let broken = |column, detail: String| DomainError::broken_row("order_item", column, order_id, detail);
    Ok(OrderItem {
        offer_id: row.offer_id.parse().map_err(|error| broken("offer_id", format!("{error}")))?,
        description: row.description,
        total: Money::from_parts(row.amount, &row.currency).map_err(|error| broken("amount", error.to_string()))?,
    })
}
