//! The user service's logins, those without a browser among them.

use axum::{
    Router,
    extract::{Path, Query, State},
    http::StatusCode,
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use contract::{
    LoginId, UserId,
    user::{
        AskDeviceLogin, DecideDeviceLogin, DeviceCode, DeviceLogin, DeviceLoginAsked, Logout, PersonLogin, UserCode,
    },
};
use kit::http::{ApiError, Json};
use serde::Deserialize;
use serde_json::json;

use crate::parts::{Parts, at};

/// The code under which a login waits.
pub(crate) const CODE: &str = "WDJB-MJHT";

pub(super) fn routes() -> Router<Parts> {
    Router::new()
        .route("/internal/user/devices", post(ask).get(find))
        .route("/internal/user/devices/decide", post(decide))
        .route("/internal/user/devices/token", post(trade))
        .route("/internal/user/sessions/end", post(log_out))
        .route("/internal/user/sessions/ended", get(ended))
        .route("/internal/user/people/{id}/logins", get(list))
        .route("/internal/user/people/{id}/logins/{login}/end", post(end))
}

pub(crate) fn login_id(number: u128) -> LoginId {
    LoginId::from_uuid(uuid::Uuid::from_u128(number))
}

fn waiting(user_code: UserCode) -> Result<Json<DeviceLogin>, ApiError> {
    if user_code.to_string() != CODE {
        return Err(ApiError::not_found("device_login_unknown", "no login waits under this code"));
    }
    let (client, address) = ("sagactl".parse().unwrap(), "203.0.113.9".to_owned());
    let (created_at, expires_at) = (at("2026-12-01T08:00:00Z"), at("2026-12-01T08:10:00Z"));
    Ok(Json(DeviceLogin { user_code, client, address, created_at, expires_at }))
}

/// A program of the name `crowd` finds too many others waiting.
async fn ask(Json(asked): Json<AskDeviceLogin>) -> Result<Response, ApiError> {
    if asked.client.as_str() == "crowd" {
        let error = ApiError::new(StatusCode::TOO_MANY_REQUESTS, "device_logins_exhausted", "Too many logins wait");
        return Err(error.detail("too many logins wait for their people"));
    }
    let device_code = format!("dc_of_{}", asked.address);
    let asked = DeviceLoginAsked { device_code, user_code: CODE.parse().unwrap(), expires_in: 600, interval: 5 };
    Ok((StatusCode::CREATED, Json(asked)).into_response())
}

#[derive(Deserialize)]
struct Under {
    user_code: UserCode,
}

async fn find(Query(under): Query<Under>) -> Result<Json<DeviceLogin>, ApiError> {
    waiting(under.user_code)
}

async fn decide(
    State(parts): State<Parts>,
    Json(decided): Json<DecideDeviceLogin>,
) -> Result<Json<DeviceLogin>, ApiError> {
    let login = waiting(decided.user_code)?;
    parts.memory().people.decided.push(decided);
    Ok(login)
}

/// The code says what is answered.
async fn trade(Json(code): Json<DeviceCode>) -> Result<Response, ApiError> {
    match code.device_code.as_str() {
        "approved" => {
            let tokens = json!({"access_token": "a", "refresh_token": "r", "token_type": "Bearer", "expires_in": 900});
            Ok(axum::Json(tokens).into_response())
        }
        word => Err(ApiError::bad_request(word.to_owned(), "as the user service says")),
    }
}

/// The refresh token `r` is of login 5.
async fn log_out(State(parts): State<Parts>, Json(logout): Json<Logout>) -> StatusCode {
    if logout.refresh_token == "r" {
        parts.memory().people.ended.push(login_id(5));
    }
    StatusCode::NO_CONTENT
}

async fn ended(State(parts): State<Parts>) -> Json<Vec<LoginId>> {
    Json(parts.memory().people.ended.clone())
}

async fn list(Path(_): Path<UserId>) -> Json<Vec<PersonLogin>> {
    let login = |number| PersonLogin {
        login_id: login_id(number),
        client: (number == 5).then(|| "sagactl".parse().unwrap()),
        created_at: at("2026-12-01T08:00:00Z"),
        used_at: at("2026-12-01T09:00:00Z"),
        ends_at: at("2026-12-31T08:00:00Z"),
        current: false,
    };
    Json(vec![login(5), login(4)])
}

async fn end(State(parts): State<Parts>, Path((_, login)): Path<(UserId, LoginId)>) -> Result<StatusCode, ApiError> {
    if login != login_id(4) && login != login_id(5) {
        return Err(ApiError::not_found("login_unknown", "no login of yours"));
    }
    parts.memory().people.ended.push(login);
    Ok(StatusCode::NO_CONTENT)
}
