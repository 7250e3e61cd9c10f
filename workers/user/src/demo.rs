//! The demo data's people: a client, and one of each role of operators, so that a newcomer can log in at once. Their
//! addresses are theirs in every installation, and production does not start while one of them has the public password.

use std::sync::Arc;

use contract::{
    EmailAddress,
    problem::FieldError,
    user::{Register, Role},
};
use kit::clock::Clock;
use secrecy::{ExposeSecret, SecretString};
use sqlx::PgPool;
use worker_runtime::{DomainError, Events};

use crate::{
    commands::register::{NewPerson, RegistrationError, Row, insert},
    hashing::Passwords,
    password::Password,
    settings::DEVELOPMENT_DEMO_PASSWORD,
};

/// The demo data's client.
pub const DEMO_CLIENT_EMAIL: &str = "client@sojourn.example";
/// The demo data's operator.
pub const DEMO_OPERATOR_EMAIL: &str = "operator@sojourn.example";
/// The demo data's viewer.
pub const DEMO_VIEWER_EMAIL: &str = "viewer@sojourn.example";
/// The demo data's admin.
pub const DEMO_ADMIN_EMAIL: &str = "admin@sojourn.example";

/// The addresses, names and roles of all of them.
const PEOPLE: [(&str, &str, Role); 4] = [
    (DEMO_CLIENT_EMAIL, "Demo Client", Role::Client),
    (DEMO_VIEWER_EMAIL, "Demo Viewer", Role::Viewer),
    (DEMO_OPERATOR_EMAIL, "Demo Operator", Role::Operator),
    (DEMO_ADMIN_EMAIL, "Demo Admin", Role::Admin),
];

/// The addresses that are reserved for them.
pub(crate) fn addresses() -> Vec<&'static str> {
    PEOPLE.iter().map(|(email, ..)| *email).collect()
}

/// Makes the people who are missing. Harmless when repeated, also by two workers at once.
pub(crate) async fn ensure_people(
    pool: &PgPool,
    events: &Events,
    passwords: &Passwords,
    password: &SecretString,
    clock: &Arc<dyn Clock>,
) -> Result<(), RegistrationError> {
    let known: Vec<String> = sqlx::query_scalar("SELECT email_key FROM person WHERE email_key = ANY($1)")
        .bind(addresses())
        .fetch_all(pool)
        .await
        .map_err(DomainError::doing("looking for the demonstration's people"))?;
    // One hash for all of them: they have one password, which is no secret among them.
    let mut hash: Option<String> = None;
    for (email, name, role) in PEOPLE.into_iter().filter(|(email, ..)| !known.iter().any(|known| known == email)) {
        let password = password.expose_secret().to_owned();
        let typed = Register { email: email.to_owned(), password, name: name.to_owned() };
        let NewPerson { email, name, password } = NewPerson::parse(&typed).map_err(RegistrationError::Invalid)?;
        let hash = match &hash {
            Some(hash) => hash.clone(),
            None => hash.insert(passwords.hash(password).await?).clone(),
        };
        match insert(pool, events, kit::ids::user_id(), &Row { email, name, hash, role }, clock.now()).await {
            Ok(()) | Err(RegistrationError::Taken) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Refuses an address of the demonstration to everybody else.
pub(crate) fn refuse_reserved(email: &str) -> Result<(), RegistrationError> {
    let reserved = EmailAddress::parse(email).is_ok_and(|email| addresses().contains(&email.key().as_str()));
    if !reserved {
        return Ok(());
    }
    let detail = "is reserved for the demonstration".to_owned();
    Err(RegistrationError::Invalid(vec![FieldError { detail, pointer: "#/email".to_owned() }]))
}

/// The reason for which production does not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PublicPasswordError {
    /// Everybody knows the password.
    #[error(
        "{0} has the public password of the demonstration: run `sojourn admin disable-demonstration` with this database, \
         and make people of your own with `sojourn admin create-operator`"
    )]
    Public(String),
    /// It cannot be told.
    #[error("the demonstration's people cannot be checked")]
    Unchecked(#[from] RegistrationError),
}

/// Finds a person of the demonstration who can log in with the public password.
pub(crate) async fn refuse_public_passwords(pool: &PgPool, passwords: &Passwords) -> Result<(), PublicPasswordError> {
    let found: Vec<(String, String)> = sqlx::query_as(
        "SELECT email, password_hash FROM person WHERE email_key = ANY($1) AND disabled_at IS NULL ORDER BY email",
    )
    .bind(addresses())
    .fetch_all(pool)
    .await
    .map_err(|source| RegistrationError::from(DomainError::doing("looking for the demonstration's people")(source)))?;
    for (email, hash) in found {
        let public = Password::parse(DEVELOPMENT_DEMO_PASSWORD).ok();
        let Some(public) = public else { continue };
        if passwords.matches(public, Some(hash)).await.map_err(RegistrationError::from)? {
            return Err(PublicPasswordError::Public(email));
        }
    }
    Ok(())
}
