//! The demo data's people: one client and one operator, so that a newcomer can log in at once.

use std::sync::Arc;

use contract::user::{Register, Role};
use kit::clock::Clock;
use secrecy::{ExposeSecret, SecretString};
use sqlx::PgPool;
use worker_runtime::{DomainError, Events};

use crate::{
    commands::register::{RegistrationError, register},
    hashing::Passwords,
};

/// The demo data's client.
pub const DEMO_CLIENT_EMAIL: &str = "client@sojourn.example";
/// The demo data's operator.
pub const DEMO_OPERATOR_EMAIL: &str = "operator@sojourn.example";

/// Makes the two people where they are missing. Harmless when repeated, also by two workers at once.
pub(crate) async fn ensure_people(
    pool: &PgPool,
    events: &Events,
    passwords: &Passwords,
    password: &SecretString,
    clock: &Arc<dyn Clock>,
) -> Result<(), RegistrationError> {
    let known: Vec<String> = sqlx::query_scalar("SELECT email_key FROM person WHERE email_key = ANY($1)")
        .bind(vec![DEMO_CLIENT_EMAIL, DEMO_OPERATOR_EMAIL])
        .fetch_all(pool)
        .await
        .map_err(DomainError::doing("looking for the demonstration's people"))?;
    for (email, name, role) in
        [(DEMO_CLIENT_EMAIL, "Demo Client", Role::Client), (DEMO_OPERATOR_EMAIL, "Demo Operator", Role::Operator)]
    {
        if known.iter().any(|known| known == email) {
            continue;
        }
        let password = password.expose_secret().to_owned();
        let person = Register { email: email.to_owned(), password, name: name.to_owned() };
        match register(pool, events, passwords, kit::ids::user_id(), person, role, clock.now()).await {
            Ok(()) | Err(RegistrationError::Taken) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
