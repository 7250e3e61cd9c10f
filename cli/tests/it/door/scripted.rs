//! Answers that a test writes down in place of the door's own: of a newer server, or of one in trouble.

use axum::{
    Json,
    extract::{Request, State},
    http::{StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use serde_json::Value;

use super::Door;

/// One answer: its status and its document; a text is a live stream.
pub(crate) type Answer = (u16, Value);

impl Door {
    /// Has the calls of a method and path answered with these, one after the other; the last one stays.
    pub(crate) fn script(&self, call: &str, answers: Vec<Answer>) {
        self.inner().scripts.insert(call.to_owned(), answers);
    }
}

pub(super) async fn answer(State(door): State<Door>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let call = format!("{} {}", request.method(), path.strip_prefix("/ops/api").unwrap_or(path));
    let scripted = door
        .inner()
        .scripts
        .get_mut(&call)
        .map(|answers| if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() });
    let Some((status, document)) = scripted else { return next.run(request).await };
    let body = axum::body::to_bytes(request.into_body(), usize::MAX).await.unwrap();
    door.inner().seen.push((call, String::from_utf8(body.to_vec()).unwrap()));
    let status = StatusCode::from_u16(status).unwrap();
    match document {
        Value::String(events) => ([(header::CONTENT_TYPE, "text/event-stream")], events).into_response(),
        document => (status, Json(document)).into_response(),
    }
}
