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
    session::{Lifetimes, SessionError, open},
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
    let mut tx = pool.begin().await.map_err(DomainError::doing("opening a session"))?;
    // That the person is disabled is not said: it would tell that the password is right.
    let opened = open(&mut tx, key, user_id, None, lifetimes, now).await?.ok_or(SessionError::WrongLogin)?;
    tx.commit().await.map_err(DomainError::doing("opening a session"))?;
    Ok(opened)
}
