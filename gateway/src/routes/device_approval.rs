//! `/ops/api/device`: the person's part of a login without a browser. It is shown which program waits under a code, and says
//! whether the program gets a login in its name. Wrong codes are counted by person.

use axum::{
    extract::State,
    http::StatusCode,
    routing::{MethodFilter, MethodRouter, on},
};
use contract::{
    Route,
    user::{DecideDeviceLogin, DeviceDecision, DeviceLogin, UserCode},
};
use kit::http::{ApiError, Json, Query};
use serde::Deserialize;
use serde_json::Value;
use tokio::time::Instant;

use crate::{
    access::{Access, Caller},
    app::App,
    endpoint::{Endpoint, LOGIN_BYTES_MAX, Limit, NO_BODY_BYTES_MAX, Verb},
    fields::read_members,
    hop::Hop,
    upstream::{Call, Part, Repeat, UpstreamError},
};

pub(crate) const FIND: Endpoint = Endpoint {
    verb: Verb::Get,
    body_bytes_max: NO_BODY_BYTES_MAX,
    ..deciding("/ops/api/device", "shows which program waits under a code", |methods| on(methods, find))
};

pub(crate) const APPROVE: Endpoint =
    deciding("/ops/api/device/approve", "gives a waiting program a login", |methods| on(methods, approve));

pub(crate) const DENY: Endpoint =
    deciding("/ops/api/device/deny", "refuses a waiting program a login", |methods| on(methods, deny));

const fn deciding(path: &'static str, about: &'static str, handler: fn(MethodFilter) -> MethodRouter<App>) -> Endpoint {
    Endpoint {
        verb: Verb::Post,
        path,
        access: Access::Viewer,
        limit: Limit::Operate,
        body_bytes_max: LOGIN_BYTES_MAX,
        part: Part::Domain(Route::User),
        about,
        handler,
    }
}

/// Where the user service has logins that wait.
const DEVICES: &str = "/internal/user/devices";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Under {
    user_code: UserCode,
}

async fn find(
    State(app): State<App>,
    caller: Caller,
    hop: Hop,
    Query(Under { user_code }): Query<Under>,
) -> Result<Json<DeviceLogin>, ApiError> {
    let call = Call::get_with(DEVICES, [("user_code", user_code.to_string())]);
    asked(&app, caller, &hop, call).await
}

async fn approve(
    State(app): State<App>,
    caller: Caller,
    hop: Hop,
    Json(body): Json<Value>,
) -> Result<Json<DeviceLogin>, ApiError> {
    decide(&app, caller, &hop, &body, DeviceDecision::Approve).await
}

async fn deny(
    State(app): State<App>,
    caller: Caller,
    hop: Hop,
    Json(body): Json<Value>,
) -> Result<Json<DeviceLogin>, ApiError> {
    decide(&app, caller, &hop, &body, DeviceDecision::Deny).await
}

async fn decide(
    app: &App,
    caller: Caller,
    hop: &Hop,
    body: &Value,
    decision: DeviceDecision,
) -> Result<Json<DeviceLogin>, ApiError> {
    let user_code = read_members(body, |body| {
        body.only(&["user_code"]);
        body.text("user_code")
    })?;
    let decided = DecideDeviceLogin { user_code, user_id: caller.user_id, decision };
    asked(app, caller, hop, Call::post(format!("{DEVICES}/decide"), &decided, Repeat::Unsent)?).await
}

async fn asked(app: &App, caller: Caller, hop: &Hop, call: Call) -> Result<Json<DeviceLogin>, ApiError> {
    app.codes.begin(caller.user_id, Instant::now())?;
    let answer = app.domain(Route::User).call(hop, call).await.map_err(UpstreamError::for_operators);
    let wrong = answer.as_ref().is_ok_and(|answer| answer.status == StatusCode::NOT_FOUND);
    if !wrong {
        app.codes.forgive(caller.user_id);
    }
    let answer = answer?;
    if answer.status == StatusCode::OK { Ok(Json(answer.json()?)) } else { Err(answer.problem()) }
}
