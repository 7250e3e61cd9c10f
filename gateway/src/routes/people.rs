//! `/ops/api/people`: the people of the agency, as admins manage them. The user service carries an act out, between the
//! two rows of it in the audit log; what it does to access tokens is in force at this door at once.

use axum::{
    extract::{RawQuery, State},
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::{MethodFilter, MethodRouter, on},
};
use contract::{
    Page, Route, UserId,
    user::{ChangeRights, CreatePerson, Person, ResetCode, SetRole},
};
use kit::http::{ApiError, Json, Path};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    access::{Access, Caller},
    app::App,
    audited::{self, Act},
    endpoint::{Endpoint, LOGIN_BYTES_MAX, Limit, NO_BODY_BYTES_MAX, Verb},
    fields::read_members,
    hop::Hop,
    upstream::{Call, Part, Repeat, UpstreamError, UpstreamResponse},
};

pub(crate) const LIST: Endpoint = reading("/ops/api/people", "lists people", |methods| on(methods, list));
pub(crate) const SHOW: Endpoint = reading("/ops/api/people/{user_id}", "shows a person", |methods| on(methods, show));
pub(crate) const CREATE: Endpoint =
    acting("/ops/api/people", "makes a person with a role", |methods| on(methods, create));
pub(crate) const SET_ROLE: Endpoint =
    acting("/ops/api/people/{user_id}/role", "gives a person a role", |methods| on(methods, set_role));
pub(crate) const DISABLE: Endpoint =
    acting("/ops/api/people/{user_id}/disable", "ends a person's sessions and logins", {
        |methods| on(methods, disable)
    });
pub(crate) const ENABLE: Endpoint =
    acting("/ops/api/people/{user_id}/enable", "lets a person log in again", |methods| on(methods, enable));
pub(crate) const RESET: Endpoint =
    acting("/ops/api/people/{user_id}/reset", "makes a code with which a person sets a new password", {
        |methods| on(methods, reset)
    });
pub(crate) const CLEAR_SECOND_FACTOR: Endpoint =
    acting("/ops/api/people/{user_id}/clear-second-factor", "takes a person's second factor away", {
        |methods| on(methods, clear_second_factor)
    });

pub(crate) const WHOAMI: Endpoint = Endpoint {
    access: Access::Viewer,
    ..reading("/ops/api/whoami", "shows who calls, and in which role", |methods| on(methods, whoami))
};

const fn reading(path: &'static str, about: &'static str, handler: fn(MethodFilter) -> MethodRouter<App>) -> Endpoint {
    Endpoint {
        verb: Verb::Get,
        path,
        access: Access::Admin,
        limit: Limit::Operate,
        body_bytes_max: NO_BODY_BYTES_MAX,
        part: Part::Domain(Route::User),
        about,
        handler,
    }
}

const fn acting(path: &'static str, about: &'static str, handler: fn(MethodFilter) -> MethodRouter<App>) -> Endpoint {
    Endpoint { verb: Verb::Post, body_bytes_max: LOGIN_BYTES_MAX, ..reading(path, about, handler) }
}

/// Where the user service has people.
const PEOPLE: &str = "/internal/user/people";

async fn list(State(app): State<App>, hop: Hop, RawQuery(query): RawQuery) -> Result<Json<Page<Person>>, ApiError> {
    let path = query.map_or_else(|| PEOPLE.to_owned(), |query| format!("{PEOPLE}?{query}"));
    let answer = app.domain(Route::User).call(&hop, Call::get(path)).await.map_err(UpstreamError::for_operators)?;
    if answer.status == StatusCode::OK { Ok(Json(answer.json()?)) } else { Err(answer.problem()) }
}

async fn show(State(app): State<App>, hop: Hop, Path(id): Path<UserId>) -> Result<Json<Person>, ApiError> {
    find(&app, &hop, id).await.map(Json)
}

async fn whoami(State(app): State<App>, caller: Caller, hop: Hop) -> Result<Json<Person>, ApiError> {
    find(&app, &hop, caller.user_id).await.map(Json)
}

async fn create(
    State(app): State<App>,
    caller: Caller,
    hop: Hop,
    Json(body): Json<Value>,
) -> Result<Response, ApiError> {
    let person = read_members(&body, |body| {
        body.only(&["email", "name", "password", "role", "reason"]);
        let (email, name, role, reason) =
            (body.text("email"), body.text("name"), body.text("role"), body.text("reason"));
        let password = body.secret("password");
        Some(CreatePerson { email: email?, name: name?, password: password?, role: role?, reason: reason? })
    })?;
    let act = Act { act: "create", target: "people".to_owned(), reason: &person.reason };
    let made = act_on_person(&app, &hop, caller, act, PEOPLE.to_owned(), &person).await?;
    let location = format!("/ops/api/people/{}", made.user_id);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(made)).into_response())
}

