//! `GET /api/jobs/{id}/events`: a job as it stands, at once and whenever that changes, by server-sent events.

use std::convert::Infallible;

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use contract::JobId;
use futures::stream;
use kit::http::{ApiError, Path};
use tokio_util::sync::CancellationToken;

use super::{
    Api,
    events::{HEARTBEAT_EVERY, LAST_EVENT_ID, streams_exhausted},
    jobs,
};
use crate::watching::job_followers::FollowedJob;

/// The name and the id of the last event: a reader who names it has seen the end.
const END: &str = "end";

/// Streams how a job stands until it is over. A reader that has seen the end gets the one answer that makes it stop asking.
pub(super) async fn stream(
    State(api): State<Api>,
    Path(id): Path<JobId>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    // Followed before the first read: what changes in between is noticed.
    let following = api.shared.job_followers.follow(id).ok_or_else(streams_exhausted)?;
    let job = jobs::find(&api, id).await?;
    if job.state.is_over() && headers.get(LAST_EVENT_ID).is_some_and(|last| last == END) {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let progress = Progress { following, stop: api.stop, ended: false };
    let events = stream::unfold(progress, |mut progress| async move {
        let event = progress.next().await?;
        Some((Ok::<_, Infallible>(event), progress))
    });
    let heartbeat = KeepAlive::new().interval(HEARTBEAT_EVERY).text("waiting");
    Ok(Sse::new(events).keep_alive(heartbeat).into_response())
}

/// One client's stream.
struct Progress {
    following: FollowedJob,
    stop: CancellationToken,
    ended: bool,
}

impl Progress {
    async fn next(&mut self) -> Option<Event> {
        if self.ended {
            return None;
        }
        let view = tokio::select! {
            () = self.stop.cancelled() => return None,
            view = self.following.next() => view,
        };
        self.ended = view.job.state.is_over();
        let event = if self.ended { Event::default().event(END).id(END) } else { Event::default().event("progress") };
        match event.json_data(&*view) {
            Ok(event) => Some(event),
            Err(error) => {
                tracing::error!(id = %view.job.id, %error, "an event cannot be written");
                None
            }
        }
    }
}
