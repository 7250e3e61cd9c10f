//! The server around a program's routes: health, readiness, metrics, limits, request ids, graceful end.

use std::{net::SocketAddr, time::Duration};

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request, State},
    http::{HeaderMap, HeaderName, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest as _, Sha256};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use tower_http::{
    catch_panic::CatchPanicLayer,
    classify::ServerErrorsFailureClass,
    request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer},
    trace::TraceLayer,
};

use super::{body_limit::refuse_large_body, calls::Calls, extract::Json, problem::ApiError};
use crate::{metrics::MetricsHandle, readiness::Readiness};

/// The largest request body, in bytes: the largest saga input and its frame.
pub const BODY_BYTES_MAX: usize = contract::limits::PAYLOAD_BYTES_MAX + 4 * 1024;

/// The longest that a request may take until its response begins. Streams go on after that.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// The header that follows a request through all parts.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Adds to a program's routes what every program has.
pub fn base(router: Router, metrics: &MetricsHandle, readiness: Readiness) -> Router {
    let metrics = metrics.clone();
    let own = Router::new()
        .route("/health", get(|| async { Json(serde_json::json!({ "status": "ok" })) }))
        .route("/ready", get(ready).with_state(readiness))
        .route("/metrics", get(move || std::future::ready(metrics.render())));
    router
        .merge(own)
        .fallback(|| async { ApiError::not_found("not_found", "no resource has this address") })
        .method_not_allowed_fallback(|| async {
            ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "This resource has no such method")
        })
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(middleware::from_fn_with_state(BODY_BYTES_MAX, refuse_large_body))
        .layer(middleware::from_fn_with_state(REQUEST_TIMEOUT, time_limit))
        .layer(CatchPanicLayer::custom(|_| ApiError::internal().into_response()))
        .layer(PropagateRequestIdLayer::new(REQUEST_ID))
        .layer(TraceLayer::new_for_http().make_span_with(request_span).on_failure(log_failure))
        .layer(SetRequestIdLayer::new(REQUEST_ID, MakeRequestUuid))
}

/// Lets only those in that show the installation's token as `Authorization: Bearer`.
pub fn require_internal_token(router: Router, token: &SecretString) -> Router {
    router.layer(middleware::from_fn_with_state(token.clone(), check_token))
}

/// Binds, then serves until `token` is cancelled; open requests are finished, and those of the `calls` whose caller is
/// gone. Returns the address in force (port 0 asks the system for one).
///
/// # Errors
/// When the address cannot be bound.
pub async fn serve(
    address: SocketAddr,
    router: Router,
    calls: Calls,
    token: CancellationToken,
) -> std::io::Result<(SocketAddr, JoinHandle<std::io::Result<()>>)> {
    let listener = TcpListener::bind(address).await?;
    let bound = listener.local_addr()?;
    let listener = axum::serve::ListenerExt::tap_io(listener, |stream| {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "nodelay could not be set");
        }
    });
    let server = axum::serve(listener, router).with_graceful_shutdown(token.cancelled_owned());
    let served = async move {
        server.await?;
        calls.finished().await;
        Ok(())
    };
    Ok((bound, tokio::spawn(served)))
}

async fn ready(State(readiness): State<Readiness>) -> Response {
    let missing = readiness.missing();
    if missing.is_empty() {
        Json(serde_json::json!({ "status": "ready" })).into_response()
    } else {
        let body = serde_json::json!({ "status": "not_ready", "missing": missing });
        (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response()
    }
}

/// Busy and not ready are answers, which a probe may get every second; any other failure is one.
fn log_failure(failure: ServerErrorsFailureClass, latency: Duration, _: &tracing::Span) {
    let latency_ms = latency.as_millis();
    match failure {
        ServerErrorsFailureClass::StatusCode(StatusCode::SERVICE_UNAVAILABLE) => {
            tracing::debug!(latency_ms, "answered that it cannot be done right now");
        }
        failure => tracing::error!(%failure, latency_ms, "a request failed"),
    }
}

async fn time_limit(State(limit): State<Duration>, request: Request, next: Next) -> Response {
    match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            tracing::warn!(limit_ms = limit.as_millis(), "a request took too long and was broken off");
            ApiError::unavailable("timed_out", "the request took too long", 1).into_response()
        }
    }
}

async fn check_token(State(token): State<SecretString>, request: Request, next: Next) -> Response {
    if shows_token(request.headers(), &token) {
        next.run(request).await
    } else {
        ApiError::unauthorized("internal_token", "this address is internal and needs the installation's token")
            .into_response()
    }
}

/// Whether a request shows this token as `Authorization: Bearer`.
#[must_use]
pub fn shows_token(headers: &HeaderMap, token: &SecretString) -> bool {
    let shown = headers.get(header::AUTHORIZATION).and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
    // Comparing digests takes as long for a nearly right text as for a wrong one.
    shown.is_some_and(|shown| Sha256::digest(shown) == Sha256::digest(token.expose_secret().as_bytes()))
}

fn request_span(request: &Request) -> tracing::Span {
    let id = request.headers().get(REQUEST_ID).and_then(|value| value.to_str().ok()).unwrap_or("");
    tracing::info_span!("http", method = %request.method(), path = request.uri().path(), request_id = id)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test]
    async fn a_request_that_hangs_is_given_up() {
        let limited = middleware::from_fn_with_state(Duration::from_millis(50), time_limit);
        let router = Router::new().route("/", get(std::future::pending::<()>)).layer(limited);
        let calls = Calls::new(1);
        let served = serve("127.0.0.1:0".parse().unwrap(), router, calls, CancellationToken::new()).await;
        let (address, _server) = served.unwrap();
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
        let mut said = String::new();
        stream.read_to_string(&mut said).await.unwrap();
        assert!(said.starts_with("HTTP/1.1 503 ") && said.contains("\r\nretry-after: 1\r\n"), "{said}");
        assert!(said.contains("\"code\":\"timed_out\""), "{said}");
    }
}