async fn set_role(
    State(app): State<App>,
    caller: Caller,
    hop: Hop,
    Path(id): Path<UserId>,
    Json(change): Json<SetRole>,
) -> Result<Json<Person>, ApiError> {
    let act = Act { act: "set_role", target: id.to_string(), reason: &change.reason };
    act_on_person(&app, &hop, caller, act, format!("{PEOPLE}/{id}/role"), &change).await.map(Json)
}

async fn disable(
    State(app): State<App>,
    caller: Caller,
    hop: Hop,
    Path(id): Path<UserId>,
    Json(change): Json<ChangeRights>,
) -> Result<Json<Person>, ApiError> {
    let act = Act { act: "disable", target: id.to_string(), reason: &change.reason };
    act_on_person(&app, &hop, caller, act, format!("{PEOPLE}/{id}/disable"), &change).await.map(Json)
}

async fn enable(
    State(app): State<App>,
    caller: Caller,
    hop: Hop,
    Path(id): Path<UserId>,
    Json(change): Json<ChangeRights>,
) -> Result<Json<Person>, ApiError> {
    let act = Act { act: "enable", target: id.to_string(), reason: &change.reason };
    act_on_person(&app, &hop, caller, act, format!("{PEOPLE}/{id}/enable"), &change).await.map(Json)
}

async fn reset(
    State(app): State<App>,
    caller: Caller,
    hop: Hop,
    Path(id): Path<UserId>,
    Json(change): Json<ChangeRights>,
) -> Result<Json<ResetCode>, ApiError> {
    refuse_own(caller, id)?;
    let act = Act { act: "reset_password", target: id.to_string(), reason: &change.reason };
    let path = format!("{PEOPLE}/{id}/reset");
    carry_out(&app, &hop, caller, act, path, &change, |_: &ResetCode| id.to_string()).await.map(Json)
}

async fn clear_second_factor(
    State(app): State<App>,
    caller: Caller,
    hop: Hop,
    Path(id): Path<UserId>,
    Json(change): Json<ChangeRights>,
) -> Result<Json<Person>, ApiError> {
    refuse_own(caller, id)?;
    let act = Act { act: "clear_second_factor", target: id.to_string(), reason: &change.reason };
    act_on_person(&app, &hop, caller, act, format!("{PEOPLE}/{id}/clear-second-factor"), &change).await.map(Json)
}

/// Refuses an admin who would go around its own password or second factor: so would whoever has got hold of its session.
fn refuse_own(caller: Caller, id: UserId) -> Result<(), ApiError> {
    let detail = "your own password and second factor are changed at /ops/account, with what you log in with";
    if caller.user_id == id { Err(ApiError::conflict("person_own", detail)) } else { Ok(()) }
}

/// Has the user service carry out an act whose answer is the person.
async fn act_on_person(
    app: &App,
    hop: &Hop,
    caller: Caller,
    act: Act<'_>,
    path: String,
    body: &impl Serialize,
) -> Result<Person, ApiError> {
    carry_out(app, hop, caller, act, path, body, |person: &Person| person.user_id.to_string()).await
}

/// Has the user service carry out an act, written down before and after it.
async fn carry_out<T: DeserializeOwned>(
    app: &App,
    hop: &Hop,
    caller: Caller,
    act: Act<'_>,
    path: String,
    body: &impl Serialize,
    target: impl FnOnce(&T) -> String,
) -> Result<T, ApiError> {
    // A person that is made twice is taken the second time: only what certainly had no effect is sent again.
    let call = Call::post(path, body, Repeat::Unsent)?;
    let carried = async { read(&app.domain(Route::User).call(hop, call).await.map_err(UpstreamError::for_operators)?) };
    let done = audited::carry_out(app, hop, caller, act, carried, target).await;
    app.rights.keep_fresh().await;
    done
}

async fn find(app: &App, hop: &Hop, id: UserId) -> Result<Person, ApiError> {
    let call = Call::get(format!("{PEOPLE}/{id}"));
    read(&app.domain(Route::User).call(hop, call).await.map_err(UpstreamError::for_operators)?)
}

fn read<T: DeserializeOwned>(answer: &UpstreamResponse) -> Result<T, ApiError> {
    match answer.status {
        StatusCode::OK | StatusCode::CREATED => Ok(answer.json()?),
        _ => Err(answer.problem()),
    }
}
