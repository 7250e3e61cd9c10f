//! `/ops` and what is below it, but for `/ops/api`: the operators' pages. They pass as the dashboard makes them, cookies
//! and live streams too; the dashboard knows by its session who looks at them.

use std::time::Duration;

use axum::{
    body::Bytes,
    extract::{OriginalUri, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, header},
    response::Response,
    routing::on,
};
use kit::http::ApiError;

use super::passing;
use crate::{
    access::Access,
    address::ClientAddress,
    app::App,
    called_at::{CalledAt, FORWARDED_HOST},
    endpoint::{Endpoint, LOGIN_BYTES_MAX, Limit, NO_BODY_BYTES_MAX, OPERATION_BYTES_MAX, Verb},
    hop::Hop,
    streams::LAST_EVENT_ID,
    upstream::{Call, Part, Repeat},
};

pub(crate) const HOME: Endpoint = Endpoint {
    verb: Verb::Get,
    path: "/ops",
    access: Access::Browser,
    limit: Limit::Operate,
    body_bytes_max: NO_BODY_BYTES_MAX,
    part: Part::Dashboard,
    about: "the operators' pages",
    handler: |methods| on(methods, pass),
};

pub(crate) const LOGIN: Endpoint = Endpoint {
    verb: Verb::Post,
    path: "/ops/session",
    access: Access::Browser,
    limit: Limit::Login,
    body_bytes_max: LOGIN_BYTES_MAX,
    part: Part::Dashboard,
    about: "trades a password for a session of the operators' pages",
    handler: |methods| on(methods, pass),
};

/// Codes are guessed here, by whoever has a session.
pub(crate) const DEVICE: Endpoint = Endpoint {
    verb: Verb::Any,
    path: "/ops/device",
    about: "the page on which a login without a browser is approved",
    ..LOGIN
};

/// Codes for a new password are guessed here.
pub(crate) const RESET: Endpoint = Endpoint {
    verb: Verb::Any,
    path: "/ops/reset",
    about: "the page on which a code of an admin sets a password",
    ..LOGIN
};

pub(crate) const PAGES: Endpoint = Endpoint {
    verb: Verb::Any,
    path: "/ops/{*path}",
    access: Access::Browser,
    limit: Limit::Operate,
    body_bytes_max: OPERATION_BYTES_MAX,
    part: Part::Dashboard,
    about: "the operators' pages",
    handler: |methods| on(methods, pass),
};

/// How long a page may take: it asks the orchestrator several times, and an act waits for its saga's verdict.
const PAGE_TIMEOUT: Duration = Duration::from_secs(24);

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The headers of a request that mean something to the pages.
const PASSED_IN: [HeaderName; 9] = [
    header::ACCEPT,
    header::CONTENT_TYPE,
    header::COOKIE,
    header::IF_NONE_MATCH,
    header::ORIGIN,
    HeaderName::from_static("hx-request"),
    HeaderName::from_static("sec-fetch-site"),
    HeaderName::from_static("sec-fetch-mode"),
    LAST_EVENT_ID,
];

/// The headers of an answer that mean something to browsers.
const PASSED_BACK: [HeaderName; 10] = [
    header::ALLOW,
    header::CACHE_CONTROL,
    header::CONTENT_DISPOSITION,
    header::CONTENT_SECURITY_POLICY,
    header::CONTENT_TYPE,
    header::ETAG,
    header::LOCATION,
    header::RETRY_AFTER,
    header::SET_COOKIE,
    header::VARY,
];

async fn pass(
    State(app): State<App>,
    hop: Hop,
    (address, at): (ClientAddress, CalledAt),
    method: Method,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    let mut passed = passing::chosen(&headers, &PASSED_IN);
    if let Some(host) = at.host().and_then(|host| HeaderValue::from_str(host.as_str()).ok()) {
        passed.insert(FORWARDED_HOST, host);
    }
    if let Ok(address) = HeaderValue::from_str(&address.to_string()) {
        passed.insert(FORWARDED_FOR, address);
    }
    if passing::climbs(uri.path()) {
        return Err(ApiError::not_found("not_found", "no resource has this address"));
    }
    let path = uri.path_and_query().map_or_else(|| uri.path().to_owned(), ToString::to_string);
    let call = Call {
        path,
        headers: passed,
        body: (!body.is_empty()).then_some(body),
        repeat: if method.is_safe() { Repeat::Safe } else { Repeat::Unsent },
        timeout: PAGE_TIMEOUT,
        method,
    };
    let place = app.operator_streams.take()?;
    let answer = app.dashboard.open(&hop, call).await?;
    Ok(passing::back(&app, answer, &PASSED_BACK, place))
}
