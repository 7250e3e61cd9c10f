//! The user service's people, and the orchestrator's audit log of acts on them.

pub(crate) mod logins;

use axum::{
    Router,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use contract::{
    LoginId, Page, UserId,
    orchestrator_api::{AuditFact, AuditRecord, AuditRequest, HEADER_ACTOR, HEADER_ROLE},
    user::{ChangeRights, CreatePerson, DecideDeviceLogin, Person, RightsGeneration, Role},
};
use kit::http::{ApiError, Json};

use super::{Parts, at};

/// The people, and what is known of them.
#[derive(Default)]
pub(crate) struct People {
    pub(crate) rights: Vec<RightsGeneration>,
    pub(crate) ended: Vec<LoginId>,
    /// The words of people about logins that wait.
    pub(crate) decided: Vec<DecideDeviceLogin>,
    /// The rows of the audit log, in words.
    pub(crate) audited: Vec<String>,
}

pub(super) fn routes() -> Router<Parts> {
    Router::new()
        .route("/internal/user/people", get(list).post(create))
        .route("/internal/user/people/{id}", get(show))
        .route("/internal/user/people/{id}/disable", post(disable))
        .route("/internal/user/rights", get(rights))
        .merge(logins::routes())
}

pub(super) fn person(user_id: UserId, role: Role) -> Person {
    let (email, name) = ("ann@example.com".to_owned(), "Ann Li".to_owned());
    Person {
        user_id,
        email,
        name,
        role,
        created_at: at("2026-12-01T08:00:00Z"),
        disabled_at: None,
        second_factor: None,
    }
}

async fn list() -> Json<Page<Person>> {
    Json(Page::only(vec![person(crate::keys::user(9), Role::Operator)]))
}

async fn create(Json(made): Json<CreatePerson>) -> Response {
    (StatusCode::CREATED, Json(person(crate::keys::user(9), made.role))).into_response()
}

async fn show(Path(id): Path<UserId>) -> Json<Person> {
    Json(person(id, Role::Viewer))
}

/// User 7 is the last admin.
async fn disable(
    State(parts): State<Parts>,
    Path(id): Path<UserId>,
    Json(_): Json<ChangeRights>,
) -> Result<Json<Person>, ApiError> {
    if id == crate::keys::user(7) {
        return Err(ApiError::conflict("admin_last", "this is the last admin"));
    }
    parts.memory().people.rights.push(RightsGeneration { user_id: id, generation: 1 });
    Ok(Json(Person { disabled_at: Some(at("2026-12-01T09:00:00Z")), ..person(id, Role::Operator) }))
}

async fn rights(State(parts): State<Parts>) -> Json<Vec<RightsGeneration>> {
    Json(parts.memory().people.rights.clone())
}

pub(super) async fn audit(
    State(parts): State<Parts>,
    headers: HeaderMap,
    Json(row): Json<AuditRequest>,
) -> Result<Json<AuditRecord>, ApiError> {
    if row.reason.is_empty() {
        return Err(ApiError::unprocessable("reason_invalid", "the reason has 0 bytes", Vec::new()));
    }
    let header = |name: &str| headers[name].to_str().unwrap().to_owned();
    let (actor, role) = (header(HEADER_ACTOR), header(HEADER_ROLE));
    let mut memory = parts.memory();
    let AuditRequest { request_id, act, target, reason, outcome, answers } = row;
    let answer = answers.map(|number| format!(" to {number}")).unwrap_or_default();
    memory.people.audited.push(format!("{role} {act} {target}: {outcome}{answer}, {reason}"));
    let number = memory.people.audited.len() as u64;
    let at = at("2026-12-01T09:00:00Z");
    let fact = AuditFact { at, actor, role, request_id, act, target, reason, outcome, answers };
    Ok(Json(AuditRecord { number, fact, previous_hash: String::new(), hash: String::new() }))
}
