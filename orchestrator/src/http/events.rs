//! `GET /api/sagas/{id}/events`: a saga's records as they are committed, by server-sent events.
//!
//! ```text
//!  lane commits --hub--> this process's streams
//!               --note to orchestrator.<instance>--> the streams of other processes
//!  stream: on each notice read the journal, send what is new
//! ```
//!
//! The journal is what is sent; notices only say when to look. A notice that is lost with a lane costs at most one
//! renewal's time.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use axum::{
    extract::State,
    http::HeaderMap,
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use chrono::TimeDelta;
use contract::SagaId;
use futures::stream;
use journal::Stored;
use kit::http::{ApiError, Path};

use super::{Api, reads};
use crate::{
    hub::Watching,
    notes::{self, Watch},
    view::{self, Replay},
};

/// How often a stream renews its wish to be told, and looks by itself.
const RENEW_EVERY: Duration = Duration::from_secs(15);
/// How long a wish holds: three renewals, so that one may be lost.
const WATCH_FOR: TimeDelta = TimeDelta::seconds(45);
/// Comments in between keep proxies from closing a quiet stream.
const HEARTBEAT_EVERY: Duration = Duration::from_secs(10);
/// Between attempts to read while the journal does not answer.
const READ_AGAIN: Duration = Duration::from_secs(1);
/// When to come back, in seconds, while there are too many streams.
const FULL_RETRY_AFTER: u32 = 5;

/// Where a client takes up again.
const LAST_EVENT_ID: &str = "last-event-id";

/// Streams a saga's records, those after `Last-Event-ID` only, until it has ended.
pub(super) async fn stream(
    State(api): State<Api>,
    Path(id): Path<SagaId>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let sent = last_event_id(&headers)?;
    // Watched before the first read: what is committed in between is noticed.
    let watching = api.shared.hub.watch(id).ok_or_else(|| {
        ApiError::unavailable("too_many_streams", "too many event streams are open here", FULL_RETRY_AFTER)
    })?;
    let stored = reads::stored(&api.shared, id).await?;
    let replay = Replay::new(Arc::clone(&api.shared.catalog), &stored.row);
    let mut follower = Follower { api, id, watching, replay, sent, ready: VecDeque::new(), ended: false };
    follower.take(&stored);
    if !follower.ended {
        follower.renew().await;
        follower.read().await;
    }
    let events = stream::unfold(follower, |mut follower| async move {
        let event = follower.next().await?;
        Some((Ok::<_, std::convert::Infallible>(event), follower))
    });
    let heartbeat = KeepAlive::new().interval(HEARTBEAT_EVERY).text("waiting");
    Ok(Sse::new(events).keep_alive(heartbeat).into_response())
}

/// One client's stream.
struct Follower {
    api: Api,
    id: SagaId,
    watching: Watching,
    replay: Replay,
    /// The last record that the client has.
    sent: u64,
    ready: VecDeque<Event>,
    /// The saga's end is among what is ready, or was sent.
    ended: bool,
}

impl Follower {
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            if self.ended {
                return None;
            }
            tokio::select! {
                () = self.api.stop.cancelled() => return None,
                () = self.watching.noticed() => {}
                () = tokio::time::sleep(RENEW_EVERY) => self.renew().await,
            }
            self.read().await;
        }
    }

    /// Asks the saga's lane to tell this process of commits. A lane of this very process does so by itself.
    async fn renew(&self) {
        let shared = &self.api.shared;
        if shared.lanes.owns(self.id.shard(shared.shards)) {
            return;
        }
        let notify_to = shared.own_queue.as_str().to_owned();
        let watch = Watch { saga_id: self.id, notify_to, until: shared.clock.now() + WATCH_FOR };
        for result in shared.broker.publish(vec![notes::watch(&shared.queue_of(self.id), &watch)]).await {
            if let Err(error) = result {
                tracing::debug!(saga_id = %self.id, %error, "a watch could not be sent; the next renewal will");
            }
        }
    }

    async fn read(&mut self) {
        match self.api.shared.journal.get(self.id).await {
            Ok(Some(stored)) => self.take(&stored),
            // It was there when the stream began, so its partition was dropped: nothing more will come.
            Ok(None) => self.ended = true,
            Err(error) => {
                tracing::debug!(saga_id = %self.id, error = kit::settings::error_chain(&error), "the stream waits");
                tokio::time::sleep(READ_AGAIN).await;
                self.api.shared.hub.notify(self.id);
            }
        }
    }

    fn take(&mut self, stored: &Stored) {
        let known = self.replay.seq;
        for record in stored.records.iter().filter(|record| record.seq > known) {
            let view = self.replay.record(record);
            if view.seq > self.sent {
                self.sent = view.seq;
                let event = Event::default().event("record").id(view.seq.to_string());
                self.ready.extend(event.json_data(&view).inspect_err(|error| {
                    tracing::error!(saga_id = %self.id, %error, "a record cannot be written");
                }));
            }
        }
        if stored.row.status.is_final() && !self.ended {
            self.ended = true;
            let end = Event::default().event("end");
            self.ready.extend(end.json_data(view::summary(&stored.row)));
        }
    }
}

fn last_event_id(headers: &HeaderMap) -> Result<u64, ApiError> {
    let Some(value) = headers.get(LAST_EVENT_ID) else { return Ok(0) };
    let seq = value.to_str().ok().map(str::trim).filter(|text| !text.is_empty());
    match seq.map(str::parse) {
        Some(Ok(seq)) => Ok(seq),
        Some(Err(_)) | None => {
            Err(ApiError::bad_request("invalid_last_event_id", "Last-Event-ID must be the number of a record"))
        }
    }
}
