//! The layer that masks personal fields and payment tokens: all of them for a viewer, and the documents of sagas for everybody
//! who has not asked to see those of one saga, with a reason. It stands around every route, so that a new one is masked
//! without a word of its own, and no client is trusted with hiding anything.

use axum::{
    body::{Body, Bytes, to_bytes},
    extract::Request,
    http::{HeaderMap, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use contract::{orchestrator_api::HEADER_ROLE, personal, user::Role};
use futures::StreamExt as _;
use kit::http::ApiError;
use serde_json::Value;

/// The largest answer that is masked, in bytes: several times the longest journal.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// How the content type of a live stream begins.
const EVENT_STREAM: &[u8] = b"text/event-stream";

/// The field of an event that holds its document, on one line.
const DATA: &[u8] = b"data:";

/// The beginning of the paths whose reads answer with documents of one saga. A reveal of them is a write, so that it is an
/// operator's and in the audit log; the plan of an edit shows the fields that its author changes.
const DOCUMENTS: &str = "/api/sagas/";

/// Passes on what the caller may see as it is, and masks the rest.
pub(super) async fn mask(request: Request, next: Next) -> Response {
    let hidden = request.method().is_safe() && request.uri().path().starts_with(DOCUMENTS);
    let sees = sees(request.headers(), hidden);
    let response = next.run(request).await;
    if sees { response } else { masked(response).await }
}

/// A call without a role is one of the gateway's own. A role that this program does not know sees the least.
fn sees(headers: &HeaderMap, hidden: bool) -> bool {
    let Some(role) = headers.get(HEADER_ROLE) else { return true };
    match role.to_str().ok().and_then(|word| word.parse().ok()) {
        Some(Role::Client) => true,
        Some(Role::Operator | Role::Admin) => !hidden,
        Some(Role::Viewer) | None => false,
    }
}

async fn masked(response: Response) -> Response {
    let (mut head, body) = response.into_parts();
    head.headers.remove(header::CONTENT_LENGTH);
    if head.headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(EVENT_STREAM)) {
        let mut rest = Vec::new();
        let events = body.into_data_stream().map(move |chunk| chunk.map(|chunk| mask_lines(&mut rest, &chunk)));
        return Response::from_parts(head, Body::from_stream(events));
    }
    let body = match to_bytes(body, ANSWER_BYTES_MAX).await {
        Ok(body) if body.is_empty() => Some(body.to_vec()),
        Ok(body) => mask_document(&body),
        Err(error) => {
            tracing::error!(%error, "an answer for a viewer is too large to be masked");
            None
        }
    };
    body.map_or_else(|| ApiError::internal().into_response(), |body| Response::from_parts(head, Body::from(body)))
}

/// Masks the whole lines that there are now, and keeps the beginning of the next one.
fn mask_lines(rest: &mut Vec<u8>, chunk: &[u8]) -> Bytes {
    rest.extend_from_slice(chunk);
    let whole = rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let lines: Vec<u8> = rest.drain(..whole).collect();
    let mut masked = Vec::with_capacity(lines.len());
    for line in lines.split_inclusive(|byte| *byte == b'\n') {
        match line.strip_prefix(DATA) {
            Some(document) => {
                masked.extend_from_slice(DATA);
                masked.extend(mask_document(document).unwrap_or_else(|| b"{}".to_vec()));
                masked.push(b'\n');
            }
            None => masked.extend_from_slice(line),
        }
    }
    masked.into()
}

/// The masked document. One that is no JSON cannot be masked, and is not shown.
fn mask_document(document: &[u8]) -> Option<Vec<u8>> {
    let read = serde_json::from_slice::<Value>(document).and_then(|mut document| {
        personal::mask(&mut document);
        serde_json::to_vec(&document)
    });
    read.inspect_err(|error| tracing::error!(%error, "an answer for a viewer cannot be masked")).ok()
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn a_viewer_and_an_unknown_role_see_the_least() {
        let sees = |role: Option<&'static str>, hidden| {
            let mut headers = HeaderMap::new();
            if let Some(role) = role {
                headers.insert(HEADER_ROLE, HeaderValue::from_static(role));
            }
            super::sees(&headers, hidden)
        };
        assert!(sees(None, true) && sees(Some("client"), true));
        for role in ["operator", "admin"] {
            assert!(sees(Some(role), false) && !sees(Some(role), true), "{role}");
        }
        for role in ["viewer", "auditor", ""] {
            assert!(!sees(Some(role), false) && !sees(Some(role), true), "{role}");
        }
    }

    #[test]
    fn events_are_masked_wherever_their_stream_is_cut() {
        let stream = "id: 1\nevent: record\ndata: {\"email\":\"a@b.example\"}\n\n:waiting\n\ndata: {\"seq\":2}\n\n";
        let expected = "id: 1\nevent: record\ndata:{\"email\":\"(masked)\"}\n\n:waiting\n\ndata:{\"seq\":2}\n\n";
        for cut in 0..=stream.len() {
            let mut rest = Vec::new();
            let (one, two) = stream.split_at(cut);
            let masked = [mask_lines(&mut rest, one.as_bytes()), mask_lines(&mut rest, two.as_bytes())].concat();
            assert_eq!(String::from_utf8(masked).unwrap(), expected, "cut at {cut}");
        }
    }
}
