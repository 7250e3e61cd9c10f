//! Logins of people: the list of them, and their end. The gateway knows whose they are.

use axum::{
    Router,
    extract::State,
    http::StatusCode,
    routing::{get, post},
};
use contract::{
    LoginId, UserId,
    user::{Logout, PersonLogin},
};
use kit::http::{ApiError, Json, Path};

use super::{CLOCK_SKEW, People};
use crate::logins;

pub(super) fn router() -> Router<People> {
    Router::new()
        .route("/people/{id}/logins", get(list))
        .route("/people/{id}/logins/{login}/end", post(end))
        .route("/sessions/end", post(log_out))
        .route("/sessions/ended", get(ended))
}

async fn list(State(people): State<People>, Path(id): Path<UserId>) -> Result<Json<Vec<PersonLogin>>, ApiError> {
    Ok(Json(logins::list(&people.pool, id, people.clock.now()).await?))
}

async fn end(State(people): State<People>, Path((id, login)): Path<(UserId, LoginId)>) -> Result<StatusCode, ApiError> {
    if logins::end(&people.pool, id, login, people.clock.now()).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(ApiError::not_found("login_unknown", format!("{login} is no login of yours that has not ended")))
    }
}

async fn log_out(State(people): State<People>, Json(logout): Json<Logout>) -> Result<StatusCode, ApiError> {
    logins::log_out(&people.pool, &logout, people.clock.now()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The logins whose access tokens are void, as long as there can be any.
async fn ended(State(people): State<People>) -> Result<Json<Vec<LoginId>>, ApiError> {
    let since = people.clock.now() - people.lifetimes.access - CLOCK_SKEW;
    Ok(Json(logins::ended_since(&people.pool, since).await?))
}
