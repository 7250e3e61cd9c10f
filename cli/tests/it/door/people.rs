//! The door's people. One of them has a role that this sagactl does not know.

use axum::{
    Json, Router,
    extract::{OriginalUri, Path, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use serde_json::{Value, json};

use super::Door;

pub(super) fn routes() -> Router<Door> {
    Router::new()
        .route("/ops/api/people", get(list).post(create))
        .route("/ops/api/people/{id}/{act}", post(act))
        .route("/ops/api/whoami", get(whoami))
}

fn person(number: u32, role: &str) -> Value {
    json!({
        "user_id": format!("usr_{number:032x}"), "email": "ann@example.com", "name": "Ann\u{1b}[31m Li", "role": role,
        "created_at": "2026-12-01T08:00:00Z", "badge": 7,
    })
}

async fn list(State(door): State<Door>, uri: OriginalUri, headers: HeaderMap) -> Result<Response, Response> {
    door.saw(format!("GET {}", uri.path_and_query().unwrap()), String::new(), &headers)?;
    let mut gone = person(3, "operator");
    gone["disabled_at"] = json!("2026-12-01T09:00:00Z");
    let people = json!({ "items": [person(1, "admin"), person(2, "auditor"), gone], "next_page_token": null });
    Ok(Json(people).into_response())
}

async fn create(State(door): State<Door>, headers: HeaderMap, body: String) -> Result<Response, Response> {
    door.saw("POST /people".to_owned(), body, &headers)?;
    Ok((StatusCode::CREATED, Json(person(4, "viewer"))).into_response())
}

async fn act(
    State(door): State<Door>,
    Path((id, act)): Path<(String, String)>,
    headers: HeaderMap,
    body: String,
) -> Result<Response, Response> {
    door.saw(format!("POST /people/{id}/{act}"), body, &headers)?;
    Ok(Json(person(4, "viewer")).into_response())
}

async fn whoami(State(door): State<Door>, headers: HeaderMap) -> Result<Response, Response> {
    door.saw("GET /whoami".to_owned(), String::new(), &headers)?;
    Ok(Json(person(1, "admin")).into_response())
}
