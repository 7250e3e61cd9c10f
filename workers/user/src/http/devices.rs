//! `/devices`: logins of the device flow, as the gateway passes on what programs and people say about them.

use axum::{Router, extract::State, http::StatusCode, routing::post};
use contract::user::{AskDeviceLogin, DecideDeviceLogin, DeviceCode, DeviceLogin, DeviceLoginAsked, Tokens, UserCode};
use kit::http::{ApiError, Json, Query};
use serde::Deserialize;

use super::People;
use crate::{
    commands::{
        ask_device_login::{AskError, ask_device_login},
        decide_device_login::{decide_device_login, find_device_login},
        trade_device_code::trade_device_code,
    },
    device::DeviceError,
};

/// When a program that found too many others waiting should come back, in seconds.
const TOO_MANY_RETRY_AFTER_SECONDS: u32 = 60;

pub(super) fn router() -> Router<People> {
    Router::new()
        .route("/devices", post(ask).get(find))
        .route("/devices/decide", post(decide))
        .route("/devices/token", post(trade))
}

async fn ask(
    State(people): State<People>,
    Json(asked): Json<AskDeviceLogin>,
) -> Result<(StatusCode, Json<DeviceLoginAsked>), ApiError> {
    let begun = ask_device_login(&people.pool, &asked, people.clock.now()).await?;
    Ok((StatusCode::CREATED, Json(begun)))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Under {
    user_code: UserCode,
}

async fn find(
    State(people): State<People>,
    Query(Under { user_code }): Query<Under>,
) -> Result<Json<DeviceLogin>, ApiError> {
    let found = find_device_login(&people.pool, user_code, people.clock.now()).await?;
    found.map(Json).ok_or_else(unknown)
}

async fn decide(
    State(people): State<People>,
    Json(decided): Json<DecideDeviceLogin>,
) -> Result<Json<DeviceLogin>, ApiError> {
    let login = decide_device_login(&people.pool, &decided, people.clock.now()).await?.ok_or_else(unknown)?;
    let (user_id, decision) = (decided.user_id, decided.decision);
    tracing::info!(%user_id, client = login.client.as_str(), address = login.address, ?decision, "a login was decided");
    Ok(Json(login))
}

async fn trade(State(people): State<People>, Json(code): Json<DeviceCode>) -> Result<Json<Tokens>, ApiError> {
    let now = people.clock.now();
    Ok(Json(trade_device_code(&people.pool, &people.key, &code, people.lifetimes, now).await?))
}

fn unknown() -> ApiError {
    ApiError::not_found("device_login_unknown", "no login waits under this code: it is mistyped, decided or too old")
}

impl From<AskError> for ApiError {
    fn from(error: AskError) -> Self {
        let detail = error.to_string();
        match error {
            AskError::TooMany => {
                Self::new(StatusCode::TOO_MANY_REQUESTS, "device_logins_exhausted", "Too many logins wait")
                    .detail(detail)
                    .retry_after(TOO_MANY_RETRY_AFTER_SECONDS)
            }
            AskError::Session(error) => error.into(),
            AskError::Domain(error) => error.into(),
        }
    }
}

impl From<DeviceError> for ApiError {
    fn from(error: DeviceError) -> Self {
        let detail = error.to_string();
        match error {
            DeviceError::Pending => Self::bad_request("authorization_pending", detail),
            DeviceError::TooSoon => Self::bad_request("slow_down", detail),
            DeviceError::Denied => Self::bad_request("access_denied", detail),
            DeviceError::Expired => Self::bad_request("expired_token", detail),
            DeviceError::Unknown => Self::bad_request("invalid_grant", detail),
            DeviceError::Session(error) => error.into(),
            DeviceError::Domain(error) => error.into(),
        }
    }
}
