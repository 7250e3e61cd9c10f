//! Changes a person's password, as the person itself asks for it. All its logins end, and the answer is a new one: whoever
//! knew the old password is out.

use contract::{
    UserId,
    user::{ChangePassword, Tokens},
};
use sqlx::PgConnection;
use uuid::Uuid;
use worker_runtime::DomainError;

use crate::credentials::{CredentialError, Proven, Tools, log_in_anew, new_password};

/// Changes the password.
pub(crate) async fn change_password(
    tools: Tools<'_>,
    user_id: UserId,
    asked: ChangePassword,
) -> Result<Tokens, CredentialError> {
    let proven = Proven::by_password(tools, user_id, &asked.password).await?;
    let new = new_password(&asked.new_password, &proven.email)?;
    let hash = tools.passwords.hash(new).await?;
    let mut tx = tools.pool.begin().await.map_err(DomainError::doing("changing a password"))?;
    proven.lock(&mut tx).await?;
    store(&mut tx, user_id.uuid(), &hash).await?;
    let tokens = log_in_anew(&mut tx, tools, user_id).await?;
    tx.commit().await.map_err(DomainError::doing("changing a password"))?;
    tracing::info!(%user_id, "a password was changed");
    Ok(tokens)
}

/// Stores the hash of a new password. A code for another one is void with it.
pub(crate) async fn store(tx: &mut PgConnection, user_id: Uuid, hash: &str) -> Result<(), DomainError> {
    let statement = "WITH void AS (DELETE FROM password_reset WHERE user_id = $1)
         UPDATE person SET password_hash = $2 WHERE user_id = $1";
    sqlx::query(statement)
        .bind(user_id)
        .bind(hash)
        .execute(tx)
        .await
        .map_err(DomainError::doing("storing a password"))?;
    Ok(())
}
