//! Requests and answers that pass through the door as they are, but for their headers: of those only the chosen ones do.

use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, header},
    response::{IntoResponse as _, Response},
};
use futures::StreamExt as _;
use tokio::sync::OwnedSemaphorePermit;

use crate::{app::App, streams::until_ended};

/// How the content type of a live stream begins.
const EVENT_STREAM: &[u8] = b"text/event-stream";

/// The headers of these names, with all their values.
pub(super) fn chosen(headers: &HeaderMap, names: &[HeaderName]) -> HeaderMap {
    let mut passed = HeaderMap::new();
    for name in names {
        for value in headers.get_all(name) {
            passed.append(name, value.clone());
        }
    }
    passed
}

/// An answer on its way to the caller. It holds its place until it is read, and a live stream ends with the door.
pub(super) fn back(
    app: &App,
    answer: reqwest::Response,
    names: &[HeaderName],
    place: OwnedSemaphorePermit,
) -> Response {
    let status = answer.status();
    let passed = chosen(answer.headers(), names);
    let live = passed.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(EVENT_STREAM));
    let body = answer.bytes_stream().map(move |chunk| {
        let _held = &place;
        chunk
    });
    // Only what has no end of its own is ended: half a document would pass for a whole one.
    let body =
        if live { Body::from_stream(body.take_until(until_ended(&app.stopping))) } else { Body::from_stream(body) };
    (status, passed, body).into_response()
}

/// True for a path that would lead elsewhere once it is resolved.
pub(super) fn climbs(path: &str) -> bool {
    let lower = path.to_ascii_lowercase();
    let plain = lower.replace("%2e", ".");
    lower.contains("%2f")
        || lower.contains("%5c")
        || lower.contains('\\')
        || plain.split('/').any(|part| matches!(part, "." | ".."))
}
