//! A new password for a person who does not know the present one: an admin makes a code and hands it over, and whoever has
//! it sets a password, once. The second factor stays as it is.

use chrono::{DateTime, TimeDelta, Utc};
use contract::{
    EmailAddress, UserId,
    user::{ResetCode, ResetPassword},
};
use sqlx::PgPool;
use uuid::Uuid;
use worker_runtime::DomainError;

use super::change_password::store;
use crate::{
    credentials::{CredentialError, new_password},
    hashing::Passwords,
    one_time_code::OneTimeCode,
    session,
};

/// How long a code is good: it is handed over today, and to a colleague who is on leave it is made anew.
const CODE_GOOD_FOR: TimeDelta = TimeDelta::hours(24);

/// The wrong codes after which the right one is void too: far more than a person mistypes.
const ATTEMPTS_MAX: i32 = 10;

/// Makes a code for a person, in place of the one that it may have.
pub(crate) async fn make_code(
    pool: &PgPool,
    user_id: UserId,
    now: DateTime<Utc>,
) -> Result<ResetCode, CredentialError> {
    let (code, expires_at) = (OneTimeCode::new()?, now + CODE_GOOD_FOR);
    let made = sqlx::query(
        "INSERT INTO password_reset (user_id, code_hash, expires_at, attempts_left)
         SELECT user_id, $2, $3, $4 FROM person WHERE user_id = $1
         ON CONFLICT (user_id) DO UPDATE
         SET code_hash = excluded.code_hash, expires_at = excluded.expires_at, attempts_left = excluded.attempts_left",
    )
    .bind(user_id.uuid())
    .bind(code.hash())
    .bind(expires_at)
    .bind(ATTEMPTS_MAX)
    .execute(pool)
    .await
    .map_err(DomainError::doing("storing a code for a password"))?;
    if made.rows_affected() == 0 {
        return Err(CredentialError::Unknown(user_id));
    }
    tracing::info!(%user_id, "a code for a new password was made");
    Ok(ResetCode { code: code.shown(), expires_at })
}

/// Sets a password for a code. All logins of the person end.
pub(crate) async fn reset_password(
    pool: &PgPool,
    passwords: &Passwords,
    asked: ResetPassword,
    now: DateTime<Utc>,
) -> Result<(), CredentialError> {
    let new = new_password(&asked.new_password, &asked.email)?;
    let (Ok(email), Some(code)) = (EmailAddress::parse(&asked.email), OneTimeCode::parse(&asked.code)) else {
        return Err(CredentialError::WrongResetCode);
    };
    let doing = || DomainError::doing("looking for a code for a password");
    let counted: Option<(Uuid, bool)> = sqlx::query_as(
        "UPDATE password_reset r SET attempts_left = attempts_left - (code_hash <> $2)::integer
         FROM person p WHERE p.user_id = r.user_id AND p.email_key = $1 AND r.expires_at > $3 AND r.attempts_left > 0
         RETURNING r.user_id, r.code_hash = $2",
    )
    .bind(email.key())
    .bind(code.hash())
    .bind(now)
    .fetch_optional(pool)
    .await
    .map_err(doing())?;
    let Some((user_id, true)) = counted else { return Err(CredentialError::WrongResetCode) };
    let hash = passwords.hash(new).await?;
    let mut tx = pool.begin().await.map_err(DomainError::doing("resetting a password"))?;
    // The person first, as everybody who changes credentials does.
    sqlx::query("SELECT FROM person WHERE user_id = $1 FOR UPDATE")
        .bind(user_id)
        .execute(&mut *tx)
        .await
        .map_err(DomainError::doing("locking a person"))?;
    // Meanwhile somebody else may have used it: whoever deletes it has it.
    let used = sqlx::query("DELETE FROM password_reset WHERE user_id = $1 AND code_hash = $2")
        .bind(user_id)
        .bind(code.hash())
        .execute(&mut *tx)
        .await
        .map_err(DomainError::doing("using a code for a password"))?;
    if used.rows_affected() == 0 {
        return Err(CredentialError::WrongResetCode);
    }
    store(&mut tx, user_id, &hash).await?;
    session::void(&mut tx, user_id, now).await?;
    tx.commit().await.map_err(DomainError::doing("resetting a password"))?;
    tracing::info!(user_id = %UserId::from_uuid(user_id), "a password was reset");
    Ok(())
}
