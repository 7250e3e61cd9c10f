//! Accounts and logins: read for their shape, passed to the user service, and its answer passed back.

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Response},
    routing::{MethodFilter, MethodRouter, on},
};
use contract::{
    Route,
    user::{Login, Refresh, Register, Registered, Tokens},
};
use kit::http::{ApiError, Json};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use tokio::time::Instant;

use crate::{
    access::Access,
    address::ClientAddress,
    app::App,
    endpoint::{Endpoint, LOGIN_BYTES_MAX, Limit, Verb},
    fields::read_members,
    guesses::Outcome,
    hop::Hop,
    upstream::{Call, Part, Repeat},
};

pub(crate) const REGISTER: Endpoint =
    endpoint("/v1/auth/register", "makes an account", |methods| on(methods, register));

pub(crate) const LOGIN: Endpoint = endpoint(
    "/v1/auth/login",
    "trades a password, and a code where the person has a second factor, for tokens",
    |methods| on(methods, login),
);

pub(crate) const REFRESH: Endpoint =
    endpoint("/v1/auth/refresh", "trades a refresh token for new tokens", |methods| on(methods, refresh));

const fn endpoint(path: &'static str, about: &'static str, handler: fn(MethodFilter) -> MethodRouter<App>) -> Endpoint {
    Endpoint {
        verb: Verb::Post,
        path,
        access: Access::Public,
        limit: Limit::Login,
        body_bytes_max: LOGIN_BYTES_MAX,
        part: Part::Domain(Route::User),
        about,
        handler,
    }
}

async fn register(State(app): State<App>, hop: Hop, Json(body): Json<Value>) -> Result<Response, ApiError> {
    let person = read_members(&body, |body| {
        body.only(&["email", "password", "name"]);
        let (email, password, name) = (body.text("email"), body.secret("password"), body.text("name"));
        Some(Register { email: email?, password: password?, name: name? })
    })?;
    pass::<Registered>(&app, &hop, "/internal/user/users", &person).await
}

async fn login(
    State(app): State<App>,
    address: ClientAddress,
    hop: Hop,
    Json(body): Json<Value>,
) -> Result<Response, ApiError> {
    let login = read_members(&body, |body| {
        body.only(&["email", "password", "code"]);
        let (email, password) = (body.secret("email"), body.secret("password"));
        let code = body.secret_if_given("code");
        Some(Login { email: email?, password: password?, code: code? })
    })?;
    let attempt = app.guesses.begin(&login.email, address, Instant::now())?;
    let answer = pass::<Tokens>(&app, &hop, "/internal/user/sessions", &login).await;
    app.guesses.end(attempt, Outcome::of(&answer));
    answer
}

async fn refresh(State(app): State<App>, hop: Hop, Json(body): Json<Value>) -> Result<Response, ApiError> {
    let old = read_members(&body, |body| {
        body.only(&["refresh_token"]);
        Some(Refresh { refresh_token: body.secret("refresh_token")? })
    })?;
    pass::<Tokens>(&app, &hop, "/internal/user/sessions/refresh", &old).await
}

/// Passes a body to the user service, and its answer or its problem back.
pub(super) async fn pass<T: Serialize + DeserializeOwned>(
    app: &App,
    hop: &Hop,
    path: &str,
    body: &impl Serialize,
) -> Result<Response, ApiError> {
    // None of these may be sent twice: a second registration is taken, a second refresh revokes the login.
    let response = app.domain(Route::User).call(hop, Call::post(path, body, Repeat::Unsent)?).await?;
    match response.status {
        StatusCode::OK | StatusCode::CREATED => Ok((response.status, Json(response.json::<T>()?)).into_response()),
        StatusCode::BAD_REQUEST
        | StatusCode::UNAUTHORIZED
        | StatusCode::FORBIDDEN
        | StatusCode::CONFLICT
        | StatusCode::UNPROCESSABLE_ENTITY
        | StatusCode::TOO_MANY_REQUESTS => Err(response.problem()),
        _ => Err(response.unexpected().into()),
    }
}
