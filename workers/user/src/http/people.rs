//! `/people` and `/rights`: people as admins manage them, and the tokens that are void by that. The gateway lets only
//! admins through, and writes their acts down.

use axum::{
    Router,
    extract::State,
    http::StatusCode,
    routing::{get, post},
};
use contract::{
    EmailAddress, Page, PageToken, UserId,
    page::page_size,
    user::{ChangeRights, CreatePerson, Person, Register, RightsGeneration, Role, SetRole},
};
use kit::http::{ApiError, Json, Path, Query, page_token};
use serde::Deserialize;

use super::{CLOCK_SKEW, People};
use crate::{
    commands::{
        change_rights::{RightsChange, RightsError, change_rights},
        register::{RegistrationError, register},
    },
    demo::refuse_reserved,
    people::{self, Filter},
};

pub(super) fn router() -> Router<People> {
    Router::new()
        .route("/people", post(create).get(list))
        .route("/people/{id}", get(show))
        .route("/people/{id}/role", post(set_role))
        .route("/people/{id}/disable", post(disable))
        .route("/people/{id}/enable", post(enable))
        .route("/rights", get(changed_rights))
}

/// The people that are asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    role: Option<Role>,
    email: Option<String>,
    page_size: Option<u32>,
    page_token: Option<PageToken>,
}

async fn list(
    State(people): State<People>,
    Query(Asked { role, email, page_size: asked, page_token: token }): Query<Asked>,
) -> Result<Json<Page<Person>>, ApiError> {
    let email = email.map(|email| EmailAddress::parse(&email)).transpose();
    let email = email.map_err(|error| ApiError::bad_request("query_invalid", format!("`email`: {error}")))?;
    let (filter, size) = (Filter { role, email }, page_size(asked));
    let listing = format!("people {role:?} {:?}", filter.email.as_ref().map(EmailAddress::key));
    let after: Option<UserId> = token.map(|token| page_token::read(&token, &listing)).transpose()?;
    let found = people::list(&people.pool, &filter, after, size + 1).await?;
    Ok(Json(Page::cut(found, size as usize, |last| page_token::write(&listing, &last.user_id))))
}

async fn create(
    State(people): State<People>,
    Json(CreatePerson { email, name, password, role, reason: _ }): Json<CreatePerson>,
) -> Result<(StatusCode, Json<Person>), ApiError> {
    refuse_reserved(&email)?;
    let (user_id, now) = (kit::ids::user_id(), people.clock.now());
    let passwords = people.passwords().await.map_err(RegistrationError::from)?;
    register(&people.pool, &people.events, passwords, user_id, Register { email, password, name }, role, now).await?;
    tracing::info!(%user_id, role = role.as_str(), "a person was made");
    Ok((StatusCode::CREATED, Json(found(&people, user_id).await?)))
}

async fn show(State(people): State<People>, Path(id): Path<UserId>) -> Result<Json<Person>, ApiError> {
    found(&people, id).await.map(Json)
}

async fn set_role(
    State(people): State<People>,
    Path(id): Path<UserId>,
    Json(SetRole { role, reason: _ }): Json<SetRole>,
) -> Result<Json<Person>, ApiError> {
    change(&people, id, RightsChange::SetRole(role)).await
}

async fn disable(
    State(people): State<People>,
    Path(id): Path<UserId>,
    Json(ChangeRights { reason: _ }): Json<ChangeRights>,
) -> Result<Json<Person>, ApiError> {
    change(&people, id, RightsChange::Disable).await
}

async fn enable(
    State(people): State<People>,
    Path(id): Path<UserId>,
    Json(ChangeRights { reason: _ }): Json<ChangeRights>,
) -> Result<Json<Person>, ApiError> {
    change(&people, id, RightsChange::Enable).await
}

/// The people whose tokens of before are void, as long as there can be any.
async fn changed_rights(State(people): State<People>) -> Result<Json<Vec<RightsGeneration>>, ApiError> {
    let since = people.clock.now() - people.lifetimes.access - CLOCK_SKEW;
    Ok(Json(people::changed_since(&people.pool, since).await?))
}

async fn change(people: &People, id: UserId, change: RightsChange) -> Result<Json<Person>, ApiError> {
    Ok(Json(change_rights(&people.pool, id, change, people.clock.now()).await?))
}

async fn found(people: &People, id: UserId) -> Result<Person, ApiError> {
    let person = people::find(&people.pool, id).await?;
    person.ok_or_else(|| RightsError::Unknown(id).into())
}

impl From<RightsError> for ApiError {
    fn from(error: RightsError) -> Self {
        let detail = error.to_string();
        match error {
            RightsError::Unknown(_) => Self::not_found("person_unknown", detail),
            RightsError::LastAdmin => Self::conflict("admin_last", detail),
            RightsError::Domain(error) => error.into(),
        }
    }
}
