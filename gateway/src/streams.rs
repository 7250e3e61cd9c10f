//! The common part of all streams towards clients and operators: a place for each, the header of a reader that comes
//! back, and an end.

use std::{sync::Arc, time::Duration};

use axum::http::HeaderName;
use kit::http::ApiError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

/// The header of a reader that takes a stream up again.
pub(crate) const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// How long one stream may last: as long as an access token, so that rights are looked at again. Readers come back by
/// themselves and go on where they were.
pub(crate) const STREAM_DURATION_MAX: Duration = Duration::from_secs(15 * 60);

/// The seconds after which a reader that found no place should come back.
const RETRY_AFTER_SECONDS: u32 = 5;

/// Places for streams.
pub(crate) struct Places(Arc<Semaphore>);

impl Places {
    pub(crate) fn new(streams_max: usize) -> Self {
        Self(Arc::new(Semaphore::new(streams_max)))
    }

    /// One of the places, free again when it is dropped.
    pub(crate) fn take(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        let detail = "too many streams are open right now";
        let busy = |_| ApiError::unavailable("streams_exhausted", detail, RETRY_AFTER_SECONDS);
        Arc::clone(&self.0).try_acquire_owned().map_err(busy)
    }
}

/// Resolves when a stream must end: after its longest time, or because the gateway stops.
pub(crate) fn until_ended(stopping: &CancellationToken) -> impl Future<Output = ()> + Send + use<> {
    let stopping = stopping.clone();
    async move {
        tokio::select! {
            () = tokio::time::sleep(STREAM_DURATION_MAX) => {}
            () = stopping.cancelled_owned() => {}
        }
    }
}
