//! Changes the rights of a person: gives a role, disables, enables. An access token of before is void, and a disabled
//! person's sessions end with the change.

use chrono::{DateTime, Utc};
use contract::{
    UserId,
    user::{Person, Role},
};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;
use worker_runtime::DomainError;

use crate::{people, session};

/// A change of a person's rights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RightsChange {
    SetRole(Role),
    Disable,
    Enable,
}

/// Why a person's rights were not changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RightsError {
    #[error("there is no person {0}")]
    Unknown(UserId),
    #[error("this is the last admin: make another one first")]
    LastAdmin,
    #[error(transparent)]
    Domain(#[from] DomainError),
}

/// Changes the rights, and answers how the person stands. A change that was made already changes nothing.
pub(crate) async fn change_rights(
    pool: &PgPool,
    user_id: UserId,
    change: RightsChange,
    now: DateTime<Utc>,
) -> Result<Person, RightsError> {
    let mut tx = pool.begin().await.map_err(DomainError::doing("changing a person's rights"))?;
    // All admins are locked, in one order: two who take each other's rights away come one after the other.
    let admins: Vec<Uuid> = sqlx::query_scalar(
        "SELECT user_id FROM person WHERE role = 'admin' AND disabled_at IS NULL ORDER BY user_id FOR UPDATE",
    )
    .fetch_all(&mut *tx)
    .await
    .map_err(DomainError::doing("locking the admins"))?;
    let before = people::find_locked(&mut tx, user_id).await?.ok_or(RightsError::Unknown(user_id))?;
    let mut after = before.clone();
    match change {
        RightsChange::SetRole(role) => after.role = role,
        RightsChange::Disable => after.disabled_at = before.disabled_at.or(Some(now)),
        RightsChange::Enable => after.disabled_at = None,
    }
    if after == before {
        return Ok(before);
    }
    let stays_admin = after.role == Role::Admin && after.disabled_at.is_none();
    if admins == [user_id.uuid()] && !stays_admin {
        return Err(RightsError::LastAdmin);
    }
    store(&mut tx, &after, now).await?;
    if after.disabled_at.is_some() {
        session::end_all(&mut tx, user_id.uuid(), now).await?;
    }
    tx.commit().await.map_err(DomainError::doing("changing a person's rights"))?;
    tracing::info!(%user_id, ?change, "a person's rights were changed");
    Ok(after)
}

async fn store(tx: &mut PgConnection, person: &Person, now: DateTime<Utc>) -> Result<(), DomainError> {
    let statement = "UPDATE person
         SET role = $2, disabled_at = $3, generation = generation + 1, rights_changed_at = $4 WHERE user_id = $1";
    sqlx::query(statement)
        .bind(person.user_id.uuid())
        .bind(person.role.as_str())
        .bind(person.disabled_at)
        .bind(now)
        .execute(tx)
        .await
        .map_err(DomainError::doing("storing a person's rights"))?;
    Ok(())
}
