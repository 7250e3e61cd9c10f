//! The layer around every page: what would change something comes from a page of ours, and a page runs and loads only
//! what it came with.

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};

use crate::{cookies::FORWARDED_HOST, session::LOGIN};

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Scripts and styles are files of ours, nothing is written into a page, and no other site frames it or is sent a form.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; \
     base-uri 'none'; frame-ancestors 'none'",
);

/// Refuses writes that other sites have asked the browser for, and says what a page may do.
pub(crate) async fn guard(request: Request, next: Next) -> Response {
    if !request.method().is_safe() && !is_from_our_page(request.headers()) {
        let words = "This was asked for by another site, and nothing was done.";
        return (StatusCode::FORBIDDEN, words).into_response();
    }
    let is_fragment = is_fragment(request.headers());
    let mut response = next.run(request).await;
    if is_fragment && leads_to_the_login(&response) {
        response = StatusCode::FORBIDDEN.into_response();
    }
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, POLICY);
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// A stream or a fragment cannot show a login page: it is refused, the script loads the page anew, and that can.
fn is_fragment(headers: &HeaderMap) -> bool {
    let accepted = headers.get(header::ACCEPT).and_then(|accepted| accepted.to_str().ok()).unwrap_or_default();
    accepted.contains("text/event-stream") || headers.contains_key("hx-request")
}

fn leads_to_the_login(response: &Response) -> bool {
    let location = response.headers().get(header::LOCATION).and_then(|location| location.to_str().ok());
    location.is_some_and(|location| location.starts_with(LOGIN))
}

/// Whether a browser says that one of our pages asks. Old ones name the page's origin only; a request that names neither
/// is none of a page.
fn is_from_our_page(headers: &HeaderMap) -> bool {
    if let Some(site) = headers.get(FETCH_SITE) {
        return site == "same-origin";
    }
    let origin = headers.get(header::ORIGIN).and_then(|origin| origin.to_str().ok());
    let host = headers.get(FORWARDED_HOST).and_then(|host| host.to_str().ok());
    match (origin.and_then(|origin| origin.split_once("://")), host) {
        (Some((_, origin)), Some(host)) => origin.eq_ignore_ascii_case(host),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(headers: &[(HeaderName, &'static str)]) -> bool {
        is_from_our_page(&headers.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect())
    }

    #[test]
    fn only_our_own_pages_change_something() {
        let host = (FORWARDED_HOST, "ops.example:8080");
        assert!(asked(&[(FETCH_SITE, "same-origin")]));
        assert!(asked(&[(header::ORIGIN, "http://ops.example:8080"), host.clone()]));
        for site in ["cross-site", "same-site", "none"] {
            assert!(!asked(&[(FETCH_SITE, site), (header::ORIGIN, "http://ops.example:8080"), host.clone()]), "{site}");
        }
        assert!(!asked(&[(header::ORIGIN, "http://evil.example"), host.clone()]));
        assert!(!asked(&[(header::ORIGIN, "null"), host.clone()]));
        assert!(!asked(&[host]));
    }
}
