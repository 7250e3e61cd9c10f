//! A person's logins: the list of them, the end of one, and logging out. An ended login gives no tokens, and its access tokens
//! are void at this door at once.

use axum::{
    extract::State,
    http::StatusCode,
    routing::{MethodFilter, MethodRouter, on},
};
use contract::{
    LoginId, Page, Route,
    user::{Logout, PersonLogin},
};
use kit::http::{ApiError, Json, Path};
use serde_json::Value;

use crate::{
    access::{Access, Caller},
    app::App,
    endpoint::{Endpoint, LOGIN_BYTES_MAX, Limit, NO_BODY_BYTES_MAX, Verb},
    fields::read_members,
    hop::Hop,
    upstream::{Call, Part, Repeat},
};

pub(crate) const LOGOUT: Endpoint = Endpoint {
    verb: Verb::Post,
    access: Access::Public,
    limit: Limit::Login,
    body_bytes_max: LOGIN_BYTES_MAX,
    ..own("/v1/auth/logout", "ends the login of a refresh token", |methods| on(methods, log_out))
};

pub(crate) const LIST: Endpoint = own("/v1/auth/logins", "lists the caller's logins", |methods| on(methods, list));

pub(crate) const END: Endpoint = Endpoint {
    verb: Verb::Delete,
    ..own("/v1/auth/logins/{login_id}", "ends one of the caller's logins", |methods| on(methods, end))
};

const fn own(path: &'static str, about: &'static str, handler: fn(MethodFilter) -> MethodRouter<App>) -> Endpoint {
    Endpoint {
        verb: Verb::Get,
        path,
        access: Access::Client,
        limit: Limit::Read,
        body_bytes_max: NO_BODY_BYTES_MAX,
        part: Part::Domain(Route::User),
        about,
        handler,
    }
}

async fn log_out(State(app): State<App>, hop: Hop, Json(body): Json<Value>) -> Result<StatusCode, ApiError> {
    let logout = read_members(&body, |body| {
        body.only(&["refresh_token"]);
        Some(Logout { refresh_token: body.secret("refresh_token")? })
    })?;
    ended(&app, &hop, Call::post("/internal/user/sessions/end", &logout, Repeat::Safe)?).await
}

async fn list(State(app): State<App>, caller: Caller, hop: Hop) -> Result<Json<Page<PersonLogin>>, ApiError> {
    let call = Call::get(format!("/internal/user/people/{}/logins", caller.user_id));
    let answer = app.domain(Route::User).call(&hop, call).await?;
    if answer.status != StatusCode::OK {
        return Err(answer.unexpected().into());
    }
    let mut logins: Vec<PersonLogin> = answer.json()?;
    for login in &mut logins {
        login.current = caller.login == Some(login.login_id);
    }
    Ok(Json(Page::only(logins)))
}

async fn end(
    State(app): State<App>,
    caller: Caller,
    hop: Hop,
    Path(login): Path<LoginId>,
) -> Result<StatusCode, ApiError> {
    let path = format!("/internal/user/people/{}/logins/{login}/end", caller.user_id);
    ended(&app, &hop, Call::post(path, &(), Repeat::Unsent)?).await
}

async fn ended(app: &App, hop: &Hop, call: Call) -> Result<StatusCode, ApiError> {
    let answer = app.domain(Route::User).call(hop, call).await?;
    if answer.status != StatusCode::NO_CONTENT {
        return Err(answer.problem());
    }
    app.rights.keep_fresh().await;
    Ok(StatusCode::NO_CONTENT)
}
