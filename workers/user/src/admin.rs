//! The acts that need no person who is logged in, but the database: the first operator of an installation, and the end of
//! the demonstration's people.

use std::sync::Arc;

use contract::{
    Route, UserId,
    user::{Register, Role},
};
use kit::clock::Clock;
use uuid::Uuid;
use worker_runtime::{Domain, DomainError, Resources, StartError, open_resources};

use crate::{
    commands::{
        change_rights::{RightsChange, RightsError, change_rights},
        register::{RegistrationError, register},
    },
    demo::{addresses, refuse_reserved},
    domain::MIGRATOR,
    hashing::Passwords,
};

/// Why an act was not carried out.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct AdminError(#[from] Failure);

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{}", mistakes(.0))]
    Registration(#[from] RegistrationError),
    #[error(transparent)]
    Rights(#[from] RightsError),
}

/// The user domain's database, opened for these acts.
#[derive(Debug)]
pub struct Admin(Resources);

impl Admin {
    /// Opens the database on the server at `database_url`; it is made when it is missing.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub async fn open(database_url: &str, clock: Arc<dyn Clock>) -> Result<Self, StartError> {
        open_resources(database_url, &Domain::new(Route::User, &MIGRATOR), clock).await.map(Self)
    }

    /// Makes a person with a role.
    ///
    /// # Errors
    /// When the person cannot be, or there is one with this address.
    pub async fn create_person(&self, person: Register, role: Role) -> Result<UserId, AdminError> {
        let Resources { pool, events, clock, .. } = &self.0;
        let made = async {
            refuse_reserved(&person.email)?;
            let passwords = Passwords::new().await?;
            let user_id = kit::ids::user_id();
            register(pool, events, &passwords, user_id, person, role, clock.now()).await?;
            Ok(user_id)
        };
        made.await.map_err(|error: RegistrationError| AdminError(error.into()))
    }

    /// Disables the demonstration's people, and answers how many that were.
    ///
    /// # Errors
    /// When the database fails, or one of them is the last admin.
    pub async fn disable_demonstration(&self) -> Result<usize, AdminError> {
        let Resources { pool, clock, .. } = &self.0;
        let found: Result<Vec<Uuid>, _> =
            sqlx::query_scalar("SELECT user_id FROM person WHERE email_key = ANY($1) AND disabled_at IS NULL")
                .bind(addresses())
                .fetch_all(pool)
                .await;
        let found = found.map_err(DomainError::doing("looking for the demonstration's people"));
        let found = found.map_err(|error| AdminError(RightsError::from(error).into()))?;
        for user_id in &found {
            let changed = change_rights(pool, UserId::from_uuid(*user_id), RightsChange::Disable, clock.now()).await;
            changed.map_err(|error| AdminError(error.into()))?;
        }
        Ok(found.len())
    }
}

/// All mistakes of a registration in one line.
fn mistakes(error: &RegistrationError) -> String {
    match error {
        RegistrationError::Invalid(errors) => {
            let each: Vec<String> = errors
                .iter()
                .map(|error| format!("{} {}", error.pointer.trim_start_matches("#/"), error.detail))
                .collect();
            each.join("; ")
        }
        other => other.to_string(),
    }
}
