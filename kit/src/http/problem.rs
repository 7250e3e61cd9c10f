//! Errors as clients see them (RFC 9457). What is the server's own fault says nothing about its insides.

use std::borrow::Cow;

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use contract::problem::{CONTENT_TYPE, FieldError, Problem, TYPE_BASE};

/// An error on its way to a client.
#[derive(Debug, Clone)]
pub struct ApiError {
    status: StatusCode,
    code: Cow<'static, str>,
    title: Cow<'static, str>,
    detail: Option<String>,
    errors: Vec<FieldError>,
    retry_after_seconds: Option<u32>,
}

impl ApiError {
    /// An error of any kind. `code` is stable and documented in `docs/errors/`; `title` is the same each time.
    #[must_use]
    pub fn new(status: StatusCode, code: impl Into<Cow<'static, str>>, title: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            code: code.into(),
            title: title.into(),
            detail: None,
            errors: Vec::new(),
            retry_after_seconds: None,
        }
    }

    /// 400: the request cannot be read.
    #[must_use]
    pub fn bad_request(code: impl Into<Cow<'static, str>>, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, "The request cannot be read").detail(detail)
    }

    /// 401: who asks is not known.
    #[must_use]
    pub fn unauthorized(code: impl Into<Cow<'static, str>>, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, code, "Authentication is needed").detail(detail)
    }

    /// 403: who asks may not.
    #[must_use]
    pub fn forbidden(code: impl Into<Cow<'static, str>>, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, code, "This is not allowed").detail(detail)
    }

    #[must_use]
    pub fn not_found(code: impl Into<Cow<'static, str>>, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, "There is no such thing").detail(detail)
    }

    /// 409: not as things stand now.
    #[must_use]
    pub fn conflict(code: impl Into<Cow<'static, str>>, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, "This is not possible as things stand").detail(detail)
    }

    /// 422: readable, but wrong; `errors` points at the places.
    #[must_use]
    pub fn unprocessable(
        code: impl Into<Cow<'static, str>>,
        detail: impl Into<String>,
        errors: Vec<FieldError>,
    ) -> Self {
        let mut error = Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, "The request is not valid").detail(detail);
        error.errors = errors;
        error
    }

    /// 422: text that is going to be stored holds a card number at these places, as JSON pointers. It is not repeated.
    #[must_use]
    pub fn card_number_refused(pointers: Vec<String>) -> Self {
        let place = |pointer| FieldError { detail: "looks like a card number".to_owned(), pointer };
        let detail =
            "this looks like a card number; a card is traded for a token at the payment provider and never sent here";
        Self::unprocessable("card_number_refused", detail, pointers.into_iter().map(place).collect())
    }

    /// 503: later; `detail` names what is missing.
    #[must_use]
    pub fn unavailable(
        code: impl Into<Cow<'static, str>>,
        detail: impl Into<String>,
        retry_after_seconds: u32,
    ) -> Self {
        let mut error = Self::new(StatusCode::SERVICE_UNAVAILABLE, code, "Not available right now").detail(detail);
        error.retry_after_seconds = Some(retry_after_seconds);
        error
    }

    /// 500: our fault. The body is always the same; the cause belongs into the log, by the request id.
    #[must_use]
    pub fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Something went wrong on our side")
    }

    /// Says in the body why this request is refused.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Points at the wrong places of the body.
    #[must_use]
    pub fn errors(mut self, errors: Vec<FieldError>) -> Self {
        self.errors = errors;
        self
    }

    /// Tells the caller after how many seconds to try again.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after_seconds = Some(seconds);
        self
    }

    #[must_use]
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    #[must_use]
    pub fn code(&self) -> &str {
        &self.code
    }
}

/// The code of a problem, beside its answer, for layers that write answers down.
#[derive(Debug, Clone)]
pub struct ProblemCode(pub String);

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let problem = Problem {
            kind: format!("{TYPE_BASE}{}", self.code),
            title: self.title.into_owned(),
            status: self.status.as_u16(),
            detail: self.detail,
            code: self.code.into_owned(),
            errors: self.errors,
        };
        let code = ProblemCode(problem.code.clone());
        let mut response = (self.status, axum::Json(problem)).into_response();
        response.extensions_mut().insert(code);
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
        if let Some(seconds) = self.retry_after_seconds {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
