//! The sandbox's charges, as it keeps them.

use chrono::{DateTime, Duration, Utc};
use contract::{
    Money, PaymentId, SagaId,
    payment::{REFUSED_AUTHENTICATION, REFUSED_DECLINED, REFUSED_INSUFFICIENT, REFUSED_TOKEN_UNKNOWN},
};
use rust_decimal::Decimal;
use sqlx::PgConnection;
use uuid::Uuid;

use super::tokens::Mood;
use crate::provider::{ACTION_WITHIN, Authorized, Charge, ProviderReference, Reference, Refused, Standing, Taking};

/// The life of an authorization: card schemes give as much to a payment that its owner started.
const AUTHORIZATION: Duration = Duration::days(7);
/// The life of an authorization that expires fast: long enough for an order that nothing delays.
const AUTHORIZATION_FAST: Duration = Duration::minutes(1);

pub(super) const REQUIRES_ACTION: &str = "requires_action";
pub(super) const AUTHORIZED: &str = "authorized";
pub(super) const CAPTURED: &str = "captured";
pub(super) const VOIDED: &str = "voided";
pub(super) const REFUNDED: &str = "refunded";
pub(super) const FAILED: &str = "failed";

/// A charge as the sandbox keeps it.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(super) struct Row {
    pub(super) reference: String,
    pub(super) payment_id: Uuid,
    pub(super) saga_id: Uuid,
    token: Option<String>,
    currency: String,
    amount: Decimal,
    captured_amount: Decimal,
    refunded_amount: Decimal,
    pub(super) status: String,
    failure_code: Option<String>,
    capture_before: Option<DateTime<Utc>>,
    action_expires_at: Option<DateTime<Utc>>,
}

impl Row {
    pub(super) fn mood(&self) -> Option<Mood> {
        Mood::of(self.token.as_deref()?)
    }

    pub(super) fn token(&self) -> &str {
        self.token.as_deref().unwrap_or_default()
    }

    pub(super) fn payment_id(&self) -> PaymentId {
        PaymentId::from_uuid(self.payment_id)
    }

    pub(super) fn saga_id(&self) -> SagaId {
        SagaId::from_uuid(self.saga_id)
    }

    pub(super) fn provider_reference(&self) -> ProviderReference {
        ProviderReference(self.reference.clone())
    }

    /// The amount that was asked for.
    pub(super) fn money(&self) -> Result<Money, sqlx::Error> {
        self.money_of(self.amount)
    }

    /// The money that was taken and not given back.
    pub(super) fn held(&self) -> Decimal {
        self.captured_amount - self.refunded_amount
    }

    /// How much was taken.
    pub(super) const fn captured(&self) -> Decimal {
        self.captured_amount
    }

    pub(super) fn fits(&self, amount: Money) -> bool {
        self.currency == amount.currency_code() && amount.amount() <= self.amount
    }

    pub(super) fn lapsed(&self, now: DateTime<Utc>) -> bool {
        self.capture_before.is_none_or(|before| before <= now)
    }

    /// The client's page, until when.
    pub(super) fn waits_until(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.action_expires_at.filter(|until| self.status == REQUIRES_ACTION && *until > now)
    }

    /// The authorization, once it was given.
    pub(super) fn authorized(&self) -> Option<Authorized> {
        let given = [AUTHORIZED, CAPTURED, REFUNDED].contains(&self.status.as_str());
        let capture_before = self.capture_before.filter(|_| given)?;
        Some(Authorized { provider_reference: self.provider_reference(), capture_before })
    }

    pub(super) fn refused(&self) -> Refused {
        match self.failure_code.as_deref() {
            Some(REFUSED_DECLINED) => Refused::new(REFUSED_DECLINED, "the issuer declined the card"),
            Some(REFUSED_INSUFFICIENT) => Refused::new(REFUSED_INSUFFICIENT, "the account does not cover the amount"),
            Some(REFUSED_AUTHENTICATION) => Refused::new(REFUSED_AUTHENTICATION, "the client turned the payment down"),
            _ => Refused::new(REFUSED_TOKEN_UNKNOWN, "the provider does not know this token"),
        }
    }

    pub(super) fn standing(&self, now: DateTime<Utc>) -> Result<Standing, sqlx::Error> {
        Ok(match (self.status.as_str(), self.capture_before) {
            (REQUIRES_ACTION, _) if self.waits_until(now).is_some() => Standing::RequiresAction,
            (AUTHORIZED, Some(before)) if before > now => Standing::Authorized(before),
            (AUTHORIZED, _) if !self.captured_amount.is_zero() => Standing::Captured(self.money_of(self.held())?),
            (CAPTURED, _) => Standing::Captured(self.money_of(self.held())?),
            (FAILED, _) => Standing::Refused(self.refused()),
            _ => Standing::Ended,
        })
    }

    fn money_of(&self, amount: Decimal) -> Result<Money, sqlx::Error> {
        Money::from_parts(amount, &self.currency).map_err(|error| sqlx::Error::Decode(Box::new(error)))
    }
}

/// Makes the merchant's requests about one charge wait for each other.
pub(super) async fn lock(tx: &mut PgConnection, theirs: &Reference) -> Result<(), sqlx::Error> {
    sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))").bind(&theirs.0).execute(tx).await?;
    Ok(())
}

