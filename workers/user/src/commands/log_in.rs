//! Checks a login and opens a session.

use chrono::{DateTime, Utc};
use contract::{
    EmailAddress, UserId,
    user::{Login, Tokens},
};
use sqlx::PgPool;
use uuid::Uuid;
use worker_runtime::DomainError;

use crate::{
    hashing::Passwords,
    keys::SigningKey,
    password::Password,
    session::{Lifetimes, SessionError, issue, read_role, tokens},
};

/// Opens a session for the person whose address and password these are.
///
/// # Errors
/// [`SessionError::WrongLogin`] does not tell which of the two is wrong.
pub(crate) async fn log_in(
    pool: &PgPool,
    passwords: &Passwords,
    key: &SigningKey,
    login: Login,
    lifetimes: Lifetimes,
    now: DateTime<Utc>,
) -> Result<Tokens, SessionError> {
    // A text that cannot have been registered is not worth a hash.
    let (Ok(email), Ok(password)) = (EmailAddress::parse(&login.email), Password::parse(&login.password)) else {
        return Err(SessionError::WrongLogin);
    };
    let found: Option<(Uuid, String, String)> =
        sqlx::query_as("SELECT user_id, password_hash, role FROM person WHERE email_key = $1")
            .bind(email.key())
            .fetch_optional(pool)
            .await
            .map_err(DomainError::doing("looking for a person"))?;
    let stored = found.as_ref().map(|(_, hash, _)| hash.clone());
    let right = passwords.matches(password, stored).await?;
    let Some((user_id, _, role)) = found.filter(|_| right) else {
        return Err(SessionError::WrongLogin);
    };
    let (user_id, session_id) = (UserId::from_uuid(user_id), kit::ids::uuid_v7());
    let role = read_role(user_id, &role)?;
    let mut tx = pool.begin().await.map_err(DomainError::doing("opening a session"))?;
    sqlx::query("INSERT INTO session (session_id, user_id, created_at, expires_at) VALUES ($1, $2, $3, $4)")
        .bind(session_id)
        .bind(user_id.uuid())
        .bind(now)
        .bind(now + lifetimes.session)
        .execute(&mut *tx)
        .await
        .map_err(DomainError::doing("opening a session"))?;
    let refresh_token = issue(&mut tx, session_id, now).await?;
    tx.commit().await.map_err(DomainError::doing("opening a session"))?;
    tokens(key, user_id, role, refresh_token, lifetimes, now)
}
