//! Checks a login and opens a session.

use chrono::{DateTime, Utc};
use contract::{
    EmailAddress,
    user::{Login, Tokens},
};
use sqlx::PgPool;
use uuid::Uuid;
use worker_runtime::DomainError;

use crate::{
    hashing::Passwords,
    keys::SigningKey,
    password::Password,
    session::{Lifetimes, SessionError, issue, read_rights, tokens},
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
    let found: Option<(Uuid, String)> =
        sqlx::query_as("SELECT user_id, password_hash FROM person WHERE email_key = $1")
            .bind(email.key())
            .fetch_optional(pool)
            .await
            .map_err(DomainError::doing("looking for a person"))?;
    let stored = found.as_ref().map(|(_, hash)| hash.clone());
    let right = passwords.matches(password, stored).await?;
    let Some((user_id, _)) = found.filter(|_| right) else {
        return Err(SessionError::WrongLogin);
    };
    let session_id = kit::ids::uuid_v7();
    let mut tx = pool.begin().await.map_err(DomainError::doing("opening a session"))?;
    // The lock makes a login and a change of the rights one after the other: whoever disables a person sees its session.
    let rights: Option<(String, i32)> =
        sqlx::query_as("SELECT role, generation FROM person WHERE user_id = $1 AND disabled_at IS NULL FOR SHARE")
            .bind(user_id)
            .fetch_optional(&mut *tx)
            .await
            .map_err(DomainError::doing("reading a person's rights"))?;
    // That the person is disabled is not said: it would tell that the password is right.
    let (role, generation) = rights.ok_or(SessionError::WrongLogin)?;
    sqlx::query("INSERT INTO session (session_id, user_id, created_at, expires_at) VALUES ($1, $2, $3, $4)")
        .bind(session_id)
        .bind(user_id)
        .bind(now)
        .bind(now + lifetimes.session)
        .execute(&mut *tx)
        .await
        .map_err(DomainError::doing("opening a session"))?;
    let refresh_token = issue(&mut tx, session_id, now).await?;
    tx.commit().await.map_err(DomainError::doing("opening a session"))?;
    tokens(key, read_rights(user_id, &role, generation)?, refresh_token, lifetimes, now)
}
