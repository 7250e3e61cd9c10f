//! The second factor of a person, from its begin to its end: a secret that is told once, in force when a code of it was
//! shown; recovery codes that are told once, and renewed with password and code; switched off with the same, or by an admin.

use chrono::{DateTime, Utc};
use contract::{
    UserId,
    user::{EndSecondFactor, Person, RenewRecoveryCodes, SecondFactorOffer, SecondFactorOn, Tokens},
};
use sqlx::{PgConnection, PgPool, Postgres, Transaction};
use worker_runtime::DomainError;

use crate::{
    credentials::{CredentialError, Proven, Tools, log_in_anew},
    one_time_code::OneTimeCode,
    people,
    second_factor::{Factor, FactorError, Stage},
    session::{self, pass_code},
    totp::{self, Codes},
};

/// The recovery codes of a person: enough for a phone that is lost on a journey.
const RECOVERY_CODES: usize = 10;

/// Makes a secret, in place of one that was begun before. Logins ask for no code of it yet.
pub(crate) async fn begin(
    tools: Tools<'_>,
    user_id: UserId,
    password: &str,
) -> Result<SecondFactorOffer, CredentialError> {
    let proven = Proven::by_password(tools, user_id, password).await?;
    let secret = totp::new_secret()?;
    let codes = Codes::new(&secret, &proven.email).map_err(FactorError::from)?;
    let offer = SecondFactorOffer { secret: codes.secret(), uri: codes.uri().map_err(FactorError::from)? };
    let sealed = tools.factor_keys.seal(user_id.uuid(), &secret).map_err(FactorError::from)?;
    let mut tx = tools.pool.begin().await.map_err(DomainError::doing("beginning a second factor"))?;
    proven.lock(&mut tx).await?;
    let begun = sqlx::query(
        "INSERT INTO second_factor (user_id, sealed_secret) VALUES ($1, $2)
         ON CONFLICT (user_id) DO UPDATE SET sealed_secret = excluded.sealed_secret WHERE second_factor.since IS NULL",
    )
    .bind(user_id.uuid())
    .bind(sealed)
    .execute(&mut *tx)
    .await
    .map_err(DomainError::doing("beginning a second factor"))?;
    if begun.rows_affected() == 0 {
        return Err(CredentialError::FactorOn);
    }
    tx.commit().await.map_err(DomainError::doing("beginning a second factor"))?;
    Ok(offer)
}

/// Puts the second factor in force that was begun. All logins end, which were without one, and the answer is a new one.
pub(crate) async fn confirm(tools: Tools<'_>, user_id: UserId, code: &str) -> Result<SecondFactorOn, CredentialError> {
    let mut tx = tools.pool.begin().await.map_err(DomainError::doing("confirming a second factor"))?;
    people::find_locked(&mut tx, user_id).await?.ok_or(CredentialError::Unknown(user_id))?;
    let factor = Factor::lock(&mut tx, user_id.uuid()).await?.ok_or(CredentialError::FactorOff)?;
    if factor.stage() == Stage::On {
        return Err(CredentialError::FactorOn);
    }
    let mut tx = pass_code(tx, &factor, tools.factor_keys, code, tools.now).await?;
    sqlx::query("UPDATE second_factor SET since = $2 WHERE user_id = $1")
        .bind(user_id.uuid())
        .bind(tools.now)
        .execute(&mut *tx)
        .await
        .map_err(DomainError::doing("confirming a second factor"))?;
    let recovery_codes = give_recovery_codes(&mut tx, user_id).await?;
    let tokens = log_in_anew(&mut tx, tools, user_id).await?;
    tx.commit().await.map_err(DomainError::doing("confirming a second factor"))?;
    tracing::info!(%user_id, "a second factor is on");
    Ok(SecondFactorOn { recovery_codes, tokens })
}

