//! Accounts and logins: read for their shape, passed to the user service, and its answer passed back.

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use contract::user::{Login, Refresh, Register, Registered, Tokens};
use kit::http::{ApiError, Json};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    door::Door,
    guard::Hop,
    upstream::{Call, Repeat},
};

/// `POST /v1/auth/register`.
pub(crate) async fn register(
    State(door): State<Door>,
    hop: Hop,
    Json(person): Json<Register>,
) -> Result<Response, ApiError> {
    pass::<Registered>(&door, &hop, "/internal/user/users", &person).await
}

/// `POST /v1/auth/login`.
pub(crate) async fn login(State(door): State<Door>, hop: Hop, Json(login): Json<Login>) -> Result<Response, ApiError> {
    pass::<Tokens>(&door, &hop, "/internal/user/sessions", &login).await
}

/// `POST /v1/auth/refresh`.
pub(crate) async fn refresh(
    State(door): State<Door>,
    hop: Hop,
    Json(old): Json<Refresh>,
) -> Result<Response, ApiError> {
    pass::<Tokens>(&door, &hop, "/internal/user/sessions/refresh", &old).await
}

async fn pass<T: Serialize + DeserializeOwned>(
    door: &Door,
    hop: &Hop,
    path: &str,
    body: &impl Serialize,
) -> Result<Response, ApiError> {
    // None of these may be sent twice: a second registration is taken, a second refresh revokes the login.
    let answer = door.user.call(hop, Call::post(path, body, Repeat::Unsent)?).await?;
    match answer.status {
        StatusCode::OK | StatusCode::CREATED => Ok((answer.status, Json(answer.json::<T>()?)).into_response()),
        StatusCode::BAD_REQUEST
        | StatusCode::UNAUTHORIZED
        | StatusCode::CONFLICT
        | StatusCode::UNPROCESSABLE_ENTITY => Err(answer.problem()),
        _ => Err(answer.unexpected().into()),
    }
}
