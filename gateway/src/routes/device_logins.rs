//! `/v1/auth/device`: a program without a browser asks for a login, and trades its code for tokens once a person has approved
//! on the operators' pages. Both calls speak as RFC 8628 writes them, forms in and its errors out, so that any client of OAuth
//! can make them; what the RFC has no word for is a problem, as everywhere.

use axum::{
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, header, uri::Scheme},
    response::{IntoResponse, Response},
    routing::{MethodFilter, MethodRouter, on},
};
use contract::{
    Route,
    problem::TYPE_BASE,
    user::{AskDeviceLogin, DeviceClient, DeviceCode, DeviceLoginAsked, Tokens, UserCode},
};
use kit::http::{ApiError, Json};
use serde::Serialize;

use crate::{
    access::Access,
    address::ClientAddress,
    app::App,
    called_at::CalledAt,
    endpoint::{Endpoint, LOGIN_BYTES_MAX, Limit, Verb},
    hop::Hop,
    upstream::{Call, Part, Repeat, UpstreamError, UpstreamResponse},
};

pub(crate) const ASK: Endpoint =
    endpoint("/v1/auth/device", Limit::Login, "asks for a login without a browser", |methods| on(methods, ask));

/// Asked every few seconds while a person makes up its mind, so that it takes nothing off the allowance of logins.
pub(crate) const TRADE: Endpoint =
    endpoint("/v1/auth/device/token", Limit::Read, "trades an approved device code for tokens", |methods| {
        on(methods, trade)
    });

const fn endpoint(
    path: &'static str,
    limit: Limit,
    about: &'static str,
    handler: fn(MethodFilter) -> MethodRouter<App>,
) -> Endpoint {
    Endpoint {
        verb: Verb::Post,
        path,
        access: Access::Public,
        limit,
        body_bytes_max: LOGIN_BYTES_MAX,
        part: Part::Domain(Route::User),
        about,
        handler,
    }
}

/// The page on which a person approves.
const PAGE: &str = "/ops/device";

/// The only grant that is traded here (RFC 8628, 3.4).
const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// The type of a form's body.
const FORM: &[u8] = b"application/x-www-form-urlencoded";

/// The user domain's codes that are words of the RFC.
const WORDS: [&str; 5] = ["authorization_pending", "slow_down", "access_denied", "expired_token", "invalid_grant"];

/// The hosts of this very machine, to which a browser speaks without TLS.
const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// The answer to a program that asks (RFC 8628, 3.2).
#[derive(Serialize)]
struct Authorization {
    device_code: String,
    user_code: UserCode,
    verification_uri: String,
    verification_uri_complete: String,
    expires_in: u32,
    interval: u32,
}

/// A refusal in the RFC's form (RFC 6749, 5.2).
#[derive(Debug, Serialize)]
struct OauthError {
    error: String,
    error_description: String,
    error_uri: String,
}

/// A refusal of one of the two calls.
enum Refused {
    Oauth(OauthError),
    Problem(ApiError),
}

impl Refused {
    fn oauth(error: impl Into<String>, description: impl Into<String>) -> Self {
        let error = error.into();
        let error_uri = format!("{TYPE_BASE}{error}");
        Self::Oauth(OauthError { error, error_description: description.into(), error_uri })
    }

    fn request(description: impl Into<String>) -> Self {
        Self::oauth("invalid_request", description)
    }

    /// The user domain's refusal: in the RFC's form where the RFC has a word for it.
    fn of(answer: &UpstreamResponse) -> Self {
        match (answer.code().filter(|code| WORDS.contains(&code.as_str())), answer.detail()) {
            (Some(code), Some(detail)) => Self::oauth(code, detail),
            _ => Self::Problem(answer.problem()),
        }
    }
}

impl From<UpstreamError> for Refused {
    fn from(error: UpstreamError) -> Self {
        Self::Problem(error.into())
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        match self {
            Self::Oauth(error) => (StatusCode::BAD_REQUEST, Json(error)).into_response(),
            Self::Problem(error) => error.into_response(),
        }
    }
}

