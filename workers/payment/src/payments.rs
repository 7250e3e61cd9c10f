//! The rows of payments, as the commands read them.

use std::collections::HashMap;

use contract::{Money, OrderId, PaymentId};
use rust_decimal::Decimal;
use sqlx::PgConnection;
use uuid::Uuid;
use worker_runtime::DomainError;

use crate::provider::Reference;

/// The state of a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Authorized,
    Captured,
    Voided,
    Refunded,
}

/// A payment of an order.
#[derive(Debug, Clone)]
pub(crate) struct Payment {
    pub(crate) payment_id: PaymentId,
    pub(crate) status: Status,
    pub(crate) authorized: Money,
    pub(crate) captured: Money,
    pub(crate) reference: Reference,
    pub(crate) under_way: Option<UnderWay>,
}

/// The question that the provider is being asked about a payment, from the intent to its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UnderWay {
    Capture,
    Undo,
}

impl UnderWay {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Capture => "capture",
            Self::Undo => "undo",
        }
    }

    /// The states in which a payment can be asked so.
    const fn from(self) -> &'static [&'static str] {
        match self {
            Self::Capture => &["authorized"],
            Self::Undo => &["authorized", "captured"],
        }
    }

    /// Keeps the opposite from being asked about the newest payments of these orders until the record says how this one
    /// ended; by how much of each is asked for, where that counts. Answers the payments by their orders, without those
    /// that are in another state, under way already, or smaller.
    pub(crate) async fn begin(
        self,
        tx: &mut PgConnection,
        asked: &[(OrderId, Option<Money>)],
    ) -> Result<HashMap<OrderId, Payment>, DomainError> {
        if asked.is_empty() {
            return Ok(HashMap::new());
        }
        let amounts = asked.iter().map(|(_, money)| *money);
        let rows: Vec<Row> = sqlx::query_as(
            "WITH asked AS MATERIALIZED (
                 SELECT a.*, (SELECT p.payment_id FROM payment p WHERE p.order_id = a.order_id
                              ORDER BY p.payment_id DESC LIMIT 1) AS payment_id
                 FROM unnest($1::uuid[], $2::numeric[], $3::text[]) AS a (order_id, amount, currency)
             ), locked AS MATERIALIZED (
                 SELECT payment_id FROM payment WHERE payment_id IN (SELECT payment_id FROM asked)
                 ORDER BY payment_id FOR NO KEY UPDATE
             )
             UPDATE payment p SET under_way = $4 FROM asked a
             WHERE (SELECT count(*) FROM locked) > 0 AND p.payment_id = a.payment_id
               AND p.status = ANY($5) AND p.under_way IS NULL
               AND (a.amount IS NULL OR (p.currency = a.currency AND p.authorized_amount >= a.amount))
             RETURNING p.payment_id, p.order_id, p.status, p.authorized_amount, p.captured_amount, p.currency,
                       p.provider_reference, p.under_way",
        )
        .bind(asked.iter().map(|(order_id, _)| order_id.uuid()).collect::<Vec<_>>())
        .bind(amounts.clone().map(|money| money.map(Money::amount)).collect::<Vec<_>>())
        .bind(amounts.map(|money| money.map(Money::currency_code)).collect::<Vec<_>>())
        .bind(self.as_str())
        .bind(self.from())
        .fetch_all(tx)
        .await
        .map_err(DomainError::doing("marking payments as under way"))?;
        by_order(rows)
    }
}

/// A row of `payment`.
#[derive(sqlx::FromRow)]
struct Row {
    payment_id: Uuid,
    order_id: Uuid,
    status: String,
    authorized_amount: Decimal,
    captured_amount: Decimal,
    currency: String,
    provider_reference: String,
    under_way: Option<String>,
}

/// The newest payments of these orders.
pub(crate) async fn newest(
    tx: &mut PgConnection,
    orders: &[OrderId],
) -> Result<HashMap<OrderId, Payment>, DomainError> {
    if orders.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT DISTINCT ON (order_id) payment_id, order_id, status, authorized_amount, captured_amount, currency,
                provider_reference, under_way
         FROM payment WHERE order_id = ANY($1) ORDER BY order_id, payment_id DESC",
    )
    .bind(orders.iter().map(|order_id| order_id.uuid()).collect::<Vec<_>>())
    .fetch_all(tx)
    .await
    .map_err(DomainError::doing("reading payments"))?;
    by_order(rows)
}

/// One of these orders that has a live payment, if there is one.
pub(crate) async fn live(
    tx: &mut PgConnection,
    orders: impl Iterator<Item = OrderId>,
) -> Result<Option<OrderId>, DomainError> {
    let order_id = sqlx::query_scalar(
        "SELECT order_id FROM payment WHERE order_id = ANY($1) AND status IN ('authorized', 'captured') LIMIT 1",
    )
    .bind(orders.map(OrderId::uuid).collect::<Vec<_>>())
    .fetch_optional(tx)
    .await
    .map_err(DomainError::doing("looking for live payments"))?;
    Ok(order_id.map(OrderId::from_uuid))
}

fn by_order(rows: Vec<Row>) -> Result<HashMap<OrderId, Payment>, DomainError> {
    rows.into_iter().map(|row| Ok((OrderId::from_uuid(row.order_id), row.read()?))).collect()
}

impl Row {
    fn read(self) -> Result<Payment, DomainError> {
        let payment_id = PaymentId::from_uuid(self.payment_id);
        let broken = |column, detail: String| DomainError::broken_row("payment", column, payment_id, detail);
        let status = match self.status.as_str() {
            "authorized" => Status::Authorized,
            "captured" => Status::Captured,
            "voided" => Status::Voided,
            "refunded" => Status::Refunded,
            other => return Err(broken("status", format!("`{other}` is unknown"))),
        };
        let under_way = match self.under_way.as_deref() {
            None => None,
            Some("capture") => Some(UnderWay::Capture),
            Some("undo") => Some(UnderWay::Undo),
            Some(other) => return Err(broken("under_way", format!("`{other}` is unknown"))),
        };
        let money = |amount, column| {
            Money::from_parts(amount, &self.currency).map_err(|error| broken(column, error.to_string()))
        };
        Ok(Payment {
            payment_id,
            status,
            authorized: money(self.authorized_amount, "authorized_amount")?,
            captured: money(self.captured_amount, "captured_amount")?,
            reference: Reference(self.provider_reference),
            under_way,
        })
    }
}
