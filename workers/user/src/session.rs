//! Logins and refreshes. Refresh tokens are rotated on every use; an old one that is used again revokes the whole
//! session (RFC 9700), because one of its two users is a thief.

use aws_lc_rs::rand;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Duration, Utc};
use contract::{
    UserId,
    user::{Login, Role, Tokens},
};
use sha2::{Digest, Sha256};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::{
    keys::SigningKey,
    password::{PASSWORD_BYTES_MAX, PasswordError, Passwords},
};

/// Random bytes of a refresh token: as hard to guess as a key.
const REFRESH_TOKEN_BYTES: usize = 32;

/// How long tokens last.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lifetimes {
    pub(crate) access: Duration,
    pub(crate) session: Duration,
}

/// Why there are no tokens.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SessionError {
    /// Who asks does not show what is needed. Which part is wrong is not said.
    #[error("the e-mail address or the password is wrong")]
    WrongLogin,
    #[error("the refresh token is unknown, used, revoked or expired")]
    WrongToken,
    #[error("checking the password")]
    Password(#[from] PasswordError),
    #[error("reading or storing the session")]
    Database(#[from] sqlx::Error),
    #[error("signing the access token")]
    Signing(#[from] jsonwebtoken::errors::Error),
    #[error("row {user_id} of person has an unknown role `{role}`")]
    BrokenRow { user_id: UserId, role: String },
    #[error("the system has no randomness")]
    NoRandomness,
}

/// Checks a login and opens a session.
pub(crate) async fn log_in(
    pool: &PgPool,
    passwords: &Passwords,
    key: &SigningKey,
    login: Login,
    lifetimes: Lifetimes,
    now: DateTime<Utc>,
) -> Result<Tokens, SessionError> {
    // A longer one cannot be anybody's, and hashing it would only cost.
    if login.password.len() > PASSWORD_BYTES_MAX {
        return Err(SessionError::WrongLogin);
    }
    // NUL, which PostgreSQL's text cannot hold, becomes what no address has.
    let email = login.email.trim().replace('\0', " ");
    let found: Option<(Uuid, String, String)> =
        sqlx::query_as("SELECT user_id, password_hash, role FROM person WHERE email_key = lower($1)")
            .bind(email)
            .fetch_optional(pool)
            .await?;
    let stored = found.as_ref().map(|(_, hash, _)| hash.clone());
    let right = passwords.matches(login.password, stored).await?;
    let Some((user_id, _, role)) = found.filter(|_| right) else {
        return Err(SessionError::WrongLogin);
    };
    let (user_id, session_id) = (UserId::from_uuid(user_id), kit::ids::uuid_v7());
    let role = read_role(user_id, &role)?;
    let mut tx = pool.begin().await?;
    sqlx::query("INSERT INTO session (session_id, user_id, created_at, expires_at) VALUES ($1, $2, $3, $4)")
        .bind(session_id)
        .bind(user_id.uuid())
        .bind(now)
        .bind(now + lifetimes.session)
        .execute(&mut *tx)
        .await?;
    let refresh_token = issue(&mut tx, session_id, now).await?;
    tx.commit().await?;
    tokens(key, user_id, role, refresh_token, lifetimes, now)
}

/// Trades a refresh token for new ones.
pub(crate) async fn refresh(
    pool: &PgPool,
    key: &SigningKey,
    refresh_token: &str,
    lifetimes: Lifetimes,
    now: DateTime<Utc>,
) -> Result<Tokens, SessionError> {
    let hash = Sha256::digest(refresh_token.as_bytes()).to_vec();
    let mut tx = pool.begin().await?;
    // The row lock makes two simultaneous uses one after the other: the second one finds it used.
    let found: Option<TokenRow> = sqlx::query_as(
        "SELECT t.session_id, t.used_at, s.user_id, p.role, s.revoked_at IS NULL AND s.expires_at > $2 AS alive
         FROM refresh_token t JOIN session s USING (session_id) JOIN person p USING (user_id)
         WHERE t.token_hash = $1 FOR UPDATE OF t",
    )
    .bind(&hash)
    .bind(now)
    .fetch_optional(&mut *tx)
    .await?;
    let Some(TokenRow { session_id, used_at, user_id, role, alive }) = found else {
        return Err(SessionError::WrongToken);
    };
    if used_at.is_some() {
        sqlx::query("UPDATE session SET revoked_at = coalesce(revoked_at, $2) WHERE session_id = $1")
            .bind(session_id)
            .bind(now)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
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
        .await?;
    let next = issue(&mut tx, session_id, now).await?;
    let user_id = UserId::from_uuid(user_id);
    let role = read_role(user_id, &role)?;
    tx.commit().await?;
    tokens(key, user_id, role, next, lifetimes, now)
}

#[derive(sqlx::FromRow)]
struct TokenRow {
    session_id: Uuid,
    used_at: Option<DateTime<Utc>>,
    user_id: Uuid,
    role: String,
    /// Its session is neither revoked nor over.
    alive: bool,
}

async fn issue(tx: &mut PgConnection, session_id: Uuid, now: DateTime<Utc>) -> Result<String, SessionError> {
    let mut bytes = [0; REFRESH_TOKEN_BYTES];
    rand::fill(&mut bytes).map_err(|_| SessionError::NoRandomness)?;
    let token = format!("rt_{}", URL_SAFE_NO_PAD.encode(bytes));
    sqlx::query("INSERT INTO refresh_token (token_hash, session_id, issued_at) VALUES ($1, $2, $3)")
        .bind(Sha256::digest(token.as_bytes()).to_vec())
        .bind(session_id)
        .bind(now)
        .execute(tx)
        .await?;
    Ok(token)
}

fn tokens(
    key: &SigningKey,
    user_id: UserId,
    role: Role,
    refresh_token: String,
    lifetimes: Lifetimes,
    now: DateTime<Utc>,
) -> Result<Tokens, SessionError> {
    Ok(Tokens {
        access_token: key.sign(user_id, role, now, lifetimes.access)?,
        refresh_token,
        token_type: "Bearer".to_owned(),
        expires_in: lifetimes.access.num_seconds().unsigned_abs(),
    })
}

fn read_role(user_id: UserId, role: &str) -> Result<Role, SessionError> {
    [Role::Client, Role::Operator]
        .into_iter()
        .find(|known| known.as_str() == role)
        .ok_or_else(|| SessionError::BrokenRow { user_id, role: role.to_owned() })
}
