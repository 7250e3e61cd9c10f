//! The caller of a route, and the layer that lets in only callers whom the route is for. Access tokens are JWTs signed with EdDSA; nothing in a token chooses how it is verified, except for the
//! name of one of the keys that the user service publishes (RFC 8725).

use axum::{
    extract::{FromRequestParts, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, header, request::Parts},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use chrono::{DateTime, Utc};
use contract::{
    LoginId, UserId,
    orchestrator_api::{HEADER_ACTOR, HEADER_ROLE},
    user::{Claims, Role, TOKEN_AUDIENCE, TOKEN_ISSUER, TOKEN_TYPE},
};
use jsonwebtoken::{Algorithm, Validation, errors::ErrorKind};
use kit::http::ApiError;
use serde::Deserialize;

use crate::{app::App, keys::NoKey};

/// The longest token, in bytes: ours have some 400.
const TOKEN_BYTES_MAX: usize = 4 * 1024;

/// The longest name of a key, in bytes: ours are thumbprints of 43.
const KEY_ID_BYTES_MAX: usize = 128;

/// How far apart the clocks of the machines may be.
const CLOCK_SKEW_SECONDS: i64 = 5;

/// The people that a route is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Public,
    /// People with an account, for what is their own.
    Client,
    /// People who look at sagas.
    Viewer,
    /// People who repair them.
    Operator,
    /// People who manage the others.
    Admin,
    /// Operators with a browser, whose session the dashboard knows.
    Browser,
}

impl Access {
    /// The word in documentation.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Public => "everybody",
            Self::Client => "clients",
            Self::Viewer => "viewers",
            Self::Operator => "operators",
            Self::Admin => "admins",
            Self::Browser => "operators' browsers",
        }
    }

    /// All whom it is for, in words.
    const fn allowed(self) -> &'static str {
        match self {
            Self::Public => "everybody",
            Self::Client => "people with an account",
            Self::Viewer => "viewers, operators and admins",
            Self::Operator => "operators and admins",
            Self::Admin => "admins",
            Self::Browser => "operators of any kind",
        }
    }

    /// True for what operators of any kind call.
    pub(crate) const fn is_for_operating(self) -> bool {
        match self {
            Self::Public | Self::Client => false,
            Self::Viewer | Self::Operator | Self::Admin | Self::Browser => true,
        }
    }

    /// True for what changes sagas or people.
    const fn is_for_acting(self) -> bool {
        match self {
            Self::Public | Self::Client | Self::Viewer | Self::Browser => false,
            Self::Operator | Self::Admin => true,
        }
    }

    /// Each role may do what the one before it may.
    fn lets_in(self, role: Role) -> bool {
        match self {
            Self::Public | Self::Client | Self::Browser => true,
            Self::Viewer => role >= Role::Viewer,
            Self::Operator => role >= Role::Operator,
            Self::Admin => role >= Role::Admin,
        }
    }
}

/// The person who calls, known from a verified token only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Caller {
    pub(crate) user_id: UserId,
    pub(crate) role: Role,
    /// The login that the token is of; none in tokens of before there was one in them.
    pub(crate) login: Option<LoginId>,
    /// True for a person who may not act before it has a second factor.
    second_factor_missing: bool,
}

impl Caller {
    /// Says to the orchestrator who calls.
    pub(crate) fn name_in(self, headers: &mut HeaderMap) -> Result<(), ApiError> {
        let text = |text: &str| HeaderValue::from_str(text).map_err(|_| ApiError::internal());
        headers.insert(HeaderName::from_static(HEADER_ACTOR), text(&self.user_id.to_string())?);
        headers.insert(HeaderName::from_static(HEADER_ROLE), text(self.role.as_str())?);
        Ok(())
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        // Missing only when a route is public and asks for a caller: our mistake, not the client's.
        parts.extensions.get::<Self>().copied().ok_or_else(ApiError::internal)
    }
}

/// A reason why the caller is not known, or not let in.
#[derive(Debug, thiserror::Error)]
enum TokenError {
    #[error("this needs an access token: `Authorization: Bearer ...`")]
    Missing,
    #[error("the Authorization header is not one `Bearer` token")]
    NotBearer,
    #[error("the access token is not a JWT of this installation")]
    Malformed,
    #[error("the access token is not signed by a key of this installation")]
    UnknownKey,
    #[error("the access token's signature is wrong")]
    WrongSignature,
    #[error("the access token was issued by somebody else or for something else")]
    WrongPurpose,
    #[error("the access token has expired; get a new one with the refresh token")]
    Expired,
    #[error("the access token is void: its login has ended, or the rights of its person have changed")]
    Void,
    #[error("the access token is not valid yet")]
    NotYetValid,
    #[error("this is for {} only", .0.allowed())]
    WrongRole(Access),
    #[error(
        "operators act only with a second factor here: set one up at /ops/account or with `sagactl second-factor on`"
    )]
    NoSecondFactor,
    #[error("tokens cannot be verified right now")]
    NoKeys(crate::upstream::UpstreamError),
}

