//! Checks a login and opens a session. Whether there is a second factor is told only to one who knows the password.

use chrono::{DateTime, Utc};
use contract::{
    EmailAddress,
    user::{Login, Tokens},
};
use sqlx::PgPool;
use uuid::Uuid;
use worker_runtime::DomainError;

use crate::{
    factor_keys::FactorKeys,
    hashing::Passwords,
    keys::SigningKey,
    password::Password,
    second_factor::{Factor, Stage},
    session::{Lifetimes, SessionError, open, pass_code},
};

/// Opens a session for the person whose address, password and code these are.
///
/// # Errors
/// [`SessionError::WrongLogin`] does not tell which of the two is wrong.
pub(crate) async fn log_in(
    pool: &PgPool,
    passwords: &Passwords,
    factor_keys: &FactorKeys,
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
        sqlx::query_as("SELECT user_id, password_hash FROM person WHERE email_key = $1 AND disabled_at IS NULL")
            .bind(email.key())
            .fetch_optional(pool)
            .await
            .map_err(DomainError::doing("looking for a person"))?;
    let stored = found.as_ref().map(|(_, hash)| hash.clone());
    let right = passwords.matches(password, stored).await?;
    let Some((user_id, hash)) = found.filter(|_| right) else {
        return Err(SessionError::WrongLogin);
    };
    let mut tx = pool.begin().await.map_err(DomainError::doing("opening a session"))?;
    // Held until the session is open: a change of the password comes before, and then this one is wrong, or it ends the session.
    let unchanged: Option<bool> =
        sqlx::query_scalar("SELECT password_hash = $2 FROM person WHERE user_id = $1 FOR SHARE")
            .bind(user_id)
            .bind(hash)
            .fetch_optional(&mut *tx)
            .await
            .map_err(DomainError::doing("looking for a person"))?;
    if unchanged != Some(true) {
        return Err(SessionError::WrongLogin);
    }
    if let Some(factor) = Factor::lock(&mut tx, user_id).await?.filter(|factor| factor.stage() == Stage::On) {
        let code = login.code.ok_or(SessionError::CodeRequired)?;
        tx = pass_code(tx, &factor, factor_keys, &code, now).await?;
    }
    // That the person is disabled is not said: it would tell that the password is right.
    let opened = open(&mut tx, key, user_id, None, lifetimes, now).await?.ok_or(SessionError::WrongLogin)?;
    tx.commit().await.map_err(DomainError::doing("opening a session"))?;
    Ok(opened)
}
