//! The person's part of the device flow: which login waits under a code, and the word about it. A login is decided once.

use chrono::{DateTime, Utc};
use contract::user::{DecideDeviceLogin, DeviceDecision, DeviceLogin, UserCode};
use sqlx::PgPool;
use worker_runtime::DomainError;

use crate::device::hash_of_letters;

#[derive(sqlx::FromRow)]
struct WaitingRow {
    client: String,
    address: String,
    created_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
}

impl WaitingRow {
    fn into_login(self, user_code: UserCode) -> Result<DeviceLogin, DomainError> {
        let Self { client, address, created_at, expires_at } = self;
        let client = client.parse();
        let client = client.map_err(|error| DomainError::broken_row("device_login", "client", created_at, error))?;
        Ok(DeviceLogin { user_code, client, address, created_at, expires_at })
    }
}

/// The login that waits under a code.
pub(crate) async fn find_device_login(
    pool: &PgPool,
    code: UserCode,
    now: DateTime<Utc>,
) -> Result<Option<DeviceLogin>, DomainError> {
    let statement = "SELECT client, address, created_at, expires_at FROM device_login
         WHERE user_code_hash = $1 AND decision IS NULL AND expires_at > $2";
    let row: Option<WaitingRow> = sqlx::query_as(statement)
        .bind(hash_of_letters(code))
        .bind(now)
        .fetch_optional(pool)
        .await
        .map_err(DomainError::doing("looking for a login that waits"))?;
    row.map(|row| row.into_login(code)).transpose()
}

/// Notes a person's word about the login that waits under a code, and answers which one that was. None when there is none:
/// of two who decide at once, the second finds none. A person who is disabled decides nothing.
pub(crate) async fn decide_device_login(
    pool: &PgPool,
    decided: &DecideDeviceLogin,
    now: DateTime<Utc>,
) -> Result<Option<DeviceLogin>, DomainError> {
    let decision = match decided.decision {
        DeviceDecision::Approve => "approve",
        DeviceDecision::Deny => "deny",
    };
    let statement = "UPDATE device_login SET user_id = p.user_id, decision = $3, generation = p.generation
         FROM person p
         WHERE user_code_hash = $1 AND decision IS NULL AND expires_at > $2 AND p.user_id = $4 AND p.disabled_at IS NULL
         RETURNING client, address, device_login.created_at, expires_at";
    let row: Option<WaitingRow> = sqlx::query_as(statement)
        .bind(hash_of_letters(decided.user_code))
        .bind(now)
        .bind(decision)
        .bind(decided.user_id.uuid())
        .fetch_optional(pool)
        .await
        .map_err(DomainError::doing("deciding on a login that waits"))?;
    row.map(|row| row.into_login(decided.user_code)).transpose()
}
