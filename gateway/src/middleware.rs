//! The layer around every route: headers that only the inside may send are taken off a request, a trace is begun or
//! continued, and every response tells browsers to be careful.

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, header},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
};
use contract::Traceparent;
use kit::http::{ApiError, shows_token};
use secrecy::SecretString;

use crate::{
    address::{ClientAddress, FromInside},
    hop::{REQUEST_ID, TRACEPARENT},
    settings::Settings,
};

/// How headers begin that only parts of the installation may send.
const INTERNAL_PREFIX: &str = "x-sojourn-";

/// The longest request id that is taken over from a client, in bytes: a UUID fits three times.
const REQUEST_ID_BYTES_MAX: usize = 128;

/// The headers of every response. Nothing here is meant to be framed, sniffed, cached by strangers or to run scripts.
const RESPONSE_HEADERS: [(HeaderName, HeaderValue); 6] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
];

/// Has browsers insist on TLS for half a year.
const STRICT_TRANSPORT: HeaderValue = HeaderValue::from_static("max-age=15552000; includeSubDomains");

/// The settings that the layer needs.
#[derive(Clone)]
struct Checks {
    production: bool,
    internal_token: SecretString,
}

/// Puts the layer around everything, the kit's own routes included.
pub(crate) fn around(router: Router, settings: &Settings) -> Router {
    let checks = Checks { production: settings.production, internal_token: settings.internal_token.clone() };
    router.layer(middleware::from_fn_with_state(checks, check))
}

async fn check(State(checks): State<Checks>, mut request: Request, next: Next) -> Response {
    let inside = shows_token(request.headers(), &checks.internal_token);
    let metrics = request.uri().path() == "/metrics" && !inside;
    if inside {
        request.extensions_mut().insert(FromInside);
        if let Some(browser) = ClientAddress::told(request.headers()) {
            request.extensions_mut().insert(browser);
        }
    }
    clean(request.headers_mut());
    let mut response = if metrics {
        // The numbers of a business are not for its clients; that there are any is not either.
        ApiError::not_found("not_found", "no resource has this address").into_response()
    } else {
        next.run(request).await
    };
    for (name, value) in RESPONSE_HEADERS {
        response.headers_mut().entry(name).or_insert(value);
    }
    if checks.production {
        response.headers_mut().insert(header::STRICT_TRANSPORT_SECURITY, STRICT_TRANSPORT);
    }
    response
}

/// Takes off the headers that only the inside may send, and begins a trace or goes on with the client's.
fn clean(headers: &mut HeaderMap) {
    let internal: Vec<HeaderName> =
        headers.keys().filter(|name| name.as_str().starts_with(INTERNAL_PREFIX)).cloned().collect();
    for name in internal {
        headers.remove(name);
    }
    if headers.get(REQUEST_ID).is_some_and(|id| !is_request_id(id)) {
        headers.remove(REQUEST_ID);
    }
    let outer = headers.get(TRACEPARENT).and_then(|value| value.to_str().ok()?.parse::<Traceparent>().ok());
    let trace = outer.map_or_else(kit::ids::traceparent, |outer| outer.continued_by(kit::ids::span()));
    if let Ok(value) = HeaderValue::from_str(&trace.to_string()) {
        headers.insert(TRACEPARENT, value);
    }
}

fn is_request_id(value: &HeaderValue) -> bool {
    let bytes = value.as_bytes();
    let shaped = bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
    shaped && (1..=REQUEST_ID_BYTES_MAX).contains(&bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clients_trace_goes_on_with_a_span_of_our_own_and_a_bad_one_does_not() {
        let sent_on = |outer: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(TRACEPARENT, HeaderValue::from_str(outer).unwrap());
            clean(&mut headers);
            headers[TRACEPARENT].to_str().unwrap().to_owned()
        };
        let outer = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
        let ours = sent_on(outer);
        assert!(
            ours != outer && ours.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-") && ours.ends_with("-00"),
            "{ours}"
        );
        let begun = sent_on("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00");
        assert!(begun.starts_with("00-") && !begun.contains("4bf92f3577b34da6a3ce929d0e0e4736"), "{begun}");
    }

    #[test]
    fn what_only_the_inside_may_say_is_taken_off() {
        let mut headers = HeaderMap::new();
        headers.insert("x-sojourn-actor", HeaderValue::from_static("usr_somebody_else"));
        headers.insert("x-sojourn-anything", HeaderValue::from_static("x"));
        headers.insert(REQUEST_ID, HeaderValue::from_static("a b"));
        headers.insert(header::ACCEPT, HeaderValue::from_static("*/*"));
        clean(&mut headers);
        let names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        assert_eq!(names, ["accept", "traceparent"]);
    }
}
