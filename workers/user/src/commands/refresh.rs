//! Trades a refresh token for new tokens. An old refresh token that is used again revokes its whole session (RFC 9700),
//! because one of its two users is a thief.

use chrono::{DateTime, Utc};
use contract::user::Tokens;
use sha2::{Digest, Sha256};
use sqlx::PgPool;
use uuid::Uuid;
use worker_runtime::DomainError;

use crate::{
    keys::SigningKey,
    session::{Lifetimes, OpenLogin, SessionError, issue, read_rights, tokens},
};

/// Trades a refresh token for new tokens; the old one is void from then on.
///
/// # Errors
/// [`SessionError::WrongToken`] when it is unknown, used, revoked or too old.
pub(crate) async fn refresh(
    pool: &PgPool,
    key: &SigningKey,
    refresh_token: &str,
    lifetimes: Lifetimes,
    now: DateTime<Utc>,
) -> Result<Tokens, SessionError> {
    let hash = Sha256::digest(refresh_token.as_bytes()).to_vec();
    let mut tx = pool.begin().await.map_err(DomainError::doing("looking for a refresh token"))?;
    // The row lock makes two simultaneous uses one after the other: the second one finds it used.
    let found: Option<TokenRow> = sqlx::query_as(
        "SELECT t.session_id, t.used_at, s.user_id, s.expires_at, p.role, p.generation, s.revoked_at IS NULL AND s.expires_at > $2 AND p.disabled_at IS NULL AS alive,
             EXISTS (SELECT FROM second_factor f WHERE f.user_id = s.user_id AND f.since IS NOT NULL) AS second_factor
         FROM refresh_token t JOIN session s USING (session_id) JOIN person p USING (user_id)
         WHERE t.token_hash = $1 FOR UPDATE OF t",
    )
    .bind(&hash)
    .bind(now)
    .fetch_optional(&mut *tx)
    .await
    .map_err(DomainError::doing("looking for a refresh token"))?;
    let Some(TokenRow { session_id, used_at, user_id, expires_at, role, generation, alive, second_factor }) = found
    else {
        return Err(SessionError::WrongToken);
    };
    if used_at.is_some() {
        sqlx::query("UPDATE session SET revoked_at = coalesce(revoked_at, $2) WHERE session_id = $1")
            .bind(session_id)
            .bind(now)
            .execute(&mut *tx)
            .await
            .map_err(DomainError::doing("revoking a session"))?;
        tx.commit().await.map_err(DomainError::doing("revoking a session"))?;
        tracing::warn!(%session_id, "an old refresh token was used again: the session is revoked");
        return Err(SessionError::WrongToken);
    }
    if !alive {
        return Err(SessionError::WrongToken);
    }
    sqlx::query("UPDATE refresh_token SET used_at = $2 WHERE token_hash = $1")
        .bind(&hash)
        .bind(now)
        .execute(&mut *tx)
        .await
        .map_err(DomainError::doing("using a refresh token"))?;
    let next = issue(&mut tx, session_id, now).await?;
    let rights = read_rights(user_id, &role, generation, second_factor)?;
    tx.commit().await.map_err(DomainError::doing("using a refresh token"))?;
    tokens(key, rights, OpenLogin { session_id, ends_at: expires_at }, next, lifetimes, now)
}

#[derive(sqlx::FromRow)]
struct TokenRow {
    session_id: Uuid,
    used_at: Option<DateTime<Utc>>,
    user_id: Uuid,
    expires_at: DateTime<Utc>,
    role: String,
    generation: i32,
    /// Its session is neither revoked nor over.
    alive: bool,
    second_factor: bool,
}
