//! Sessions as logins and refreshes share them: their lifetimes, their failures, and the tokens that they give out.

use aws_lc_rs::rand;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Duration, Utc};
use contract::{
    LoginId, UserId,
    user::{DeviceClient, Role, Tokens},
};
use sha2::{Digest, Sha256};
use sqlx::{PgConnection, Postgres, Transaction};
use uuid::Uuid;
use worker_runtime::DomainError;

use crate::{
    factor_keys::FactorKeys,
    hashing::HashingError,
    keys::{Rights, SigningKey},
    second_factor::{Factor, FactorError, Verdict},
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
    #[error("the password is right; a code of the second factor is needed too")]
    CodeRequired,
    #[error("the code is wrong, or was used before")]
    WrongCode,
    #[error("too many codes were wrong: codes are looked at again in {} minutes", .0.as_secs().div_ceil(60))]
    CodesPaused(std::time::Duration),
    #[error("checking the second factor")]
    Factor(#[from] FactorError),
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
    let rights: Option<(String, i32, bool)> = sqlx::query_as(
        "SELECT role, generation,
             EXISTS (SELECT FROM second_factor f WHERE f.user_id = person.user_id AND f.since IS NOT NULL)
         FROM person WHERE user_id = $1 AND disabled_at IS NULL FOR SHARE",
    )
    .bind(user_id)
    .fetch_optional(&mut *tx)
    .await
    .map_err(DomainError::doing("reading a person's rights"))?;
    let Some((role, generation, second_factor)) = rights else { return Ok(None) };
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
    let rights = read_rights(user_id, &role, generation, second_factor)?;
    tokens(key, rights, login, refresh_token, lifetimes, now).map(Some)
}

/// Ends all sessions of a person.
pub(crate) async fn end_all(tx: &mut PgConnection, user_id: Uuid, now: DateTime<Utc>) -> Result<(), DomainError> {
    sqlx::query("UPDATE session SET revoked_at = $2 WHERE user_id = $1 AND revoked_at IS NULL")
        .bind(user_id)
        .bind(now)
        .execute(tx)
        .await
        .map_err(DomainError::doing("ending a person's sessions"))?;
    Ok(())
}

/// Ends all sessions of a person whose credentials have changed, and voids its access tokens.
pub(crate) async fn void(tx: &mut PgConnection, user_id: Uuid, now: DateTime<Utc>) -> Result<(), DomainError> {
    end_all(tx, user_id, now).await?;
    sqlx::query("UPDATE person SET generation = generation + 1, rights_changed_at = $2 WHERE user_id = $1")
        .bind(user_id)
        .bind(now)
        .execute(tx)
        .await
        .map_err(DomainError::doing("voiding a person's tokens"))?;
    Ok(())
}

/// Lets a transaction go on after a right code of the second factor. A wrong one is noted, and ends it.
pub(crate) async fn pass_code(
    mut tx: Transaction<'static, Postgres>,
    factor: &Factor,
    keys: &FactorKeys,
    code: &str,
    now: DateTime<Utc>,
) -> Result<Transaction<'static, Postgres>, SessionError> {
    let refused = match factor.check(&mut tx, keys, code, now).await? {
        Verdict::Right => return Ok(tx),
        Verdict::Wrong => SessionError::WrongCode,
        Verdict::Paused(wait) => SessionError::CodesPaused(wait),
    };
    tx.commit().await.map_err(DomainError::doing("noting a wrong code"))?;
    Err(refused)
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
pub(crate) fn read_rights(
    user_id: Uuid,
    role: &str,
    generation: i32,
    second_factor: bool,
) -> Result<Rights, DomainError> {
    let generation = read_generation(user_id, generation)?;
    Ok(Rights { user_id: UserId::from_uuid(user_id), role: read_role(user_id, role)?, generation, second_factor })
}

pub(crate) fn read_generation(user_id: Uuid, generation: i32) -> Result<u32, DomainError> {
    let broken = |error: std::num::TryFromIntError| DomainError::broken_row("person", "generation", user_id, error);
    u32::try_from(generation).map_err(broken)
}

pub(crate) fn read_role(user_id: Uuid, role: &str) -> Result<Role, DomainError> {
    role.parse().map_err(|error| DomainError::broken_row("person", "role", user_id, format!("`{role}`: {error}")))
}
