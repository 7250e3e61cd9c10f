//! `/ops/api/...`: the orchestrator's own interface, for operators. Every method and answer passes as it is, streams
//! too; who acts is said by the gateway, never by the client.

use std::time::Duration;

use axum::{
    body::Bytes,
    extract::{OriginalUri, State},
    http::{HeaderMap, HeaderName, Method, header},
    response::Response,
    routing::on,
};
use kit::http::ApiError;

use super::passing;
use crate::{
    access::{Access, Caller},
    app::App,
    endpoint::{Endpoint, Limit, NO_BODY_BYTES_MAX, OPERATION_BYTES_MAX, Verb},
    hop::Hop,
    streams::LAST_EVENT_ID,
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
    Ok(passing::back(&app, answer, &PASSED_BACK, place))
}

/// The orchestrator's path for one of ours. What would climb out of `/api/` once it is resolved is refused.
fn inside(path: &str) -> Result<&str, ApiError> {
    let inner = path.strip_prefix(PREFIX).filter(|inner| inner.starts_with(API));
    inner
        .filter(|inner| !passing::climbs(inner))
        .ok_or_else(|| ApiError::not_found("not_found", "no resource has this address"))
}

fn passed_in(headers: &HeaderMap, caller: Caller) -> Result<HeaderMap, ApiError> {
    let mut passed = passing::chosen(headers, &PASSED_IN);
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
