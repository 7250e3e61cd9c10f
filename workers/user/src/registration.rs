//! New people.

use chrono::{DateTime, Utc};
use contract::{
    UserId,
    problem::FieldError,
    user::{Register, Role, UserCreated},
};
use sqlx::PgPool;
use worker_runtime::{Events, HandlerError};

use crate::password::{PasswordError, Passwords, weakness};

/// The longest address that mail can be sent to (RFC 5321).
const EMAIL_BYTES_MAX: usize = 254;
/// The longest name, in characters.
const NAME_CHARS_MAX: usize = 200;

/// Why somebody was not registered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RegistrationError {
    #[error("the registration is not valid")]
    Invalid(Vec<FieldError>),
    #[error("somebody has this e-mail address already")]
    Taken,
    #[error("hashing the password")]
    Password(#[from] PasswordError),
    #[error("storing the person")]
    Database(#[from] sqlx::Error),
    #[error("storing the event")]
    Event(#[from] HandlerError),
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
    let (email, name) = (person.email.trim().to_owned(), person.name.trim().to_owned());
    let mistakes = mistakes(&email, &person.password, &name);
    if !mistakes.is_empty() {
        return Err(RegistrationError::Invalid(mistakes));
    }
    let hash = passwords.hash(person.password).await?;
    let mut tx = pool.begin().await?;
    let inserted = sqlx::query(
        "INSERT INTO person (user_id, email, email_key, name, password_hash, role, created_at)
         VALUES ($1, $2, lower($2), $3, $4, $5, $6) ON CONFLICT (email_key) DO NOTHING",
    )
    .bind(user_id.uuid())
    .bind(&email)
    .bind(&name)
    .bind(hash)
    .bind(role.as_str())
    .bind(now)
    .execute(&mut *tx)
    .await?;
    if inserted.rows_affected() == 0 {
        return Err(RegistrationError::Taken);
    }
    events.emit(&mut tx, now, None, &UserCreated { user_id, role }).await?;
    tx.commit().await?;
    events.committed();
    Ok(())
}

fn mistakes(email: &str, password: &str, name: &str) -> Vec<FieldError> {
    let mut mistakes = Vec::new();
    let mut at = |pointer: &str, detail: String| {
        mistakes.push(FieldError { detail, pointer: pointer.to_owned() });
    };
    if !is_email(email) {
        at("#/email", "this is not an e-mail address such as ada@example.com".to_owned());
    }
    if let Some(weakness) = weakness(password, email) {
        at("#/password", weakness);
    }
    if name.is_empty() || name.chars().count() > NAME_CHARS_MAX || name.chars().any(char::is_control) {
        at("#/name", format!("a name has 1 to {NAME_CHARS_MAX} characters, and no control characters"));
    }
    mistakes
}

/// Only the shape: whether mail arrives, only mail can tell.
fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    let sane = |part: &str| !part.is_empty() && !part.chars().any(|c| c.is_whitespace() || c.is_control() || c == '@');
    sane(local)
        && local.len() <= 64
        && sane(domain)
        && domain.contains('.')
        && domain.split('.').all(|label| !label.is_empty())
        && text.len() <= EMAIL_BYTES_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mistake_is_pointed_at() {
        let pointers: Vec<String> = mistakes("nobody", "short", "").into_iter().map(|m| m.pointer).collect();
        assert_eq!(pointers, ["#/email", "#/password", "#/name"]);
        assert!(mistakes("ada@example.com", "a long enough passphrase", "Ada").is_empty());
    }

    #[test]
    fn addresses_are_checked_by_their_shape() {
        for good in ["ada@example.com", "a.b+c@mail.example.co.uk", "ünïcode@exämple.com"] {
            assert!(is_email(good), "{good}");
        }
        for bad in ["", "@", "a@b", "a@.com", "a@b..c", "a b@c.de", "a@b@c.de", "a@c.de\n"] {
            assert!(!is_email(bad), "{bad}");
        }
    }
}
