//! Bodies that are too large or too slow, refused so that the refusal is heard.
//!
//! A server that answers and closes while the client still sends resets the connection, and the client sees a broken
//! pipe in place of the problem. So what is on its way is read and thrown away first, within bounds.

use std::{pin::pin, time::Duration};

use super::problem::ApiError;
use axum::{
    body::{Body, Bytes},
    extract::{FromRequest as _, Request, State},
    http::{StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

/// How much of a refused body is read and thrown away, in bytes: several times any body that is taken. A client
/// that sends more than that gets the connection closed.
const THROWN_AWAY_BYTES_MAX: u64 = 1024 * 1024;

/// How long that may take.
const THROWN_AWAY_WITHIN: Duration = Duration::from_secs(5);

/// The layer: refuses a body that says that it is larger than the state's number of bytes. A body that does not say how
/// large it is, is measured while it is read.
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

/// The layer: reads the whole body before what is within begins, and refuses one that takes longer than the state says
/// or breaks off. How large it may be is told by a `DefaultBodyLimit` around this layer.
pub async fn read_body_in_time(State(time_max): State<Duration>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let reading = Bytes::from_request(Request::from_parts(parts.clone(), body), &());
    match tokio::time::timeout(time_max, reading).await {
        Ok(Ok(bytes)) => next.run(Request::from_parts(parts, Body::from(bytes))).await,
        Ok(Err(error)) if error.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", "The body is too large").into_response()
        }
        Ok(Err(_)) => ApiError::bad_request("body_unreadable", "the body broke off").into_response(),
        Err(_) => {
            let error = ApiError::new(StatusCode::REQUEST_TIMEOUT, "body_timed_out", "The body did not arrive in time")
                .detail(format!("a body must arrive within {} seconds", time_max.as_secs()));
            // The rest of the body would be taken for the next request.
            ([(header::CONNECTION, "close")], error).into_response()
        }
    }
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
