//! The domain as the `worker` program runs it.

use std::{error::Error, sync::Arc};

use chrono::TimeDelta;
use contract::command::Route;
use kit::settings::error_chain;
use secrecy::SecretString;
use sqlx::migrate::Migrator;
use tokio::sync::OnceCell;
use worker_runtime::{Domain, Resources, Retention};

use crate::{
    commands::register::RegistrationError,
    demo::{ensure_people, refuse_public_passwords},
    factor_keys::FactorKeysError,
    http::{self, People},
    keys::{KeyError, SigningKey},
    session::Lifetimes,
    settings::Settings,
};

/// The database of this domain.
pub const DATABASE: &str = "sojourn_user";

/// Makes the domain's tables.
pub static MIGRATOR: Migrator = sqlx::migrate!("../../migrations/user");

/// Sessions go with all their refresh tokens, of which each may have thousands. They are kept for a day, until no refresh
/// that began before their end can still be under way.
const ENDED_SESSIONS: Retention = Retention {
    rows: "ended sessions",
    kept_for: TimeDelta::days(1),
    batch_rows_max: 100,
    delete: "DELETE FROM session WHERE session_id IN (
                 SELECT session_id FROM session WHERE expires_at < $1 ORDER BY expires_at LIMIT $2
             )",
};

/// Logins of the device flow that nobody waits for any more. For an hour their programs are told that they are too late.
const EXPIRED_DEVICE_LOGINS: Retention = Retention {
    rows: "expired device logins",
    kept_for: TimeDelta::hours(1),
    batch_rows_max: 1_000,
    delete: "DELETE FROM device_login WHERE device_code_hash IN (
                 SELECT device_code_hash FROM device_login WHERE expires_at < $1 ORDER BY expires_at LIMIT $2
             )",
};

/// Why the domain cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// No key, no tokens.
    #[error("the user domain has no signing key")]
    Key(#[from] KeyError),
    /// No key, no second factors.
    #[error(transparent)]
    FactorKeys(#[from] FactorKeysError),
}

/// The user domain: its internal HTTP and the demo data's people.
///
/// # Errors
/// When there is no usable signing key.
pub fn domain(settings: &Settings, production: bool) -> Result<Domain, SetupError> {
    let mut key = SigningKey::load(&settings.jwt_signing_key_file, !production)?;
    key.require_second_factor(settings.require_second_factor.unwrap_or(production));
    let lifetimes = Lifetimes {
        access: TimeDelta::minutes(settings.access_token_minutes.into()),
        session: TimeDelta::days(settings.session_days.into()),
    };
    let factor_keys = settings.factor_keys(production)?;
    let passwords = Arc::new(OnceCell::new());
    let people = move |resources: &Resources| People {
        pool: resources.pool.clone(),
        clock: Arc::clone(&resources.clock),
        events: resources.events.clone(),
        key: key.clone(),
        factor_keys: factor_keys.clone(),
        lifetimes,
        passwords: Arc::clone(&passwords),
    };
    let reads = people.clone();
    let mut domain = Domain::new(Route::User, &MIGRATOR)
        .http(move |resources| http::router(reads(resources)))
        .keep(ENDED_SESSIONS)
        .keep(EXPIRED_DEVICE_LOGINS);
    if production {
        let people = people.clone();
        domain = domain.check(move |resources| check_demo_people(people(&resources)));
    }
    if let Some(password) = settings.demo_password(production).cloned() {
        domain = domain.setup(move |resources| make_demo_people(people(&resources), password));
    }
    Ok(domain)
}

async fn check_demo_people(people: People) -> Result<(), Box<dyn Error + Send + Sync>> {
    let passwords = people.passwords().await?;
    Ok(refuse_public_passwords(&people.pool, passwords).await?)
}

async fn make_demo_people(people: People, password: SecretString) {
    let made = async {
        let passwords = people.passwords().await.map_err(RegistrationError::from)?;
        ensure_people(&people.pool, &people.events, passwords, &password, &people.clock).await
    };
    if let Err(error) = made.await {
        tracing::error!(error = error_chain(&error), "the demo data's people could not be made");
    }
}
