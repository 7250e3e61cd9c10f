//! The headers that go along with every call to a part behind the door, so that logs and traces of one request belong
//! together.

use axum::{
    extract::FromRequestParts,
    http::{HeaderName, HeaderValue, request::Parts},
};
use contract::Traceparent;

/// The header that follows a request through all parts.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// W3C trace context.
pub(crate) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The headers of one request that are handed on.
#[derive(Debug, Clone)]
pub(crate) struct Hop {
    /// Names the request in logs.
    pub(crate) request_id: Option<HeaderValue>,
    /// Names the trace and this hop's span.
    pub(crate) traceparent: Option<HeaderValue>,
}

impl Hop {
    /// For the gateway's own calls, which no client asked for.
    pub(crate) fn own() -> Self {
        Self { request_id: None, traceparent: None }
    }

    /// The trace as a message carries it.
    pub(crate) fn trace(&self) -> Option<Traceparent> {
        self.traceparent.as_ref()?.to_str().ok()?.parse().ok()
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Hop {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let take = |name: &HeaderName| parts.headers.get(name).cloned();
        Ok(Self { request_id: take(&REQUEST_ID), traceparent: take(&TRACEPARENT) })
    }
}
