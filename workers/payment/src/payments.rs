//! The rows of payments, as the commands read them.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use contract::{Money, OrderId, PaymentId, SagaId, UserId, payment::PaymentStatus};
use rust_decimal::Decimal;
use sqlx::PgConnection;
use uuid::Uuid;
use worker_runtime::DomainError;

use crate::provider::{Charge, ProviderReference, Reference};

/// How the commands of one kind name their payments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    /// By the payment.
    Payment,
    /// By the order, whose newest payment is meant: the first version, by which an order had one at a time.
    Order,
}

/// A payment of an order.
#[derive(Debug, Clone)]
pub(crate) struct Payment {
    pub(crate) payment_id: PaymentId,
    pub(crate) order_id: OrderId,
    pub(crate) user_id: Option<UserId>,
    pub(crate) saga_id: SagaId,
    pub(crate) status: PaymentStatus,
    /// The amount that was asked for, and is authorized unless it is pending.
    pub(crate) amount: Money,
    pub(crate) captured: Money,
    /// The part of the amount that was not taken.
    pub(crate) left: Money,
    pub(crate) refunded: Money,
    /// The money that was taken and not given back.
    pub(crate) kept: Money,
    pub(crate) provider_reference: Option<ProviderReference>,
    /// The number of the authorization: the first, or one after a refusal or a lapse.
    pub(crate) authorization: i16,
    pub(crate) capture_before: Option<DateTime<Utc>>,
    /// The provider's page where the client acts, and the end of its patience.
    pub(crate) action: Option<(String, DateTime<Utc>)>,
    pub(crate) failure_code: Option<String>,
    pub(crate) under_way: Option<UnderWay>,
}

impl Payment {
    /// The charge of this payment's authorization, as the provider was asked for it.
    pub(crate) fn charge(&self) -> Charge {
        Charge {
            reference: reference(self.payment_id, self.authorization),
            payment_id: self.payment_id,
            order_id: self.order_id,
            saga_id: self.saga_id,
            amount: self.amount,
        }
    }
}

/// Our name of a payment's authorization at the provider.
pub(crate) fn reference(payment_id: PaymentId, authorization: i16) -> Reference {
    Reference(format!("{payment_id}-{authorization}"))
}

/// The question that the provider is being asked about a payment, from the intent to its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UnderWay {
    Capture,
    Refund,
    Undo,
}

impl UnderWay {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Capture => "capture",
            Self::Refund => "refund",
            Self::Undo => "undo",
        }
    }

    /// The states in which a payment can be asked so.
    fn from(self) -> Vec<&'static str> {
        let states = match self {
            Self::Capture => &[PaymentStatus::Authorized][..],
            Self::Refund => &[PaymentStatus::Captured],
            Self::Undo => &[
                PaymentStatus::Pending,
                PaymentStatus::RequiresAction,
                PaymentStatus::Authorized,
                PaymentStatus::Captured,
            ],
        };
        states.iter().map(|status| status.as_str()).collect()
    }

    /// Keeps the others from being asked about these payments until the record says how this one ended; by how much of
    /// each is asked for, where that counts. Answers the payments by what they were named by, without those that are in
    /// another state, under way already, or have less to be taken or given back.
    pub(crate) async fn begin(
        self,
        tx: &mut PgConnection,
        by: By,
        asked: &[(Uuid, Option<Money>)],
    ) -> Result<HashMap<Uuid, Payment>, DomainError> {
        if asked.is_empty() {
            return Ok(HashMap::new());
        }
        let amounts = asked.iter().map(|(_, money)| *money);
        let rows: Vec<Row> = sqlx::query_as(
            "WITH asked AS MATERIALIZED (
                 SELECT a.*, CASE WHEN $6 THEN a.id ELSE
                     (SELECT p.payment_id FROM payment p WHERE p.order_id = a.id AND p.user_id IS NULL
                      ORDER BY p.payment_id DESC LIMIT 1) END AS payment_id
                 FROM unnest($1::uuid[], $2::numeric[], $3::text[]) AS a (id, amount, currency)
             ), locked AS MATERIALIZED (
                 SELECT payment_id FROM payment WHERE payment_id IN (SELECT payment_id FROM asked)
                 ORDER BY payment_id FOR NO KEY UPDATE
             )
             UPDATE payment p SET under_way = $4 FROM asked a
             WHERE (SELECT count(*) FROM locked) > 0 AND p.payment_id = a.payment_id
               AND p.status = ANY($5) AND p.under_way IS NULL
               AND (a.amount IS NULL OR (p.currency = a.currency AND a.amount <=
                    CASE p.status WHEN 'captured' THEN p.captured_amount - p.refunded_amount
                                  ELSE p.authorized_amount - p.captured_amount END))
             RETURNING p.*",
        )
        .bind(asked.iter().map(|(id, _)| *id).collect::<Vec<_>>())
        .bind(amounts.clone().map(|money| money.map(Money::amount)).collect::<Vec<_>>())
        .bind(amounts.map(|money| money.map(Money::currency_code)).collect::<Vec<_>>())
        .bind(self.as_str())
        .bind(self.from())
        .bind(by == By::Payment)
        .fetch_all(tx)
        .await
        .map_err(DomainError::doing("marking payments as under way"))?;
        named(by, rows)
    }
}