impl TokenError {
    fn into_response(self) -> Response {
        let detail = self.to_string();
        // The parts of the header are constants without quotes, so they are its syntax as they stand.
        let (error, challenge) = match self {
            Self::NoKeys(error) => return ApiError::from(error).into_response(),
            Self::Missing => (ApiError::unauthorized("token_missing", detail), String::new()),
            Self::Expired => (ApiError::unauthorized("token_expired", &detail), invalid(&detail)),
            Self::WrongRole(_) => {
                (ApiError::forbidden("role_missing", detail), ", error=\"insufficient_scope\"".to_owned())
            }
            Self::NoSecondFactor => {
                let step_up = ", error=\"insufficient_user_authentication\"".to_owned();
                (ApiError::forbidden("second_factor_missing", detail), step_up)
            }
            Self::NotBearer
            | Self::Malformed
            | Self::UnknownKey
            | Self::WrongSignature
            | Self::WrongPurpose
            | Self::Void
            | Self::NotYetValid => (ApiError::unauthorized("token_invalid", &detail), invalid(&detail)),
        };
        let mut response = error.into_response();
        if let Ok(value) = HeaderValue::from_str(&format!("Bearer realm=\"sojourn\"{challenge}")) {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, value);
        }
        response
    }
}

fn invalid(detail: &str) -> String {
    format!(", error=\"invalid_token\", error_description=\"{}\"", detail.replace(['"', '\\'], "'"))
}

/// The layer: lets a request through that its route allows, with its [`Caller`].
pub(crate) async fn authenticate(
    State((app, access)): State<(App, Access)>,
    mut request: Request,
    next: Next,
) -> Response {
    if matches!(access, Access::Public | Access::Browser) {
        return next.run(request).await;
    }
    let now = app.clock.now();
    let known = match verify(&app, request.headers(), now).await {
        Ok(caller) if !access.lets_in(caller.role) => Err(TokenError::WrongRole(access)),
        Ok(caller) if access.is_for_acting() && caller.second_factor_missing => Err(TokenError::NoSecondFactor),
        other => other,
    };
    match known {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(error) => error.into_response(),
    }
}

async fn verify(app: &App, headers: &HeaderMap, now: DateTime<Utc>) -> Result<Caller, TokenError> {
    let token = bearer(headers)?;
    let head = jsonwebtoken::decode_header(token).map_err(|_| TokenError::Malformed)?;
    let typed = head.typ.as_deref().is_some_and(|typ| {
        let short = typ.strip_prefix("application/").unwrap_or(typ);
        short.eq_ignore_ascii_case(TOKEN_TYPE)
    });
    if head.alg != Algorithm::EdDSA || !typed || head.crit.is_some() {
        return Err(TokenError::Malformed);
    }
    let key_id = head.kid.filter(|id| id.len() <= KEY_ID_BYTES_MAX).ok_or(TokenError::UnknownKey)?;
    let key = app.keys.find(&key_id).await.map_err(|none| match none {
        NoKey::Unknown => TokenError::UnknownKey,
        NoKey::NotAsked(error) => TokenError::NoKeys(error),
    })?;
    let claims = jsonwebtoken::decode::<Timed>(token, &key, &validation()).map_err(|error| match error.kind() {
        ErrorKind::InvalidSignature => TokenError::WrongSignature,
        ErrorKind::InvalidIssuer | ErrorKind::InvalidAudience => TokenError::WrongPurpose,
        _ => TokenError::Malformed,
    })?;
    in_time(&claims.claims, now)?;
    let claims = claims.claims.claims;
    if app.rights.void(&claims) {
        return Err(TokenError::Void);
    }
    let Claims { sub, role, sid, second_factor_missing, .. } = claims;
    Ok(Caller { user_id: sub, role, login: sid, second_factor_missing })
}

fn bearer(headers: &HeaderMap) -> Result<&str, TokenError> {
    let mut shown = headers.get_all(header::AUTHORIZATION).iter();
    let one = shown.next().ok_or(TokenError::Missing)?;
    let text = one.to_str().map_err(|_| TokenError::NotBearer)?;
    let (scheme, token) = text.split_once(' ').ok_or(TokenError::NotBearer)?;
    let fits = scheme.eq_ignore_ascii_case("bearer") && (1..=TOKEN_BYTES_MAX).contains(&token.len());
    // Two of them: which one was meant would be a guess.
    if fits && shown.next().is_none() { Ok(token) } else { Err(TokenError::NotBearer) }
}

/// Our claims, and one that ours do not use but a token may have.
#[derive(Deserialize)]
struct Timed {
    #[serde(flatten)]
    claims: Claims,
    #[serde(default)]
    nbf: Option<i64>,
}

fn validation() -> Validation {
    let mut validation = Validation::new(Algorithm::EdDSA);
    validation.set_issuer(&[TOKEN_ISSUER]);
    validation.set_audience(&[TOKEN_AUDIENCE]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    // Times are compared here, with the clock that we were given.
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation
}

fn in_time(timed: &Timed, now: DateTime<Utc>) -> Result<(), TokenError> {
    let now = now.timestamp();
    if timed.claims.exp.saturating_add(CLOCK_SKEW_SECONDS) <= now {
        return Err(TokenError::Expired);
    }
    let begins = timed.nbf.unwrap_or(timed.claims.iat).max(timed.claims.iat);
    if begins.saturating_sub(CLOCK_SKEW_SECONDS) > now {
        return Err(TokenError::NotYetValid);
    }
    Ok(())
}