/// The charge that the merchant calls so.
pub(super) async fn theirs(tx: &mut PgConnection, theirs: &Reference) -> Result<Option<Row>, sqlx::Error> {
    sqlx::query_as("SELECT * FROM sandbox.charge WHERE their_reference = $1 FOR UPDATE")
        .bind(&theirs.0)
        .fetch_optional(tx)
        .await
}

/// The charge of this name of the sandbox's.
pub(super) async fn ours(tx: &mut PgConnection, reference: &str) -> Result<Option<Row>, sqlx::Error> {
    sqlx::query_as("SELECT * FROM sandbox.charge WHERE reference = $1 FOR UPDATE")
        .bind(reference)
        .fetch_optional(tx)
        .await
}

/// A new charge as its token wants it; without a token, one that never came.
pub(super) async fn make(
    tx: &mut PgConnection,
    charge: &Charge,
    token: Option<&str>,
    now: DateTime<Utc>,
) -> Result<Row, sqlx::Error> {
    let mood = token.map(Mood::of);
    let (status, failure_code) = match mood {
        None => (VOIDED, None),
        Some(None) => (FAILED, Some(REFUSED_TOKEN_UNKNOWN)),
        Some(Some(Mood::Declined)) => (FAILED, Some(REFUSED_DECLINED)),
        Some(Some(Mood::Insufficient)) => (FAILED, Some(REFUSED_INSUFFICIENT)),
        Some(Some(Mood::Secure(_))) => (REQUIRES_ACTION, None),
        Some(Some(Mood::Well | Mood::LostAnswer | Mood::LostRequest | Mood::CaptureFails | Mood::ExpiresFast)) => {
            (AUTHORIZED, None)
        }
    };
    let life = if mood == Some(Some(Mood::ExpiresFast)) { AUTHORIZATION_FAST } else { AUTHORIZATION };
    sqlx::query_as(
        "INSERT INTO sandbox.charge (reference, their_reference, payment_id, saga_id, token, currency, amount, status,
                                     failure_code, capture_before, action_expires_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) RETURNING *",
    )
    .bind(format!("sbx_{}", kit::ids::uuid_v7().simple()))
    .bind(&charge.reference.0)
    .bind(charge.payment_id.uuid())
    .bind(charge.saga_id.uuid())
    .bind(token)
    .bind(charge.amount.currency_code())
    .bind(charge.amount.amount())
    .bind(status)
    .bind(failure_code)
    .bind((status == AUTHORIZED).then(|| now + life))
    .bind((status == REQUIRES_ACTION).then(|| now + ACTION_WITHIN))
    .bind(now)
    .fetch_one(tx)
    .await
}

/// Takes a charge to another state.
pub(super) async fn move_to(
    tx: &mut PgConnection,
    charge: &Row,
    status: &str,
    failure_code: Option<&str>,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE sandbox.charge SET status = $2, failure_code = $3, updated_at = $4,
                capture_before = CASE WHEN $2 = 'authorized' THEN $5 ELSE capture_before END
         WHERE reference = $1",
    )
    .bind(&charge.reference)
    .bind(status)
    .bind(failure_code)
    .bind(now)
    .bind(now + AUTHORIZATION)
    .execute(tx)
    .await?;
    Ok(())
}

/// Takes money of a charge. One of which the rest is kept stays authorized.
pub(super) async fn take(
    tx: &mut PgConnection,
    charge: &Row,
    taking: Taking,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE sandbox.charge SET status = CASE WHEN $4 THEN status ELSE 'captured' END, captured_amount = $2,
                updated_at = $3
         WHERE reference = $1",
    )
    .bind(&charge.reference)
    .bind(taking.taken.amount())
    .bind(now)
    .bind(taking.keep_rest)
    .execute(tx)
    .await?;
    Ok(())
}

/// Gives money of a charge back.
pub(super) async fn give_back(
    tx: &mut PgConnection,
    charge: &Row,
    key: &str,
    amount: Money,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO sandbox.refund (key, reference, amount) VALUES ($1, $2, $3)")
        .bind(key)
        .bind(&charge.reference)
        .bind(amount.amount())
        .execute(&mut *tx)
        .await?;
    sqlx::query(
        "UPDATE sandbox.charge SET refunded_amount = refunded_amount + $2, updated_at = $3,
                status = CASE WHEN refunded_amount + $2 = captured_amount THEN 'refunded' ELSE status END
         WHERE reference = $1",
    )
    .bind(&charge.reference)
    .bind(amount.amount())
    .bind(now)
    .execute(tx)
    .await?;
    Ok(())
}

/// Whether money was given back under this key.
pub(super) async fn is_given_back(tx: &mut PgConnection, key: &str) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT EXISTS (SELECT FROM sandbox.refund WHERE key = $1)").bind(key).fetch_one(tx).await
}

/// Whether an operation is tried for the first time.
pub(super) async fn first_try(tx: &mut PgConnection, operation: &str, now: DateTime<Utc>) -> Result<bool, sqlx::Error> {
    let first = sqlx::query("INSERT INTO sandbox.try (operation, at) VALUES ($1, $2) ON CONFLICT DO NOTHING")
        .bind(operation)
        .bind(now)
        .execute(tx)
        .await?;
    Ok(first.rows_affected() == 1)
}
