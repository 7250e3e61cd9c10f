//! Sessions as logins and refreshes share them: their lifetimes, their failures, and the tokens that they give out.

use aws_lc_rs::rand;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Duration, Utc};
use contract::{
    LoginId, UserId,
    user::{DeviceClient, Role, Tokens},
};
use sha2::{Digest, Sha256};
use sqlx::PgConnection;
use uuid::Uuid;
use worker_runtime::DomainError;

use crate::{
    hashing::HashingError,
    keys::{Rights, SigningKey},
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
    Password(#[from] HashingError),
    #[error(transparent)]
    Domain(#[from] DomainError),
    #[error("signing the access token")]
    Signing(#[from] jsonwebtoken::errors::Error),
    #[error("the system has no randomness")]
    NoRandomness,
}

/// The most refresh tokens of a session that are remembered: those of half a day at the usual life of an access token.
/// An older one that is used again is unknown, which gives its user nothing either.
const TOKENS_MAX: i64 = 48;

/// Issues the session's next refresh token. Only its hash is stored.
pub(crate) async fn issue(tx: &mut PgConnection, session_id: Uuid, now: DateTime<Utc>) -> Result<String, SessionError> {
    let mut bytes = [0; REFRESH_TOKEN_BYTES];
    rand::fill(&mut bytes).map_err(|_| SessionError::NoRandomness)?;
    let token = format!("rt_{}", URL_SAFE_NO_PAD.encode(bytes));
    let statement = "WITH forgotten AS (
             DELETE FROM refresh_token WHERE token_hash IN (
                 SELECT token_hash FROM refresh_token WHERE session_id = $2 ORDER BY issued_at DESC OFFSET $4 - 1)
         )
         INSERT INTO refresh_token (token_hash, session_id, issued_at) VALUES ($1, $2, $3)";
    sqlx::query(statement)
        .bind(Sha256::digest(token.as_bytes()).to_vec())
        .bind(session_id)
        .bind(now)
        .bind(TOKENS_MAX)
        .execute(tx)
        .await
        .map_err(DomainError::doing("storing a refresh token"))?;
    Ok(token)
}

/// A login that is open, as its tokens tell it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OpenLogin {
    pub(crate) session_id: Uuid,
    pub(crate) ends_at: DateTime<Utc>,
}

/// Opens a session for a person, for the program that it was approved for, if any. None for a person who is disabled.
pub(crate) async fn open(
    tx: &mut PgConnection,
    key: &SigningKey,
    user_id: Uuid,
    client: Option<&DeviceClient>,
    lifetimes: Lifetimes,
    now: DateTime<Utc>,
) -> Result<Option<Tokens>, SessionError> {
    // The lock makes a login and a change of the rights one after the other: whoever disables a person sees its session.
    let rights: Option<(String, i32)> =
        sqlx::query_as("SELECT role, generation FROM person WHERE user_id = $1 AND disabled_at IS NULL FOR SHARE")
            .bind(user_id)
            .fetch_optional(&mut *tx)
            .await
            .map_err(DomainError::doing("reading a person's rights"))?;
    let Some((role, generation)) = rights else { return Ok(None) };
    let login = OpenLogin { session_id: kit::ids::uuid_v7(), ends_at: now + lifetimes.session };
    let statement =
        "INSERT INTO session (session_id, user_id, created_at, expires_at, client) VALUES ($1, $2, $3, $4, $5)";
    sqlx::query(statement)
        .bind(login.session_id)
        .bind(user_id)
        .bind(now)
        .bind(login.ends_at)
        .bind(client.map(DeviceClient::as_str))
        .execute(&mut *tx)
        .await
        .map_err(DomainError::doing("opening a session"))?;
    let refresh_token = issue(tx, login.session_id, now).await?;
    tokens(key, read_rights(user_id, &role, generation)?, login, refresh_token, lifetimes, now).map(Some)
}

/// The answer to a login and to a refresh.
pub(crate) fn tokens(
    key: &SigningKey,
    rights: Rights,
    login: OpenLogin,
    refresh_token: String,
    lifetimes: Lifetimes,
    now: DateTime<Utc>,
) -> Result<Tokens, SessionError> {
    Ok(Tokens {
        access_token: key.sign(rights, LoginId::from_uuid(login.session_id), now, lifetimes.access)?,
        refresh_token,
        token_type: "Bearer".to_owned(),
        expires_in: lifetimes.access.num_seconds().unsigned_abs(),
        login_ends_at: Some(login.ends_at),
    })
}

/// The rights that a row of a person has.
pub(crate) fn read_rights(user_id: Uuid, role: &str, generation: i32) -> Result<Rights, DomainError> {
    let broken = |column, detail| DomainError::broken_row("person", column, user_id, detail);
    let generation = u32::try_from(generation).map_err(|error| broken("generation", error.to_string()))?;
    Ok(Rights { user_id: UserId::from_uuid(user_id), role: read_role(user_id, role)?, generation })
}

pub(crate) fn read_role(user_id: Uuid, role: &str) -> Result<Role, DomainError> {
    role.parse().map_err(|error| DomainError::broken_row("person", "role", user_id, format!("`{role}`: {error}")))
}
