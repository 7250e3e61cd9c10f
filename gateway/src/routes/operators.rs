//! `/ops/api/...`: the orchestrator's own interface, for operators. Every method and answer passes as it is, streams
//! too; who acts is said by the gateway, never by the client.

use std::time::Duration;

use axum::{
    body::{Body, Bytes},
    extract::{OriginalUri, State},
    http::{HeaderMap, HeaderName, Method, header},
    response::{IntoResponse as _, Response},
    routing::on,
};
use futures::StreamExt as _;
use kit::http::ApiError;

use crate::{
    access::{Access, Caller},
    app::App,
    endpoint::{Endpoint, Limit, NO_BODY_BYTES_MAX, OPERATION_BYTES_MAX, Verb},
    hop::Hop,
    streams::{LAST_EVENT_ID, until_ended},
    upstream::{Call, Part, READ_TIMEOUT, Repeat, UpstreamError},
};

/// Reads are for viewers too; the orchestrator masks what they may not see.
pub(crate) const READ: Endpoint = Endpoint {
    verb: Verb::Get,
    access: Access::Viewer,
    body_bytes_max: NO_BODY_BYTES_MAX,
    about: "reads of the orchestrator's interface",
    ..ACT
};

pub(crate) const ACT: Endpoint = Endpoint {
    verb: Verb::Change,
    path: "/ops/api/{*path}",
    access: Access::Operator,
    limit: Limit::Operate,
    body_bytes_max: OPERATION_BYTES_MAX,
    part: Part::Orchestrator,
    about: "acts of the orchestrator's interface, and their plans",
    handler: |methods| on(methods, pass),
};

/// How long the orchestrator may take to answer an act: longer than it waits for the saga's verdict (15 s), so that it
/// can say itself that none has come.
const ACT_TIMEOUT: Duration = Duration::from_secs(20);

/// The part of a path that stands before the orchestrator's own one at the door.
const PREFIX: &str = "/ops";
/// The beginning of the orchestrator's own paths.
const API: &str = "/api/";

/// How the content type of a live stream begins.
const EVENT_STREAM: &[u8] = b"text/event-stream";

/// The headers of a request that mean something to the orchestrator. Others stay here.
const PASSED_IN: [HeaderName; 5] =
    [header::ACCEPT, header::CONTENT_TYPE, header::IF_MATCH, header::IF_NONE_MATCH, LAST_EVENT_ID];

/// The headers of an answer that mean something to operators.
const PASSED_BACK: [HeaderName; 7] = [
    header::ALLOW,
    header::CONTENT_TYPE,
    header::CACHE_CONTROL,
    header::CONTENT_DISPOSITION,
    header::ETAG,
    header::RETRY_AFTER,
    header::VARY,
];

async fn pass(
    State(app): State<App>,
    caller: Caller,
    hop: Hop,
    method: Method,
    OriginalUri(address): OriginalUri,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    let path = inside(address.path())?;
    let path = address.query().map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
    let reading = method.is_safe();
    let call = Call {
        path,
        headers: passed_in(&headers, caller)?,
        body: (!body.is_empty()).then_some(body),
        repeat: if reading { Repeat::Safe } else { Repeat::Unsent },
        timeout: if reading { READ_TIMEOUT } else { ACT_TIMEOUT },
        method,
    };
    let place = app.operator_streams.take()?;
    let answer = app.orchestrator.open(&hop, call).await.map_err(UpstreamError::for_operators)?;
    let status = answer.status();
    let mut passed = HeaderMap::new();
    for name in PASSED_BACK {
        if let Some(value) = answer.headers().get(&name) {
            passed.insert(name, value.clone());
        }
    }
    let live = passed.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(EVENT_STREAM));
    let body = answer.bytes_stream().map(move |chunk| {
        let _held = &place;
        chunk
    });
    // Only what has no end of its own is ended: half a document would pass for a whole one.
    let body =
        if live { Body::from_stream(body.take_until(until_ended(&app.stopping))) } else { Body::from_stream(body) };
    Ok((status, passed, body).into_response())
}

/// The orchestrator's path for one of ours. What would climb out of `/api/` once it is resolved is refused.
fn inside(path: &str) -> Result<&str, ApiError> {
    let inner = path.strip_prefix(PREFIX).filter(|inner| inner.starts_with(API));
    let climbs = |path: &str| {
        let lower = path.to_ascii_lowercase();
        let plain = lower.replace("%2e", ".");
        lower.contains("%2f")
            || lower.contains("%5c")
            || lower.contains('\\')
            || plain.split('/').any(|part| matches!(part, "." | ".."))
    };
    inner.filter(|inner| !climbs(inner)).ok_or_else(|| ApiError::not_found("not_found", "no resource has this address"))
}

fn passed_in(headers: &HeaderMap, caller: Caller) -> Result<HeaderMap, ApiError> {
    let mut passed = HeaderMap::new();
    for name in PASSED_IN {
        if let Some(value) = headers.get(&name) {
            passed.insert(name, value.clone());
        }
    }
    caller.name_in(&mut passed)?;
    Ok(passed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stays_under_the_interface_passes() {
        assert_eq!(inside("/ops/api/sagas/saga_1").unwrap(), "/api/sagas/saga_1");
        for bad in [
            "/ops/api",
            "/ops/internal/x",
            "/ops/api/../metrics",
            "/ops/api/%2e%2E/metrics",
            "/ops/api/.%2e/metrics",
            "/ops/api/a%2f..%2f..",
            "/ops/api/a\\..\\b",
            "/ops/api/./x",
        ] {
            assert!(inside(bad).is_err(), "{bad}");
        }
    }
}
