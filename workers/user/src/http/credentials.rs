//! The routes by which people change what they log in with, and admins help those who cannot. The gateway says who calls;
//! what an admin does has its reason in the audit log, not here.

use axum::{Router, extract::State, http::StatusCode, routing::post};
use contract::{
    UserId,
    problem::FieldError,
    user::{
        BeginSecondFactor, ChangePassword, ChangeRights, ConfirmSecondFactor, EndSecondFactor, Person,
        RenewRecoveryCodes, ResetCode, ResetPassword, SecondFactorOffer, SecondFactorOn, Tokens,
    },
};
use kit::http::{ApiError, Json, Path};

use super::{People, busy, failed};
use crate::{
    commands::{
        change_password::change_password,
        reset_password::{make_code, reset_password},
        set_second_factor,
    },
    credentials::{CredentialError, Tools},
    hashing::HashingError,
    second_factor::FactorError,
};

pub(super) fn router() -> Router<People> {
    Router::new()
        .route("/password-resets", post(reset))
        .route("/people/{id}/password", post(change))
        .route("/people/{id}/reset", post(give_code))
        .route("/people/{id}/second-factor", post(begin))
        .route("/people/{id}/second-factor/confirm", post(confirm))
        .route("/people/{id}/second-factor/recovery-codes", post(renew_recovery_codes))
        .route("/people/{id}/second-factor/remove", post(remove))
        .route("/people/{id}/clear-second-factor", post(clear))
}

impl People {
    async fn tools(&self) -> Result<Tools<'_>, CredentialError> {
        Ok(Tools {
            pool: &self.pool,
            passwords: self.passwords().await?,
            factor_keys: &self.factor_keys,
            key: &self.key,
            lifetimes: self.lifetimes,
            now: self.clock.now(),
        })
    }
}

async fn change(
    State(people): State<People>,
    Path(id): Path<UserId>,
    Json(asked): Json<ChangePassword>,
) -> Result<Json<Tokens>, ApiError> {
    Ok(Json(change_password(people.tools().await?, id, asked).await?))
}

async fn give_code(
    State(people): State<People>,
    Path(id): Path<UserId>,
    Json(ChangeRights { reason: _ }): Json<ChangeRights>,
) -> Result<Json<ResetCode>, ApiError> {
    Ok(Json(make_code(&people.pool, id, people.clock.now()).await?))
}

async fn reset(State(people): State<People>, Json(asked): Json<ResetPassword>) -> Result<StatusCode, ApiError> {
    let passwords = people.passwords().await.map_err(CredentialError::from)?;
    reset_password(&people.pool, passwords, asked, people.clock.now()).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn begin(
    State(people): State<People>,
    Path(id): Path<UserId>,
    Json(BeginSecondFactor { password }): Json<BeginSecondFactor>,
) -> Result<Json<SecondFactorOffer>, ApiError> {
    Ok(Json(set_second_factor::begin(people.tools().await?, id, &password).await?))
}

async fn confirm(
    State(people): State<People>,
    Path(id): Path<UserId>,
    Json(ConfirmSecondFactor { code }): Json<ConfirmSecondFactor>,
) -> Result<Json<SecondFactorOn>, ApiError> {
    Ok(Json(set_second_factor::confirm(people.tools().await?, id, &code).await?))
}

async fn renew_recovery_codes(
    State(people): State<People>,
    Path(id): Path<UserId>,
    Json(asked): Json<RenewRecoveryCodes>,
) -> Result<Json<SecondFactorOn>, ApiError> {
    Ok(Json(set_second_factor::renew_recovery_codes(people.tools().await?, id, asked).await?))
}

async fn remove(
    State(people): State<People>,
    Path(id): Path<UserId>,
    Json(asked): Json<EndSecondFactor>,
) -> Result<Json<Tokens>, ApiError> {
    Ok(Json(set_second_factor::end(people.tools().await?, id, asked).await?))
}

async fn clear(
    State(people): State<People>,
    Path(id): Path<UserId>,
    Json(ChangeRights { reason: _ }): Json<ChangeRights>,
) -> Result<Json<Person>, ApiError> {
    Ok(Json(set_second_factor::clear(&people.pool, id, people.clock.now()).await?))
}

impl From<CredentialError> for ApiError {
    fn from(error: CredentialError) -> Self {
        let detail = error.to_string();
        match error {
            CredentialError::WrongPassword => Self::forbidden("password_wrong", detail),
            CredentialError::UnfitPassword(why) => {
                let mistake = FieldError { detail: why, pointer: "#/new_password".to_owned() };
                Self::unprocessable("password_invalid", detail, vec![mistake])
            }
            CredentialError::WrongResetCode => Self::unauthorized("reset_code_wrong", detail),
            CredentialError::Unknown(_) => Self::not_found("person_unknown", detail),
            CredentialError::FactorOn => Self::conflict("second_factor_on", detail),
            CredentialError::FactorOff => Self::conflict("second_factor_off", detail),
            CredentialError::Session(error) => error.into(),
            CredentialError::Domain(error) | CredentialError::Factor(FactorError::Domain(error)) => error.into(),
            CredentialError::Password(HashingError::Busy) => busy(detail),
            CredentialError::Password(_) | CredentialError::Factor(_) | CredentialError::NoRandomness(_) => {
                failed(&error)
            }
        }
    }
}
