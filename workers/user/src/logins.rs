//! Logins as their people see and end them, and those that ended a short time ago, whose access tokens are void.

use chrono::{DateTime, Utc};
use contract::{
    LoginId, UserId,
    user::{Logout, PersonLogin},
};
use sha2::{Digest, Sha256};
use sqlx::PgPool;
use uuid::Uuid;
use worker_runtime::DomainError;

/// The most logins of a person that are listed, the newest ones: a person has a handful.
const LISTED_MAX: i64 = 200;

/// The most logins that end within the life of an access token: more than an installation has people who log out.
const ENDED_MAX: i64 = 10_000;

#[derive(sqlx::FromRow)]
struct LoginRow {
    session_id: Uuid,
    client: Option<String>,
    created_at: DateTime<Utc>,
    used_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
}

impl LoginRow {
    fn into_login(self) -> Result<PersonLogin, DomainError> {
        let Self { session_id, client, created_at, used_at, expires_at: ends_at } = self;
        let broken = |error| DomainError::broken_row("session", "client", session_id, error);
        let client = client.map(|client| client.parse().map_err(broken)).transpose()?;
        let login_id = LoginId::from_uuid(session_id);
        Ok(PersonLogin { login_id, client, created_at, used_at, ends_at, current: false })
    }
}

/// A person's logins that have not ended, the newest first.
pub(crate) async fn list(pool: &PgPool, user_id: UserId, now: DateTime<Utc>) -> Result<Vec<PersonLogin>, DomainError> {
    let statement = "SELECT s.session_id, s.client, s.created_at, s.expires_at,
                coalesce((SELECT max(issued_at) FROM refresh_token t WHERE t.session_id = s.session_id), s.created_at)
                    AS used_at
         FROM session s WHERE s.user_id = $1 AND s.revoked_at IS NULL AND s.expires_at > $2
         ORDER BY s.session_id DESC LIMIT $3";
    let rows: Vec<LoginRow> = sqlx::query_as(statement)
        .bind(user_id.uuid())
        .bind(now)
        .bind(LISTED_MAX)
        .fetch_all(pool)
        .await
        .map_err(DomainError::doing("listing logins"))?;
    rows.into_iter().map(LoginRow::into_login).collect()
}

/// Ends a person's login; false when the person has none of this id.
pub(crate) async fn end(
    pool: &PgPool,
    user_id: UserId,
    login: LoginId,
    now: DateTime<Utc>,
) -> Result<bool, DomainError> {
    let statement = "UPDATE session SET revoked_at = $3
         WHERE session_id = $1 AND user_id = $2 AND revoked_at IS NULL AND expires_at > $3";
    let ended = sqlx::query(statement)
        .bind(login.uuid())
        .bind(user_id.uuid())
        .bind(now)
        .execute(pool)
        .await
        .map_err(DomainError::doing("ending a login"))?;
    Ok(ended.rows_affected() > 0)
}

/// Ends the login that a refresh token is of, whether the token was used or not; one that is unknown ends nothing.
pub(crate) async fn log_out(pool: &PgPool, logout: &Logout, now: DateTime<Utc>) -> Result<(), DomainError> {
    let statement = "UPDATE session SET revoked_at = $2
         WHERE session_id = (SELECT session_id FROM refresh_token WHERE token_hash = $1) AND revoked_at IS NULL";
    sqlx::query(statement)
        .bind(Sha256::digest(logout.refresh_token.as_bytes()).to_vec())
        .bind(now)
        .execute(pool)
        .await
        .map_err(DomainError::doing("ending a login"))?;
    Ok(())
}

/// The logins that ended before their time since then.
pub(crate) async fn ended_since(pool: &PgPool, since: DateTime<Utc>) -> Result<Vec<LoginId>, DomainError> {
    let ids: Vec<Uuid> =
        sqlx::query_scalar("SELECT session_id FROM session WHERE revoked_at > $1 ORDER BY revoked_at DESC LIMIT $2")
            .bind(since)
            .bind(ENDED_MAX)
            .fetch_all(pool)
            .await
            .map_err(DomainError::doing("looking for ended logins"))?;
    Ok(ids.into_iter().map(LoginId::from_uuid).collect())
}
