//! The credentials of the caller: a new password, a second factor, and a password by the code that an admin has handed over.
//! Each shows the present password or a code, and counts as a guess. A change ends all logins of the person, at this door at
//! once, and answers with a new one.

use axum::{
    extract::State,
    http::StatusCode,
    response::Response,
    routing::{MethodFilter, MethodRouter, on},
};
use contract::{
    Route,
    user::{
        BeginSecondFactor, ChangePassword, ConfirmSecondFactor, EndSecondFactor, RenewRecoveryCodes, ResetPassword,
        SecondFactorOffer, SecondFactorOn, Tokens,
    },
};
use kit::http::{ApiError, Json};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use tokio::time::Instant;

use super::auth::pass;
use crate::{
    access::{Access, Caller},
    address::ClientAddress,
    app::App,
    endpoint::{Endpoint, LOGIN_BYTES_MAX, Limit, Verb},
    fields::read_members,
    guesses::Outcome,
    hop::Hop,
    upstream::{Call, Part, Repeat},
};

pub(crate) const CHANGE_PASSWORD: Endpoint =
    own("/v1/auth/password", "changes the caller's password and ends its other logins", |methods| {
        on(methods, change_password)
    });

pub(crate) const RESET_PASSWORD: Endpoint = Endpoint {
    access: Access::Public,
    ..own("/v1/auth/password/reset", "sets a password for a code of an admin", |methods| on(methods, reset_password))
};

pub(crate) const BEGIN_SECOND_FACTOR: Endpoint =
    own("/v1/auth/second-factor", "makes the secret of a second factor", |methods| on(methods, begin));

pub(crate) const CONFIRM_SECOND_FACTOR: Endpoint =
    own("/v1/auth/second-factor/confirm", "puts the second factor in force, for a code of it", |methods| {
        on(methods, confirm)
    });

pub(crate) const RENEW_RECOVERY_CODES: Endpoint =
    own("/v1/auth/second-factor/recovery-codes", "renews the recovery codes of the second factor", |methods| {
        on(methods, renew_recovery_codes)
    });

pub(crate) const REMOVE_SECOND_FACTOR: Endpoint =
    own("/v1/auth/second-factor/remove", "switches the second factor off", |methods| on(methods, remove));

const fn own(path: &'static str, about: &'static str, handler: fn(MethodFilter) -> MethodRouter<App>) -> Endpoint {
    Endpoint {
        verb: Verb::Post,
        path,
        access: Access::Client,
        limit: Limit::Login,
        body_bytes_max: LOGIN_BYTES_MAX,
        part: Part::Domain(Route::User),
        about,
        handler,
    }
}

async fn change_password(
    State(app): State<App>,
    caller: Caller,
    hop: Hop,
    Json(body): Json<Value>,
) -> Result<Response, ApiError> {
    let change = read_members(&body, |body| {
        body.only(&["password", "new_password"]);
        let (password, new_password) = (body.secret("password"), body.secret("new_password"));
        Some(ChangePassword { password: password?, new_password: new_password? })
    })?;
    guess::<Tokens>(&app, caller, &hop, "password", &change).await
}

async fn reset_password(
    State(app): State<App>,
    address: ClientAddress,
    hop: Hop,
    Json(body): Json<Value>,
) -> Result<StatusCode, ApiError> {
    let reset = read_members(&body, |body| {
        body.only(&["email", "code", "new_password"]);
        let (email, code, new_password) = (body.secret("email"), body.secret("code"), body.secret("new_password"));
        Some(ResetPassword { email: email?, code: code?, new_password: new_password? })
    })?;
    let attempt = app.guesses.begin(&reset.email, address, Instant::now())?;
    let done = async {
        let call = Call::post("/internal/user/password-resets", &reset, Repeat::Unsent)?;
        let answer = app.domain(Route::User).call(&hop, call).await?;
        if answer.status == StatusCode::NO_CONTENT { Ok(StatusCode::NO_CONTENT) } else { Err(answer.problem()) }
    };
    let done = done.await;
    app.guesses.end(attempt, Outcome::of(&done));
    app.rights.keep_fresh().await;
    done
}

async fn begin(
    State(app): State<App>,
    caller: Caller,
    hop: Hop,
    Json(body): Json<Value>,
) -> Result<Response, ApiError> {
    let begun = read_members(&body, |body| {
        body.only(&["password"]);
        Some(BeginSecondFactor { password: body.secret("password")? })
    })?;
    guess::<SecondFactorOffer>(&app, caller, &hop, "second-factor", &begun).await
}

async fn confirm(
    State(app): State<App>,
    caller: Caller,
    hop: Hop,
    Json(body): Json<Value>,
) -> Result<Response, ApiError> {
    let confirmed = read_members(&body, |body| {
        body.only(&["code"]);
        Some(ConfirmSecondFactor { code: body.secret("code")? })
    })?;
    guess::<SecondFactorOn>(&app, caller, &hop, "second-factor/confirm", &confirmed).await
}

async fn renew_recovery_codes(
    State(app): State<App>,
    caller: Caller,
    hop: Hop,
    Json(body): Json<Value>,
) -> Result<Response, ApiError> {
    let renewed = read_members(&body, |body| {
        body.only(&["password", "code"]);
        let (password, code) = (body.secret("password"), body.secret("code"));
        Some(RenewRecoveryCodes { password: password?, code: code? })
    })?;
    guess::<SecondFactorOn>(&app, caller, &hop, "second-factor/recovery-codes", &renewed).await
}

async fn remove(
    State(app): State<App>,
    caller: Caller,
    hop: Hop,
    Json(body): Json<Value>,
) -> Result<Response, ApiError> {
    let ended = read_members(&body, |body| {
        body.only(&["password", "code"]);
        let (password, code) = (body.secret("password"), body.secret("code"));
        Some(EndSecondFactor { password: password?, code: code? })
    })?;
    guess::<Tokens>(&app, caller, &hop, "second-factor/remove", &ended).await
}

/// Asks the user service in the caller's name, counted as a guess.
async fn guess<T: Serialize + DeserializeOwned>(
    app: &App,
    caller: Caller,
    hop: &Hop,
    what: &str,
    body: &impl Serialize,
) -> Result<Response, ApiError> {
    let attempt = app.guesses.begin_own(caller.user_id, Instant::now())?;
    let answer = pass::<T>(app, hop, &format!("/internal/user/people/{}/{what}", caller.user_id), body).await;
    app.guesses.end(attempt, Outcome::of(&answer));
    app.rights.keep_fresh().await;
    answer
}