/// Nothing is asked about these payments any more.
pub(crate) async fn end(tx: &mut PgConnection, refused: Vec<Uuid>, now: DateTime<Utc>) -> Result<(), DomainError> {
    if refused.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "WITH locked AS MATERIALIZED (
             SELECT payment_id FROM payment WHERE payment_id = ANY($1) ORDER BY payment_id FOR NO KEY UPDATE
         )
         UPDATE payment SET under_way = NULL, updated_at = $2
         WHERE (SELECT count(*) FROM locked) > 0 AND payment_id = ANY($1)",
    )
    .bind(refused)
    .bind(now)
    .execute(tx)
    .await
    .map_err(DomainError::doing("ending what was refused for payments"))?;
    Ok(())
}

/// The payments that are named so.
pub(crate) async fn find(tx: &mut PgConnection, by: By, ids: &[Uuid]) -> Result<HashMap<Uuid, Payment>, DomainError> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let statement = match by {
        By::Payment => "SELECT * FROM payment WHERE payment_id = ANY($1)",
        By::Order => {
            "SELECT DISTINCT ON (order_id) * FROM payment WHERE order_id = ANY($1) AND user_id IS NULL
             ORDER BY order_id, payment_id DESC"
        }
    };
    let rows = sqlx::query_as(statement).bind(ids).fetch_all(tx).await;
    named(by, rows.map_err(DomainError::doing("reading payments"))?)
}

/// All payments of an order, oldest first.
pub(crate) async fn of_order(connection: &mut PgConnection, order_id: OrderId) -> Result<Vec<Payment>, DomainError> {
    let rows: Result<Vec<Row>, _> = sqlx::query_as("SELECT * FROM payment WHERE order_id = $1 ORDER BY payment_id")
        .bind(order_id.uuid())
        .fetch_all(connection)
        .await;
    rows.map_err(DomainError::doing("reading the payments of an order"))?.into_iter().map(Row::read).collect()
}

fn named(by: By, rows: Vec<Row>) -> Result<HashMap<Uuid, Payment>, DomainError> {
    let name = |row: &Row| match by {
        By::Payment => row.payment_id,
        By::Order => row.order_id,
    };
    rows.into_iter().map(|row| Ok((name(&row), row.read()?))).collect()
}

/// A row of `payment`.
#[derive(sqlx::FromRow)]
struct Row {
    payment_id: Uuid,
    order_id: Uuid,
    user_id: Option<Uuid>,
    saga_id: Uuid,
    status: String,
    authorized_amount: Decimal,
    captured_amount: Decimal,
    refunded_amount: Decimal,
    currency: String,
    provider_reference: Option<String>,
    authorization_number: i16,
    capture_before: Option<DateTime<Utc>>,
    action_url: Option<String>,
    action_expires_at: Option<DateTime<Utc>>,
    failure_code: Option<String>,
    under_way: Option<String>,
}

impl Row {
    fn read(self) -> Result<Payment, DomainError> {
        let payment_id = PaymentId::from_uuid(self.payment_id);
        let broken = |column, detail: String| DomainError::broken_row("payment", column, payment_id, detail);
        let status = PaymentStatus::ALL.into_iter().find(|status| status.as_str() == self.status);
        let status = status.ok_or_else(|| broken("status", format!("`{}` is unknown", self.status)))?;
        let under_way = match self.under_way.as_deref() {
            None => None,
            Some("capture") => Some(UnderWay::Capture),
            Some("refund") => Some(UnderWay::Refund),
            Some("undo") => Some(UnderWay::Undo),
            Some(other) => return Err(broken("under_way", format!("`{other}` is unknown"))),
        };
        let money = |amount, column| {
            Money::from_parts(amount, &self.currency).map_err(|error| broken(column, error.to_string()))
        };
        Ok(Payment {
            payment_id,
            order_id: OrderId::from_uuid(self.order_id),
            user_id: self.user_id.map(UserId::from_uuid),
            saga_id: SagaId::from_uuid(self.saga_id),
            status,
            amount: money(self.authorized_amount, "authorized_amount")?,
            captured: money(self.captured_amount, "captured_amount")?,
            left: money(self.authorized_amount - self.captured_amount, "captured_amount")?,
            refunded: money(self.refunded_amount, "refunded_amount")?,
            kept: money(self.captured_amount - self.refunded_amount, "refunded_amount")?,
            provider_reference: self.provider_reference.map(ProviderReference),
            authorization: self.authorization_number,
            capture_before: self.capture_before,
            action: self.action_url.zip(self.action_expires_at),
            failure_code: self.failure_code,
            under_way,
        })
    }
}
