//! The cookies of the pages: the name of the session, which no script reads and no other site sends, and the theme.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

/// The cookie with the name of the session.
pub(crate) const SESSION: &str = "sojourn_ops";
/// The cookie with the theme.
pub(crate) const THEME: &str = "sojourn_theme";

/// The cookie with the saved views of the list.
pub(crate) const VIEWS: &str = "sojourn_views";

/// How long a browser remembers a choice, in seconds: a year.
const CHOICE_SECONDS: u32 = 365 * 24 * 60 * 60;

/// The header in which the door tells by which host it was called.
pub(crate) const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// The header in which the door tells the address of the browser.
pub(crate) const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The hosts of this very machine, to which a browser speaks without TLS.
const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// The value of a cookie.
pub(crate) fn read<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = all.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(found, _)| *found == name).map(|(_, value)| value)
}

/// Sets the session's cookie; with an empty name, takes it away.
pub(crate) fn session(name: &str, headers: &HeaderMap, production: bool) -> Option<HeaderValue> {
    let gone = if name.is_empty() { "; Max-Age=0" } else { "" };
    let secure = if needs_tls(headers, production) { "; Secure" } else { "" };
    let text = format!("{SESSION}={name}; Path=/ops; HttpOnly; SameSite=Strict{secure}{gone}");
    HeaderValue::from_str(&text).ok()
}

/// Sets the cookie of a choice: the theme, the saved views.
pub(crate) fn choice(name: &str, word: &str, headers: &HeaderMap, production: bool) -> Option<HeaderValue> {
    let secure = if needs_tls(headers, production) { "; Secure" } else { "" };
    let text = format!("{name}={word}; Path=/ops; HttpOnly; SameSite=Strict; Max-Age={CHOICE_SECONDS}{secure}");
    HeaderValue::from_str(&text).ok()
}

/// True unless the browser speaks with its own machine, in development.
fn needs_tls(headers: &HeaderMap, production: bool) -> bool {
    let host = headers.get(FORWARDED_HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
    let name = name.map_or(host, |(name, _)| name);
    production || !LOOPBACK.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(host: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(FORWARDED_HOST, HeaderValue::from_static(host))])
    }

    #[test]
    fn a_sessions_cookie_is_for_tls_only_but_on_ones_own_machine_in_development() {
        let secure =
            |host, production| session("x", &from(host), production).unwrap().to_str().unwrap().contains("; Secure");
        for host in ["127.0.0.1:8080", "localhost:8080", "[::1]:8080", "localhost"] {
            assert!(!secure(host, false), "{host}");
            assert!(secure(host, true), "{host}");
        }
        for host in ["ops.sojourn.example", "10.0.0.1:8080", "localhost.example:80", ""] {
            assert!(secure(host, false), "{host}");
        }
    }

    #[test]
    fn a_cookie_is_found_among_others() {
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, HeaderValue::from_static("a=1; sojourn_ops=abc; sojourn_opsx=2"));
        assert_eq!(read(&headers, SESSION), Some("abc"));
        assert_eq!(read(&headers, THEME), None);
    }
}
