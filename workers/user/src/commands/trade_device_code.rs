//! Trades a device code for tokens, once a person has approved (RFC 8628, 3.4 and 3.5). The login is gone with that: a code is
//! traded once.

use chrono::{DateTime, Duration, Utc};
use contract::user::{DeviceCode, Tokens};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;
use worker_runtime::DomainError;

use crate::{
    device::{DeviceError, POLL_GRACE, POLL_INTERVAL_SECONDS, hash_of_secret},
    keys::SigningKey,
    session::{Lifetimes, open},
};

/// Trades the code for tokens of a login of its own, with the rights that the person has now.
pub(crate) async fn trade_device_code(
    pool: &PgPool,
    key: &SigningKey,
    code: &DeviceCode,
    lifetimes: Lifetimes,
    now: DateTime<Utc>,
) -> Result<Tokens, DeviceError> {
    let hash = hash_of_secret(&code.device_code);
    let mut tx = pool.begin().await.map_err(DomainError::doing("looking for a device code"))?;
    let row = find_locked(&mut tx, &hash).await?;
    let row = row.filter(|row| row.client == code.client.as_str()).ok_or(DeviceError::Unknown)?;
    if row.expires_at <= now {
        return Err(DeviceError::Expired);
    }
    let too_soon = row.comes_too_soon(now);
    let answer = match (too_soon, row.decision.as_deref(), row.user_id.filter(|_| row.stands)) {
        (true, _, _) => Err(DeviceError::TooSoon),
        (false, None, _) => Err(DeviceError::Pending),
        (false, Some("approve"), Some(user_id)) => {
            let tokens = open(&mut tx, key, user_id, Some(&code.client), lifetimes, now).await?;
            tokens.ok_or(DeviceError::Denied)
        }
        (false, Some(_), _) => Err(DeviceError::Denied),
    };
    if answer.is_ok() {
        forget(&mut tx, &hash).await?;
    } else {
        note_question(&mut tx, &hash, too_soon, now).await?;
    }
    tx.commit().await.map_err(DomainError::doing("answering a device code"))?;
    answer
}

#[derive(sqlx::FromRow)]
struct CodeRow {
    client: String,
    expires_at: DateTime<Utc>,
    interval_seconds: i32,
    asked_at: Option<DateTime<Utc>>,
    user_id: Option<Uuid>,
    decision: Option<String>,
    /// Its person is not disabled, and has the rights of the decision.
    stands: bool,
}

impl CodeRow {
    fn comes_too_soon(&self, now: DateTime<Utc>) -> bool {
        let wait = Duration::seconds(self.interval_seconds.into()) - POLL_GRACE;
        self.asked_at.is_some_and(|before| now < before + wait)
    }
}

/// The row lock makes two questions at once one after the other: the second one finds the code traded.
async fn find_locked(tx: &mut PgConnection, hash: &[u8]) -> Result<Option<CodeRow>, DomainError> {
    let statement = "SELECT d.client, d.expires_at, d.interval_seconds, d.asked_at, d.user_id, d.decision,
                coalesce(p.disabled_at IS NULL AND p.generation = d.generation, false) AS stands
         FROM device_login d LEFT JOIN person p USING (user_id)
         WHERE d.device_code_hash = $1 FOR UPDATE OF d";
    let found = sqlx::query_as(statement).bind(hash).fetch_optional(tx).await;
    found.map_err(DomainError::doing("looking for a device code"))
}

async fn note_question(
    tx: &mut PgConnection,
    hash: &[u8],
    too_soon: bool,
    now: DateTime<Utc>,
) -> Result<(), DomainError> {
    let longer = if too_soon { i32::try_from(POLL_INTERVAL_SECONDS).unwrap_or(i32::MAX) } else { 0 };
    let statement =
        "UPDATE device_login SET asked_at = $2, interval_seconds = interval_seconds + $3 WHERE device_code_hash = $1";
    sqlx::query(statement)
        .bind(hash)
        .bind(now)
        .bind(longer)
        .execute(tx)
        .await
        .map_err(DomainError::doing("noting a question for tokens"))?;
    Ok(())
}

async fn forget(tx: &mut PgConnection, hash: &[u8]) -> Result<(), DomainError> {
    sqlx::query("DELETE FROM device_login WHERE device_code_hash = $1")
        .bind(hash)
        .execute(tx)
        .await
        .map_err(DomainError::doing("forgetting a device code"))?;
    Ok(())
}
