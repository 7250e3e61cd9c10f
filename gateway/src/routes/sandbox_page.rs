//! `/sandbox/3ds/...`: the page of the sandbox provider, for the client's browser. In production there is no sandbox behind
//! the door, and no such page.

use axum::{
    extract::{Path, State},
    http::{HeaderMap, Method, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::on,
};
use contract::Route;
use kit::http::ApiError;

use crate::{
    access::Access,
    app::App,
    endpoint::{Endpoint, Limit, NO_BODY_BYTES_MAX, Verb},
    hop::Hop,
    upstream::{Call, Part, READ_TIMEOUT, Repeat, WRITE_TIMEOUT},
};

pub(crate) const PAGE: Endpoint = Endpoint {
    verb: Verb::Any,
    path: "/sandbox/3ds/{*path}",
    access: Access::Public,
    limit: Limit::Read,
    body_bytes_max: NO_BODY_BYTES_MAX,
    part: Part::Domain(Route::Payment),
    about: "the sandbox provider's page of 3-D Secure",
    handler: |methods| on(methods, page),
};

/// The page has a style of its own and a form that comes back here; scripts and everything else stay forbidden.
const PAGE_POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

async fn page(
    State(app): State<App>,
    hop: Hop,
    method: Method,
    Path(path): Path<String>,
) -> Result<Response, ApiError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'/');
    if !path.bytes().all(plain) {
        return Err(ApiError::not_found("not_found", "no resource has this address"));
    }
    let reading = method.is_safe();
    let call = Call {
        method,
        path: format!("/internal/payment/sandbox/3ds/{path}"),
        headers: HeaderMap::new(),
        body: None,
        // An act that was taken is answered as taken when it comes again.
        repeat: Repeat::Safe,
        timeout: if reading { READ_TIMEOUT } else { WRITE_TIMEOUT },
    };
    let answer = app.domain(Route::Payment).call(&hop, call).await?;
    if answer.status != StatusCode::OK {
        return Err(answer.problem());
    }
    let headers = [(header::CONTENT_TYPE, "text/html; charset=utf-8"), (header::CONTENT_SECURITY_POLICY, PAGE_POLICY)];
    Ok((headers, answer.body).into_response())
}
