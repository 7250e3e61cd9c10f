//! The row of a payment, as the commands read it.

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

    /// Keeps the opposite from being asked about the order's newest payment until the record says how this one ended.
    /// Answers the payment, or none when it is in another state, or under way already.
    pub(crate) async fn begin(self, tx: &mut PgConnection, order_id: OrderId) -> Result<Option<Payment>, DomainError> {
        let row: Option<Row> = sqlx::query_as(
            "UPDATE payment SET under_way = $2
             WHERE payment_id = (SELECT payment_id FROM payment WHERE order_id = $1 ORDER BY payment_id DESC LIMIT 1)
               AND status = ANY($3) AND under_way IS NULL
             RETURNING payment_id, status, authorized_amount, captured_amount, currency, provider_reference, under_way",
        )
        .bind(order_id.uuid())
        .bind(self.as_str())
        .bind(self.from())
        .fetch_optional(tx)
        .await
        .map_err(DomainError::doing("marking a payment as under way"))?;
        row.map(Row::read).transpose()
    }
}

/// A row of `payment`.
#[derive(sqlx::FromRow)]
struct Row {
    payment_id: Uuid,
    status: String,
    authorized_amount: Decimal,
    captured_amount: Decimal,
    currency: String,
    provider_reference: String,
    under_way: Option<String>,
}

/// The order's newest payment, locked until the transaction ends.
pub(crate) async fn of_order(tx: &mut PgConnection, order_id: OrderId) -> Result<Option<Payment>, DomainError> {
    let row: Option<Row> = sqlx::query_as(
        "SELECT payment_id, status, authorized_amount, captured_amount, currency, provider_reference, under_way
         FROM payment WHERE order_id = $1 ORDER BY payment_id DESC LIMIT 1 FOR UPDATE",
    )
    .bind(order_id.uuid())
    .fetch_optional(tx)
    .await
    .map_err(DomainError::doing("reading a payment"))?;
    row.map(Row::read).transpose()
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
