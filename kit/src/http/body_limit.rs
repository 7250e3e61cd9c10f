//! Bodies that are too large, refused so that the refusal is heard.
//!
//! A server that answers and closes while the client still sends resets the connection, and the client sees a broken
//! pipe in place of the problem. So what is on its way is read and thrown away first, within bounds.

use std::{pin::pin, time::Duration};

use super::problem::ApiError;
use axum::{
    body::Body,
    extract::{Request, State},
    http::{StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

/// How much of a refused body is read and thrown away, in bytes: several times any body that is taken. Whoever sends
/// more than that gets the connection closed.
const THROWN_AWAY_BYTES_MAX: u64 = 1024 * 1024;

/// How long that may take.
const THROWN_AWAY_WITHIN: Duration = Duration::from_secs(5);

/// The layer: refuses a body that says that it is larger than the state's number of bytes. A body that does not say how
/// large it is, is measured by whoever reads it.
pub async fn refuse_large_body(State(bytes_max): State<usize>, mut request: Request, next: Next) -> Response {
    let length = request.headers().get(header::CONTENT_LENGTH);
    let length: Option<u64> = length.and_then(|value| value.to_str().ok()?.parse().ok());
    let Some(length) = length.filter(|length| u64::try_from(bytes_max).is_ok_and(|max| *length > max)) else {
        return next.run(request).await;
    };
    // A client that asks before it sends has sent nothing yet.
    if length <= THROWN_AWAY_BYTES_MAX && !request.headers().contains_key(header::EXPECT) {
        let body = std::mem::take(request.body_mut());
        tokio::time::timeout(THROWN_AWAY_WITHIN, throw_away(body)).await.ok();
    }
    ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", "The body is too large")
        .detail(format!("the body has {length} bytes; {bytes_max} are taken here"))
        .into_response()
}

async fn throw_away(body: Body) {
    let mut body = pin!(body);
    loop {
        let frame = std::future::poll_fn(|context| axum::body::HttpBody::poll_frame(body.as_mut(), context)).await;
        match frame {
            Some(Ok(_)) => {}
            Some(Err(_)) | None => return,
        }
    }
}
