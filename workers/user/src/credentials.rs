//! The proof of a person who is logged in already and changes what it logs in with: the present password. A session that
//! somebody else has got hold of is not enough.

use chrono::{DateTime, Utc};
use contract::{EmailAddress, UserId, user::Tokens};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;
use worker_runtime::DomainError;

use crate::{
    factor_keys::FactorKeys,
    hashing::{HashingError, Passwords},
    keys::SigningKey,
    one_time_code::NoRandomness,
    password::Password,
    second_factor::FactorError,
    session::{self, Lifetimes, SessionError},
};

/// Why credentials were not changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CredentialError {
    #[error("the present password is wrong")]
    WrongPassword,
    #[error("the new password is refused: {0}")]
    UnfitPassword(String),
    #[error("the e-mail address or the code is wrong, or the code is void")]
    WrongResetCode,
    #[error("there is no person {0}")]
    Unknown(UserId),
    #[error("there is a second factor already: switch it off first")]
    FactorOn,
    #[error("there is no second factor: begin one first")]
    FactorOff,
    #[error("checking the password")]
    Password(#[from] HashingError),
    #[error(transparent)]
    Session(#[from] SessionError),
    #[error(transparent)]
    Factor(#[from] FactorError),
    #[error(transparent)]
    Domain(#[from] DomainError),
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
}

/// The parts that a change of credentials works with.
#[derive(Clone, Copy)]
pub(crate) struct Tools<'a> {
    pub(crate) pool: &'a PgPool,
    pub(crate) passwords: &'a Passwords,
    pub(crate) factor_keys: &'a FactorKeys,
    pub(crate) key: &'a SigningKey,
    pub(crate) lifetimes: Lifetimes,
    pub(crate) now: DateTime<Utc>,
}

/// A person whose present password was shown.
pub(crate) struct Proven {
    user_id: Uuid,
    pub(crate) email: String,
    hash: String,
}

impl Proven {
    /// Checks the present password.
    pub(crate) async fn by_password(
        Tools { pool, passwords, .. }: Tools<'_>,
        user_id: UserId,
        typed: &str,
    ) -> Result<Self, CredentialError> {
        let found: Option<(String, String)> =
            sqlx::query_as("SELECT email, password_hash FROM person WHERE user_id = $1 AND disabled_at IS NULL")
                .bind(user_id.uuid())
                .fetch_optional(pool)
                .await
                .map_err(DomainError::doing("looking for a person"))?;
        let (Some((email, hash)), Ok(password)) = (found, Password::parse(typed)) else {
            return Err(CredentialError::WrongPassword);
        };
        if !passwords.matches(password, Some(hash.clone())).await? {
            return Err(CredentialError::WrongPassword);
        }
        Ok(Self { user_id: user_id.uuid(), email, hash })
    }

    /// Locks the person until the transaction ends, when the password is still the one that was shown.
    pub(crate) async fn lock(&self, tx: &mut PgConnection) -> Result<(), CredentialError> {
        let unchanged: Option<bool> = sqlx::query_scalar(
            "SELECT password_hash = $2 FROM person WHERE user_id = $1 AND disabled_at IS NULL FOR UPDATE",
        )
        .bind(self.user_id)
        .bind(&self.hash)
        .fetch_optional(tx)
        .await
        .map_err(DomainError::doing("locking a person"))?;
        if unchanged == Some(true) { Ok(()) } else { Err(CredentialError::WrongPassword) }
    }
}

/// A text that may be the new password of the person with an address.
pub(crate) fn new_password(typed: &str, email: &str) -> Result<Password, CredentialError> {
    let password = Password::parse(typed).map_err(|error| CredentialError::UnfitPassword(error.to_string()))?;
    match password.weakness(EmailAddress::parse(email).ok().as_ref()) {
        Some(weakness) => Err(CredentialError::UnfitPassword(weakness)),
        None => Ok(password),
    }
}

/// Ends all logins of a person, and begins the one that takes their place.
pub(crate) async fn log_in_anew(
    tx: &mut PgConnection,
    Tools { key, lifetimes, now, .. }: Tools<'_>,
    user_id: UserId,
) -> Result<Tokens, CredentialError> {
    session::void(tx, user_id.uuid(), now).await?;
    let opened = session::open(tx, key, user_id.uuid(), None, lifetimes, now).await?;
    opened.ok_or(CredentialError::WrongPassword)
}
