//! Registers a person.

use chrono::{DateTime, Utc};
use contract::{
    EmailAddress, PersonName, UserId,
    problem::FieldError,
    user::{Register, Role, UserCreated},
};
use sqlx::PgPool;
use worker_runtime::{DomainError, Events, HandlerError};

use crate::{
    hashing::{HashingError, Passwords},
    password::Password,
};

/// Why a person was not registered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RegistrationError {
    #[error("the registration is not valid")]
    Invalid(Vec<FieldError>),
    #[error("somebody has this e-mail address already")]
    Taken,
    #[error("hashing the password")]
    Password(#[from] HashingError),
    #[error(transparent)]
    Domain(#[from] DomainError),
    #[error("announcing the person")]
    Event(#[source] HandlerError),
}

/// Registers a person, whose id is given, and announces it.
pub(crate) async fn register(
    pool: &PgPool,
    events: &Events,
    passwords: &Passwords,
    user_id: UserId,
    person: Register,
    role: Role,
    now: DateTime<Utc>,
) -> Result<(), RegistrationError> {
    let NewPerson { email, name, password } = NewPerson::parse(&person).map_err(RegistrationError::Invalid)?;
    let hash = passwords.hash(password).await?;
    insert(pool, events, user_id, &Row { email, name, hash, role }, now).await
}

/// A person as it is stored.
pub(crate) struct Row {
    pub(crate) email: EmailAddress,
    pub(crate) name: PersonName,
    pub(crate) hash: String,
    pub(crate) role: Role,
}

/// Stores a person, and announces it.
pub(crate) async fn insert(
    pool: &PgPool,
    events: &Events,
    user_id: UserId,
    Row { email, name, hash, role }: &Row,
    now: DateTime<Utc>,
) -> Result<(), RegistrationError> {
    let mut tx = pool.begin().await.map_err(DomainError::doing("registering a person"))?;
    let inserted = sqlx::query(
        "INSERT INTO person (user_id, email, email_key, name, password_hash, role, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (email_key) DO NOTHING",
    )
    .bind(user_id.uuid())
    .bind(email.as_str())
    .bind(email.key())
    .bind(name.as_str())
    .bind(hash)
    .bind(role.as_str())
    .bind(now)
    .execute(&mut *tx)
    .await
    .map_err(DomainError::doing("registering a person"))?;
    if inserted.rows_affected() == 0 {
        return Err(RegistrationError::Taken);
    }
    let announced = events.emit(&mut tx, now, None, &UserCreated { user_id, role: *role }).await;
    let announced = announced.map_err(|error| match error {
        HandlerError::Database(source) => DomainError::doing("announcing a person")(source).into(),
        other => RegistrationError::Event(other),
    })?;
    tx.commit().await.map_err(DomainError::doing("registering a person"))?;
    announced.committed();
    Ok(())
}

/// A registration that can be stored.
pub(crate) struct NewPerson {
    pub(crate) email: EmailAddress,
    pub(crate) name: PersonName,
    pub(crate) password: Password,
}

impl NewPerson {
    /// Reads all fields, so that a person hears of every mistake at once.
    pub(crate) fn parse(typed: &Register) -> Result<Self, Vec<FieldError>> {
        let mut mistakes = Vec::new();
        let mut at = |pointer: &str, detail: String| {
            mistakes.push(FieldError { detail, pointer: pointer.to_owned() });
        };
        let email = EmailAddress::parse(&typed.email).map_err(|error| at("#/email", error.to_string())).ok();
        let password = Password::parse(&typed.password).map_err(|error| error.to_string());
        let password = password.and_then(|password| match password.weakness(email.as_ref()) {
            Some(weakness) => Err(weakness),
            None => Ok(password),
        });
        let password = password.map_err(|why| at("#/password", why)).ok();
        let name = PersonName::parse(&typed.name).map_err(|error| at("#/name", error.to_string())).ok();
        match (email, name, password) {
            (Some(email), Some(name), Some(password)) => Ok(Self { email, name, password }),
            _ => Err(mistakes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mistake_is_pointed_at() {
        let typed = |email: &str, password: &str, name: &str| Register {
            email: email.to_owned(),
            password: password.to_owned(),
            name: name.to_owned(),
        };
        let mistakes = NewPerson::parse(&typed("nobody", "short", "\u{200b}")).err().unwrap();
        let pointers: Vec<String> = mistakes.into_iter().map(|mistake| mistake.pointer).collect();
        assert_eq!(pointers, ["#/email", "#/password", "#/name"]);
        assert!(NewPerson::parse(&typed("ada@example.com", "a long enough passphrase", "Ada")).is_ok());
    }
}
