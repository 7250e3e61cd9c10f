//! The domain's internal HTTP: registration, login, refresh and the published keys. What people and admins change has
//! routes of its own.

mod credentials;
mod devices;
mod logins;
mod people;

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    http::StatusCode,
    routing::{get, post},
};
use chrono::TimeDelta;
use contract::user::{Login, Refresh, Register, Registered, Role, Tokens};
use jsonwebtoken::jwk::JwkSet;
use kit::{
    clock::Clock,
    http::{ApiError, Json},
    settings::error_chain,
};
use sqlx::PgPool;
use tokio::sync::OnceCell;
use worker_runtime::Events;

use crate::{
    commands::{
        log_in::log_in,
        refresh::refresh,
        register::{RegistrationError, register},
    },
    demo::refuse_reserved,
    factor_keys::FactorKeys,
    hashing::{HashingError, Passwords},
    keys::SigningKey,
    second_factor::FactorError,
    session::{Lifetimes, SessionError},
};

/// When a caller whose password found no place in the queue should come back, in seconds: it is looked through in less.
const BUSY_RETRY_AFTER_SECONDS: u32 = 1;

/// How much longer than a token lives its end before its time is told: clocks differ.
const CLOCK_SKEW: TimeDelta = TimeDelta::minutes(5);

/// The parts that the routes stand on.
#[derive(Clone)]
pub(crate) struct People {
    pub(crate) pool: PgPool,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) events: Events,
    pub(crate) key: SigningKey,
    pub(crate) factor_keys: FactorKeys,
    pub(crate) lifetimes: Lifetimes,
    pub(crate) passwords: Arc<OnceCell<Passwords>>,
}

impl People {
    /// The hasher, made when it is first needed: making it costs one hash.
    pub(crate) async fn passwords(&self) -> Result<&Passwords, HashingError> {
        self.passwords.get_or_try_init(Passwords::new).await
    }
}

/// The routes, to be served under `/internal/user`.
pub(crate) fn router(people: People) -> Router {
    Router::new()
        .route("/users", post(register_person))
        .route("/sessions", post(open_session))
        .route("/sessions/refresh", post(refresh_session))
        .route("/jwks", get(published_keys))
        .merge(credentials::router())
        .merge(people::router())
        .merge(logins::router())
        .merge(devices::router())
        .with_state(people)
}

async fn register_person(
    State(people): State<People>,
    Json(person): Json<Register>,
) -> Result<(StatusCode, Json<Registered>), ApiError> {
    refuse_reserved(&person.email)?;
    let user_id = kit::ids::user_id();
    let passwords = people.passwords().await.map_err(RegistrationError::from)?;
    register(&people.pool, &people.events, passwords, user_id, person, Role::Client, people.clock.now()).await?;
    tracing::info!(%user_id, "registered");
    Ok((StatusCode::CREATED, Json(Registered { user_id })))
}

async fn open_session(State(people): State<People>, Json(login): Json<Login>) -> Result<Json<Tokens>, ApiError> {
    let passwords = people.passwords().await.map_err(SessionError::from)?;
    let (keys, key, now) = (&people.factor_keys, &people.key, people.clock.now());
    let tokens = log_in(&people.pool, passwords, keys, key, login, people.lifetimes, now).await?;
    Ok(Json(tokens))
}

async fn refresh_session(State(people): State<People>, Json(old): Json<Refresh>) -> Result<Json<Tokens>, ApiError> {
    let now = people.clock.now();
    Ok(Json(refresh(&people.pool, &people.key, &old.refresh_token, people.lifetimes, now).await?))
}

async fn published_keys(State(people): State<People>) -> Json<JwkSet> {
    Json(people.key.published().clone())
}

impl From<RegistrationError> for ApiError {
    fn from(error: RegistrationError) -> Self {
        let detail = error.to_string();
        match error {
            RegistrationError::Invalid(errors) => Self::unprocessable("registration_invalid", detail, errors),
            RegistrationError::Taken => Self::conflict("email_taken", detail),
            RegistrationError::Domain(error) => error.into(),
            RegistrationError::Password(HashingError::Busy) => busy(detail),
            RegistrationError::Password(_) | RegistrationError::Event(_) => failed(&error),
        }
    }
}

impl From<SessionError> for ApiError {
    fn from(error: SessionError) -> Self {
        match error {
            SessionError::WrongLogin => Self::unauthorized("login_wrong", error.to_string()),
            SessionError::WrongToken => Self::unauthorized("refresh_token_wrong", error.to_string()),
            SessionError::CodeRequired => Self::unauthorized("second_factor_required", error.to_string()),
            SessionError::WrongCode => Self::forbidden("second_factor_wrong", error.to_string()),
            SessionError::CodesPaused(wait) => {
                let seconds = u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).saturating_add(1);
                let paused = Self::new(StatusCode::TOO_MANY_REQUESTS, "second_factor_paused", "Too many wrong codes");
                paused.detail(error.to_string()).retry_after(seconds)
            }
            SessionError::Domain(error) => error.into(),
            SessionError::Factor(FactorError::Domain(error)) => error.into(),
            SessionError::Password(error @ HashingError::Busy) => busy(error.to_string()),
            SessionError::Factor(_)
            | SessionError::Password(_)
            | SessionError::Signing(_)
            | SessionError::NoRandomness => failed(&error),
        }
    }
}

fn busy(detail: String) -> ApiError {
    ApiError::unavailable("busy", detail, BUSY_RETRY_AFTER_SECONDS)
}

fn failed(error: &dyn std::error::Error) -> ApiError {
    tracing::error!(error = error_chain(error), "a request about a person failed");
    ApiError::internal()
}