async fn ask(
    State(app): State<App>,
    address: ClientAddress,
    at: CalledAt,
    hop: Hop,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Authorization>, Refused> {
    let form = Form::read(&headers, &body)?;
    let page = page(&at, app.production).ok_or_else(|| Refused::request("the Host header names no host"))?;
    let asked = AskDeviceLogin { client: form.client()?, address: address.to_string() };
    let call = Call::post("/internal/user/devices", &asked, Repeat::Unsent)?;
    let answer = app.domain(Route::User).call(&hop, call).await?;
    if answer.status != StatusCode::CREATED {
        return Err(Refused::of(&answer));
    }
    let DeviceLoginAsked { device_code, user_code, expires_in, interval } = answer.json()?;
    let verification_uri_complete = format!("{page}?user_code={user_code}");
    let verification_uri = page;
    Ok(Json(Authorization {
        device_code,
        user_code,
        verification_uri,
        verification_uri_complete,
        expires_in,
        interval,
    }))
}

async fn trade(State(app): State<App>, hop: Hop, headers: HeaderMap, body: Bytes) -> Result<Json<Tokens>, Refused> {
    let form = Form::read(&headers, &body)?;
    if form.needs("grant_type")? != GRANT_TYPE {
        return Err(Refused::oauth("unsupported_grant_type", format!("the grant_type here is {GRANT_TYPE}")));
    }
    let code = DeviceCode { device_code: form.needs("device_code")?.to_owned(), client: form.client()? };
    // A code is traded once: whether a lost answer held the tokens is not known.
    let call = Call::post("/internal/user/devices/token", &code, Repeat::Unsent)?;
    let answer = app.domain(Route::User).call(&hop, call).await?;
    if answer.status == StatusCode::OK { Ok(Json(answer.json()?)) } else { Err(Refused::of(&answer)) }
}

/// The parameters of a form. Those that nobody asks for are passed over (RFC 6749, 3.1).
struct Form(Vec<(String, String)>);

impl Form {
    fn read(headers: &HeaderMap, body: &[u8]) -> Result<Self, Refused> {
        let kind = headers.get(header::CONTENT_TYPE).map_or(&[][..], |kind| kind.as_bytes());
        let kind = kind.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        if !kind.eq_ignore_ascii_case(FORM) {
            return Err(Refused::request("the body is a form: application/x-www-form-urlencoded"));
        }
        Ok(Self(form_urlencoded::parse(body).into_owned().collect()))
    }

    /// The one value of a parameter; an empty one counts as none.
    fn needs(&self, name: &str) -> Result<&str, Refused> {
        let mut values = self.0.iter().filter(|(given, value)| given == name && !value.is_empty());
        match (values.next(), values.next()) {
            (Some((_, value)), None) => Ok(value),
            (None, _) => Err(Refused::request(format!("{name} is missing"))),
            (Some(_), Some(_)) => Err(Refused::request(format!("{name} is given twice"))),
        }
    }

    fn client(&self) -> Result<DeviceClient, Refused> {
        let named: Result<DeviceClient, _> = self.needs("client_id")?.parse();
        named.map_err(|error| Refused::request(error.to_string()))
    }
}

/// The address of the page, where the program called the door. A program that lies about it misleads itself. Where no proxy says
/// whether it was called over TLS, production is, but on one's own machine.
fn page(at: &CalledAt, production: bool) -> Option<String> {
    let host = at.host()?;
    let scheme = at
        .scheme()
        .unwrap_or_else(|| if production && !LOOPBACK.contains(&host.host()) { Scheme::HTTPS } else { Scheme::HTTP });
    Some(format!("{scheme}://{host}{PAGE}"))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn at(headers: &[(&'static str, &'static str)], production: bool) -> Option<String> {
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)));
        page(&CalledAt::told_by_a_proxy(&headers.collect()), production)
    }

    #[test]
    fn the_page_is_at_the_host_that_was_called_over_tls_but_on_ones_own_machine() {
        let called = |host| [("host", host)];
        assert_eq!(at(&called("127.0.0.1:8080"), true).as_deref(), Some("http://127.0.0.1:8080/ops/device"));
        assert_eq!(at(&called("ops.sojourn.example"), true).as_deref(), Some("https://ops.sojourn.example/ops/device"));
        assert_eq!(at(&called("ops.local:8080"), false).as_deref(), Some("http://ops.local:8080/ops/device"));
        for wrong in ["", "a b", "evil.example@ops.example", "ops.example/x"] {
            assert_eq!(at(&called(wrong), false), None, "{wrong}");
        }
        assert_eq!(at(&[], false), None);
    }

    #[test]
    fn a_proxy_says_whether_it_was_called_over_tls_and_where() {
        let told = [("host", "door.internal"), ("x-forwarded-host", "ops.example"), ("x-forwarded-proto", "https")];
        assert_eq!(at(&told, false).as_deref(), Some("https://ops.example/ops/device"));
        let told = [("host", "ops.intranet"), ("x-forwarded-proto", "http")];
        assert_eq!(at(&told, true).as_deref(), Some("http://ops.intranet/ops/device"));
    }
}