/// Puts new recovery codes in the place of all of before, with password and code. All logins end, of which one may have been
/// begun with a recovery code that somebody else has found, and the answer is a new one.
pub(crate) async fn renew_recovery_codes(
    tools: Tools<'_>,
    user_id: UserId,
    RenewRecoveryCodes { password, code }: RenewRecoveryCodes,
) -> Result<SecondFactorOn, CredentialError> {
    let mut tx = pass_both(tools, user_id, &password, &code, "renewing recovery codes").await?;
    sqlx::query("DELETE FROM recovery_code WHERE user_id = $1")
        .bind(user_id.uuid())
        .execute(&mut *tx)
        .await
        .map_err(DomainError::doing("voiding recovery codes"))?;
    let recovery_codes = give_recovery_codes(&mut tx, user_id).await?;
    let tokens = log_in_anew(&mut tx, tools, user_id).await?;
    tx.commit().await.map_err(DomainError::doing("renewing recovery codes"))?;
    tracing::info!(%user_id, "recovery codes were renewed");
    Ok(SecondFactorOn { recovery_codes, tokens })
}

/// Switches the second factor off, with password and code. All logins end, and the answer is a new one.
pub(crate) async fn end(
    tools: Tools<'_>,
    user_id: UserId,
    EndSecondFactor { password, code }: EndSecondFactor,
) -> Result<Tokens, CredentialError> {
    let mut tx = pass_both(tools, user_id, &password, &code, "ending a second factor").await?;
    delete(&mut tx, user_id).await?;
    let tokens = log_in_anew(&mut tx, tools, user_id).await?;
    tx.commit().await.map_err(DomainError::doing("ending a second factor"))?;
    tracing::info!(%user_id, "a second factor is off");
    Ok(tokens)
}

/// Takes a person's second factor away, as an admin asks for it, and ends all its logins. Where there is none, nothing
/// changes.
pub(crate) async fn clear(pool: &PgPool, user_id: UserId, now: DateTime<Utc>) -> Result<Person, CredentialError> {
    let mut tx = pool.begin().await.map_err(DomainError::doing("clearing a second factor"))?;
    let person = people::find_locked(&mut tx, user_id).await?.ok_or(CredentialError::Unknown(user_id))?;
    if delete(&mut tx, user_id).await? {
        session::void(&mut tx, user_id.uuid(), now).await?;
    }
    tx.commit().await.map_err(DomainError::doing("clearing a second factor"))?;
    tracing::info!(%user_id, "a second factor was cleared");
    Ok(Person { second_factor: None, ..person })
}

/// A transaction that holds the person and its second factor, once the password and a code of it were shown.
async fn pass_both(
    tools: Tools<'_>,
    user_id: UserId,
    password: &str,
    code: &str,
    doing: &'static str,
) -> Result<Transaction<'static, Postgres>, CredentialError> {
    let proven = Proven::by_password(tools, user_id, password).await?;
    let mut tx = tools.pool.begin().await.map_err(DomainError::doing(doing))?;
    proven.lock(&mut tx).await?;
    let factor = Factor::lock(&mut tx, user_id.uuid()).await?.filter(|factor| factor.stage() == Stage::On);
    let factor = factor.ok_or(CredentialError::FactorOff)?;
    Ok(pass_code(tx, &factor, tools.factor_keys, code, tools.now).await?)
}

/// Makes recovery codes, of which only the hashes are kept.
async fn give_recovery_codes(tx: &mut PgConnection, user_id: UserId) -> Result<Vec<String>, CredentialError> {
    let codes = (0..RECOVERY_CODES).map(|_| OneTimeCode::new()).collect::<Result<Vec<_>, _>>()?;
    sqlx::query("INSERT INTO recovery_code (user_id, code_hash) SELECT $1, unnest($2::bytea[])")
        .bind(user_id.uuid())
        .bind(codes.iter().map(|code| code.hash().to_vec()).collect::<Vec<_>>())
        .execute(tx)
        .await
        .map_err(DomainError::doing("storing recovery codes"))?;
    Ok(codes.iter().map(OneTimeCode::shown).collect())
}

/// Deletes a second factor with its recovery codes; false when there was none.
async fn delete(tx: &mut PgConnection, user_id: UserId) -> Result<bool, DomainError> {
    let deleted = sqlx::query("DELETE FROM second_factor WHERE user_id = $1")
        .bind(user_id.uuid())
        .execute(tx)
        .await
        .map_err(DomainError::doing("deleting a second factor"))?;
    Ok(deleted.rows_affected() == 1)
}
