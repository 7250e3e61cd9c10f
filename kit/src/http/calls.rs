//! Calls that run to their end when their caller hangs up.
//!
//! A server drops the future of a request whose connection is gone, at whatever await it has reached. A handler that is
//! dropped there leaves its work half done: the answer to a statement is lost, and sqlx 0.9 (its issue 4393) gives a
//! connection that was about to begin a transaction back to its pool inside that transaction. So a handler runs on a
//! task of its own, and only the wait for that task ends with the connection:
//!
//! ```text
//!  request --no place left--> 503 busy
//!     |
//!     +--place--> task: handler --> response --> request, unless its caller hung up
//! ```
//!
//! The body of a response belongs to the connection, not to the task: a stream of events holds no place here and ends
//! with its reader.

use std::{panic::resume_unwind, sync::Arc};

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use tokio::sync::Semaphore;
use tracing::Instrument as _;

use super::problem::ApiError;

/// The most calls that one program carries out at a time. A call that waits costs some kilobytes, so memory allows
/// this many; and a pool of a dozen connections does not serve more within the time limit of a request.
pub const CALLS_MAX: u32 = 4096;

/// When a caller that found no place should come back, in seconds: most calls take milliseconds.
const BUSY_RETRY_AFTER_SECONDS: u32 = 1;

/// The places for the calls of one program. A call holds its place until its handler has ended.
#[derive(Debug, Clone)]
pub struct Calls {
    places: Arc<Semaphore>,
    calls_max: u32,
}

impl Calls {
    /// Places for `calls_max` calls at a time.
    #[must_use]
    pub fn new(calls_max: u32) -> Self {
        // Lossless wherever an address has 32 bits.
        let places = usize::try_from(calls_max).unwrap_or(usize::MAX);
        Self { places: Arc::new(Semaphore::new(places)), calls_max }
    }

    /// Waits for the calls that still run, and takes no more.
    pub async fn finished(&self) {
        // With all places in hand, none runs.
        if let Ok(places) = self.places.acquire_many(self.calls_max).await {
            places.forget();
        }
    }
}

/// The layer: carries out what is within on a task of its own, which the caller's end does not end. A panic of the
/// task is the request's.
pub async fn run_to_end(State(calls): State<Calls>, request: Request, next: Next) -> Response {
    let Ok(place) = Arc::clone(&calls.places).try_acquire_owned() else {
        return ApiError::unavailable("busy", "too many calls are being carried out", BUSY_RETRY_AFTER_SECONDS)
            .into_response();
    };
    let call = async move {
        let response = next.run(request).await;
        drop(place);
        response
    };
    match tokio::spawn(call.in_current_span()).await {
        Ok(response) => response,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            // Only the end of the whole runtime cancels a task here.
            Err(_cancelled) => ApiError::internal().into_response(),
        },
    }
}
