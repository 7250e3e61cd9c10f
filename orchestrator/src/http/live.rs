//! `GET /live`: whether the lanes' tasks go on. A process that says no is to be started anew, and soon ends by itself.

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use kit::http::Json;
use serde_json::json;

use crate::watchdog::Watchdog;

pub(super) fn show(watchdog: &Watchdog) -> Response {
    let hung = watchdog.suspicious();
    if hung.is_empty() {
        Json(json!({ "status": "live" })).into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "status": "hung", "tasks": hung }))).into_response()
    }
}
