//! The user service's passwords and second factors. User 7 has the right password, and the right code is 492039. With another
//! one no code is looked at for a quarter of an hour.

use axum::{Router, extract::Path, http::StatusCode, routing::post};
use contract::{
    UserId,
    user::{
        BeginSecondFactor, ChangePassword, ChangeRights, ConfirmSecondFactor, EndSecondFactor, Person,
        RenewRecoveryCodes, ResetCode, ResetPassword, SecondFactorOffer, SecondFactorOn, Tokens,
    },
};
use kit::http::{ApiError, Json};

use super::{Parts, at, people::person};

pub(super) fn routes() -> Router<Parts> {
    Router::new()
        .route("/internal/user/password-resets", post(reset))
        .route("/internal/user/people/{id}/password", post(change))
        .route("/internal/user/people/{id}/reset", post(give_code))
        .route("/internal/user/people/{id}/second-factor", post(begin))
        .route("/internal/user/people/{id}/second-factor/confirm", post(confirm))
        .route("/internal/user/people/{id}/second-factor/recovery-codes", post(renew_recovery_codes))
        .route("/internal/user/people/{id}/second-factor/remove", post(remove))
        .route("/internal/user/people/{id}/clear-second-factor", post(clear))
}

fn tokens() -> Tokens {
    Tokens {
        access_token: "access".to_owned(),
        refresh_token: "refresh".to_owned(),
        token_type: "Bearer".to_owned(),
        expires_in: 900,
        login_ends_at: None,
    }
}

fn right_password(id: UserId, password: &str) -> Result<(), ApiError> {
    let right = id == crate::keys::user(7) && password == "correct horse battery";
    if right { Ok(()) } else { Err(ApiError::forbidden("password_wrong", "the present password is wrong")) }
}

/// The code after which no other is looked at.
pub(crate) const PAUSED_CODE: &str = "000429";

fn right_code(code: &str) -> Result<(), ApiError> {
    match code {
        "492039" => Ok(()),
        PAUSED_CODE => {
            let paused = ApiError::new(StatusCode::TOO_MANY_REQUESTS, "second_factor_paused", "Too many wrong codes");
            Err(paused.detail("codes are looked at again in 15 minutes").retry_after(901))
        }
        _ => Err(ApiError::forbidden("second_factor_wrong", "the code is wrong")),
    }
}

async fn change(Path(id): Path<UserId>, Json(asked): Json<ChangePassword>) -> Result<Json<Tokens>, ApiError> {
    right_password(id, &asked.password).map(|()| Json(tokens()))
}

async fn reset(Json(asked): Json<ResetPassword>) -> Result<StatusCode, ApiError> {
    if asked.code == "7H2K-M4QX-0TWD-9RZB" {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(ApiError::unauthorized("reset_code_wrong", "the code is wrong"))
    }
}

async fn give_code(Json(_): Json<ChangeRights>) -> Json<ResetCode> {
    Json(ResetCode { code: "7H2K-M4QX-0TWD-9RZB".to_owned(), expires_at: at("2026-12-02T08:00:00Z") })
}

async fn begin(
    Path(id): Path<UserId>,
    Json(asked): Json<BeginSecondFactor>,
) -> Result<Json<SecondFactorOffer>, ApiError> {
    right_password(id, &asked.password)?;
    Ok(Json(SecondFactorOffer { secret: "GEZDGNBV".to_owned(), uri: "otpauth://totp/x".to_owned() }))
}

async fn confirm(Json(asked): Json<ConfirmSecondFactor>) -> Result<Json<SecondFactorOn>, ApiError> {
    right_code(&asked.code)?;
    Ok(Json(SecondFactorOn { recovery_codes: vec!["7H2K-M4QX-0TWD-9RZB".to_owned()], tokens: tokens() }))
}

async fn renew_recovery_codes(
    Path(id): Path<UserId>,
    Json(asked): Json<RenewRecoveryCodes>,
) -> Result<Json<SecondFactorOn>, ApiError> {
    right_password(id, &asked.password)?;
    right_code(&asked.code)?;
    Ok(Json(SecondFactorOn { recovery_codes: vec!["7H2K-M4QX-0TWD-9RZB".to_owned()], tokens: tokens() }))
}

async fn remove(Path(id): Path<UserId>, Json(asked): Json<EndSecondFactor>) -> Result<Json<Tokens>, ApiError> {
    right_password(id, &asked.password)?;
    right_code(&asked.code)?;
    Ok(Json(tokens()))
}

async fn clear(Path(id): Path<UserId>, Json(_): Json<ChangeRights>) -> Json<Person> {
    Json(person(id, contract::user::Role::Operator))
}
