//! Begins a login of the device flow: a program gets a secret, and a code for the person who is to approve.

use chrono::{DateTime, Utc};
use contract::user::{AskDeviceLogin, DeviceLoginAsked, UserCode};
use sqlx::PgPool;
use worker_runtime::DomainError;

use crate::{
    device::{POLL_INTERVAL_SECONDS, WAITS_FOR, device_code, hash_of_letters, hash_of_secret, user_code},
    session::SessionError,
};

/// The most logins of one address that wait at a time: an office logs in on Monday morning.
pub(crate) const ADDRESS_WAITING_MAX: i64 = 20;

/// The most logins of all that wait at a time: a few megabytes, and no help to who guesses codes.
pub(crate) const WAITING_MAX: i64 = 10_000;

/// How often codes are drawn until they are nobody else's: once, but for a chance of one in a million.
const DRAWS_MAX: u32 = 4;

/// Why no login begins.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    #[error("too many logins wait for their people, at this address or in all: approve or let them expire")]
    TooMany,
    #[error(transparent)]
    Session(#[from] SessionError),
    #[error(transparent)]
    Domain(#[from] DomainError),
}

/// Begins a login that waits for a person.
pub(crate) async fn ask_device_login(
    pool: &PgPool,
    asked: &AskDeviceLogin,
    now: DateTime<Utc>,
) -> Result<DeviceLoginAsked, AskError> {
    let (of_address, of_all): (i64, i64) = sqlx::query_as(
        "SELECT (SELECT count(*) FROM device_login WHERE address = $1 AND expires_at > $2),
                (SELECT count(*) FROM device_login WHERE expires_at > $2)",
    )
    .bind(&asked.address)
    .bind(now)
    .fetch_one(pool)
    .await
    .map_err(DomainError::doing("counting logins that wait"))?;
    if of_address >= ADDRESS_WAITING_MAX || of_all >= WAITING_MAX {
        return Err(AskError::TooMany);
    }
    for _ in 0..DRAWS_MAX {
        let (device_code, user_code) = (device_code()?, user_code()?);
        if store(pool, &device_code, user_code, asked, now).await? {
            let expires_in = u32::try_from(WAITS_FOR.num_seconds()).unwrap_or(u32::MAX);
            return Ok(DeviceLoginAsked { device_code, user_code, expires_in, interval: POLL_INTERVAL_SECONDS });
        }
    }
    Err(AskError::TooMany)
}

/// Stores a login; false when one of its codes is taken.
async fn store(
    pool: &PgPool,
    device_code: &str,
    user_code: UserCode,
    asked: &AskDeviceLogin,
    now: DateTime<Utc>,
) -> Result<bool, DomainError> {
    let statement = "INSERT INTO device_login
             (device_code_hash, user_code_hash, client, address, created_at, expires_at, interval_seconds)
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING";
    let stored = sqlx::query(statement)
        .bind(hash_of_secret(device_code))
        .bind(hash_of_letters(user_code))
        .bind(asked.client.as_str())
        .bind(&asked.address)
        .bind(now)
        .bind(now + WAITS_FOR)
        .bind(i32::try_from(POLL_INTERVAL_SECONDS).unwrap_or(i32::MAX))
        .execute(pool)
        .await
        .map_err(DomainError::doing("storing a login that waits"))?;
    Ok(stored.rows_affected() > 0)
}
