//! The door's jobs and exports.

use std::collections::BTreeMap;

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::json;

use super::{Door, find, problem, saga_id};

/// The job that the door knows.
pub(crate) const JOB: &str = "job_0192f0c1a2b37c4d8e5f0000000000aa";

pub(super) fn routes() -> Router<Door> {
    Router::new()
        .route("/ops/api/sagas/{id}/export", get(export))
        .route("/ops/api/exports", get(exports))
        .route("/ops/api/jobs", post(make_job).get(jobs))
        .route("/ops/api/jobs/preview", post(preview_job))
        .route("/ops/api/jobs/{id}", get(show_job))
        .route("/ops/api/jobs/{id}/items", get(job_items))
        .route("/ops/api/jobs/{id}/events", get(job_events))
        .route("/ops/api/jobs/{id}/{change}", post(change_job))
}

async fn export(State(door): State<Door>, Path(id): Path<String>, headers: HeaderMap) -> Result<Response, Response> {
    door.saw(format!("GET /sagas/{id}/export"), String::new(), &headers)?;
    find(&door, &id)?;
    let line = format!(r#"{{"id" : "{id}", "records" : [{{"seq" : 1}}]}}"#);
    Ok(([(header::CONTENT_TYPE, "application/json")], line).into_response())
}

async fn exports(State(door): State<Door>, headers: HeaderMap) -> Result<Response, Response> {
    door.saw("GET /exports".to_owned(), String::new(), &headers)?;
    let at = "2026-12-01T08:00:00Z";
    let items = json!([
        { "week": "20251117", "state": "exported", "sagas": 12, "saga_file": "sagas-20251117.jsonl.gz", "changed_at": at },
        { "week": "20251110", "state": "dropped", "sagas": 4711, "saga_file": "sagas-20251110.jsonl.gz",
          "audit_file": "audit-20251110.jsonl.gz", "changed_at": at },
    ]);
    Ok(Json(json!({ "items": items })).into_response())
}

/// A job in the middle of its work.
fn job(state: &str) -> serde_json::Value {
    json!({
        "id": JOB, "state": state, "action": "cancel", "filter": { "name": "order" }, "actor": "usr_1",
        "role": "operator", "reason": "the hotel is closed", "pace": 10, "sagas": 6, "done": 2, "refused": 1,
        "vanished": 1, "created_at": "2026-12-01T08:00:00Z", "changed_at": "2026-12-01T08:00:05Z",
    })
}

async fn make_job(State(door): State<Door>, headers: HeaderMap, body: String) -> Result<Response, Response> {
    door.saw("POST /jobs".to_owned(), body, &headers)?;
    Ok((StatusCode::CREATED, Json(job("running"))).into_response())
}

async fn jobs(State(door): State<Door>, headers: HeaderMap) -> Result<Response, Response> {
    door.saw("GET /jobs".to_owned(), String::new(), &headers)?;
    Ok(Json(json!({ "items": [job("waiting")] })).into_response())
}

async fn preview_job(State(door): State<Door>, headers: HeaderMap, body: String) -> Result<Response, Response> {
    door.saw("POST /jobs/preview".to_owned(), body, &headers)?;
    let groups = json!([
        { "name": "order", "version": 1, "status": "needs_attention", "step": "confirm-rooms",
          "code": "reply_missing", "sagas": 5 },
        { "name": "order", "version": 1, "status": "running", "sagas": 1 },
    ]);
    Ok(Json(json!({ "sagas": 6, "groups": groups })).into_response())
}

async fn show_job(State(door): State<Door>, Path(id): Path<String>, headers: HeaderMap) -> Result<Response, Response> {
    door.saw(format!("GET /jobs/{id}"), String::new(), &headers)?;
    let mut view = job("running");
    view["trouble"] = json!("the broker is away");
    view["refusals"] = json!([{ "code": "pivot_passed", "sagas": 1 }]);
    Ok(Json(view).into_response())
}

/// Two thirds of the job, on a connection that is lost, and its end on the next one.
async fn job_events(
    State(door): State<Door>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Response> {
    let path = format!("GET /jobs/{id}/events");
    let is_first = !door.seen().iter().any(|(seen, _)| *seen == path);
    door.saw(path, String::new(), &headers)?;
    let event = |name: &str, state: &str, done: u32| {
        let mut view = job(state);
        (view["done"], view["refusals"]) = (json!(done), json!([]));
        format!("event: {name}\ndata: {view}\n\n")
    };
    let body = if is_first {
        event("progress", "running", 2)
    } else {
        event("progress", "running", 3) + &event("end", "finished", 4)
    };
    Ok(([(header::CONTENT_TYPE, "text/event-stream")], body).into_response())
}

async fn job_items(
    State(door): State<Door>,
    Path(id): Path<String>,
    Query(query): Query<BTreeMap<String, String>>,
    headers: HeaderMap,
) -> Result<Response, Response> {
    door.saw(format!("GET /jobs/{id}/items {:?}", query.get("outcome")), String::new(), &headers)?;
    let items = json!([
        { "place": 1, "saga_id": saga_id(1), "outcome": "done" },
        { "place": 2, "saga_id": saga_id(2), "outcome": "refused", "code": "pivot_passed",
          "message": "step `confirm-rooms` is done" },
        { "place": 3, "saga_id": saga_id(3), "outcome": "pending" },
    ]);
    Ok(Json(json!({ "items": items })).into_response())
}

async fn change_job(
    State(door): State<Door>,
    Path((id, change)): Path<(String, String)>,
    headers: HeaderMap,
    body: String,
) -> Result<Response, Response> {
    door.saw(format!("POST /jobs/{id}/{change}"), body, &headers)?;
    match change.as_str() {
        "resume" => Err(problem(StatusCode::CONFLICT, "job_over", "The job is finished.")),
        "pause" => Ok(Json(job("paused")).into_response()),
        "abort" => Ok(Json(job("aborted")).into_response()),
        _ => Ok((StatusCode::CREATED, Json(job("running"))).into_response()),
    }
}
