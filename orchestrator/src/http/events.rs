//! `GET /api/sagas/{id}/events`: a saga's records as they are committed, by server-sent events.
//!
//! ```text
//!  lane commits --the record, in memory--> this process's streams
//!               --the record, by message to orchestrator.<instance>--> the streams of other processes
//! ```
//!
//! The stream reads the journal once at its begin, and what is new in it when it has missed something; else it sends
//! what its lane hands it. A message that is lost with a lane costs at most one renewal's time.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use chrono::TimeDelta;
use contract::{SagaId, orchestrator_api::SagaSummary};
use futures::stream;
use journal::{Door, Record};
use kit::http::{ApiError, Path, Query};
use serde::Deserialize;
use tokio::time::Instant;

use super::{Api, problems, reads};
use crate::{
    messages::wire::{self, Watch},
    view::{self, Replay},
    watching::watchers::{Following, Notice},
};

/// How often a stream renews its wish to be told. The lane answers with the number of the saga's last record.
const RENEW_EVERY: Duration = Duration::from_secs(15);
/// How long a wish holds: three renewals, so that one may be lost.
const WATCH_FOR: TimeDelta = TimeDelta::seconds(45);
/// Comments in between keep proxies from closing a quiet stream.
pub(super) const HEARTBEAT_EVERY: Duration = Duration::from_secs(10);
/// Between attempts to read while the journal does not answer.
const READ_AGAIN: Duration = Duration::from_secs(1);
/// The pause asked of a caller, in seconds, while there are too many streams.
const FULL_RETRY_AFTER: u32 = 5;

/// The header that names the record after which a client takes up again.
pub(super) const LAST_EVENT_ID: &str = "last-event-id";

/// The saga that may be followed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    /// Only of this owner; the saga of another is answered as one that does not exist.
    owner: Option<String>,
}

/// Streams a saga's records, those after `Last-Event-ID` only, until it has ended. A reader that has seen the end gets
/// the one answer that makes it stop asking (WHATWG HTML, 9.2: 204).
pub(super) async fn stream(
    State(api): State<Api>,
    Path(id): Path<SagaId>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let sent = last_event_id(&headers)?;
    // Followed before the first read: what is committed in between is noticed.
    let following = api.shared.watchers.follow(id).ok_or_else(streams_exhausted)?;
    let stored = reads::stored(&api.shared, id).await?;
    if asked.owner.is_some() && stored.row.owner != asked.owner {
        return Err(problems::no_saga(id));
    }
    let head = stored.records.last().map_or(0, |record| record.seq);
    if sent > 0 && sent >= head && stored.row.status.is_final() {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let replay = Replay::new(Arc::clone(&api.shared.catalog), &stored.row);
    let summary = view::summary(&stored.row, None);
    let (ready, renew_at) = (VecDeque::new(), Instant::now());
    let mut stream = Stream { api, following, replay, summary, sent, ready, renew_at, ended: false };
    stream.take(&stored.records);
    if !stream.ended {
        stream.renew().await;
    }
    let events = stream::unfold(stream, |mut stream| async move {
        let event = stream.next().await?;
        Some((Ok::<_, std::convert::Infallible>(event), stream))
    });
    let heartbeat = KeepAlive::new().interval(HEARTBEAT_EVERY).text("waiting");
    Ok(Sse::new(events).keep_alive(heartbeat).into_response())
}

/// One client's stream.
struct Stream {
    api: Api,
    following: Following,
    replay: Replay,
    /// As of the last record.
    summary: SagaSummary,
    /// The last record that the client has.
    sent: u64,
    ready: VecDeque<Event>,
    renew_at: Instant,
    /// The saga's end is among what is ready, or was sent.
    ended: bool,
}

impl Stream {
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
                notice = self.following.next() => match notice {
                    Notice::Committed(record) if record.seq == self.replay.seq + 1 => {
                        self.take(std::slice::from_ref(&*record));
                    }
                    Notice::Committed(record) if record.seq <= self.replay.seq => {}
                    Notice::Head(head) if head <= self.replay.seq => {}
                    Notice::Committed(_) | Notice::Head(_) | Notice::Look => self.read().await,
                },
                () = tokio::time::sleep_until(self.renew_at) => self.renew().await,
            }
        }
    }

    /// Asks the saga's lane to tell this process of commits; it answers at once where the saga stands. A lane of this
    /// very process tells by itself.
    async fn renew(&mut self) {
        self.renew_at = Instant::now() + RENEW_EVERY;
        let (shared, saga_id) = (&self.api.shared, self.following.saga());
        if shared.lanes.owns(saga_id.shard(shared.shards)) {
            return;
        }
        let notify_to = shared.own_queue.as_str().to_owned();
        let watch = Watch { saga_id, notify_to, until: shared.clock.now() + WATCH_FOR };
        for result in shared.broker.publish(vec![wire::watch(&shared.queue_of(saga_id), &watch)]).await {
            if let Err(error) = result {
                tracing::debug!(%saga_id, %error, "a watch could not be sent; the next renewal will");
            }
        }
    }

    /// Reads what is new.
    async fn read(&mut self) {
        let (saga_id, known) = (self.following.saga(), self.replay.seq);
        let journal = Arc::clone(&self.api.shared.journal);
        // On a task of its own: a client that hangs up must not break a read off half-way.
        let read = tokio::spawn(async move { journal.read(Door::Reads, saga_id, known).await });
        match read.await {
            Ok(Ok(Some(stored))) => self.take(&stored.records),
            // It was there when the stream began, so its partition was dropped: nothing more will come.
            Ok(Ok(None)) => self.ended = true,
            Ok(Err(error)) => {
                tracing::debug!(%saga_id, error = kit::settings::error_chain(&error), "the stream waits");
                tokio::time::sleep(READ_AGAIN).await;
                self.api.shared.watchers.tell(saga_id, Notice::Look);
            }
            Err(error) => {
                tracing::error!(%saga_id, %error, "a read of the journal panicked");
                self.ended = true;
            }
        }
    }

    /// Replays what is new, and makes events of what the client has not seen.
    fn take(&mut self, records: &[Record]) {
        let known = self.replay.seq;
        for record in records.iter().filter(|record| record.seq > known) {
            let view = self.replay.record(record);
            if view.status != self.summary.status {
                self.summary.updated_at = view.at;
            }
            self.summary.status = view.status;
            self.summary.error = self.replay.error();
            self.summary.paused = self.replay.paused();
            self.summary.holds_until = self.replay.holds_until();
            self.summary.finished_at = view.status.is_final().then_some(view.at);
            if view.seq > self.sent {
                self.sent = view.seq;
                self.push(Event::default().event("record").id(view.seq.to_string()).json_data(&view));
            }
        }
        if self.summary.status.is_final() && !self.ended {
            self.ended = true;
            self.push(Event::default().event("end").json_data(&self.summary));
        }
    }

    fn push(&mut self, event: Result<Event, axum::Error>) {
        match event {
            Ok(event) => self.ready.push_back(event),
            Err(error) => tracing::error!(saga_id = %self.following.saga(), %error, "an event cannot be written"),
        }
    }
}

pub(super) fn streams_exhausted() -> ApiError {
    ApiError::unavailable("streams_exhausted", "too many event streams are open here", FULL_RETRY_AFTER)
}

fn last_event_id(headers: &HeaderMap) -> Result<u64, ApiError> {
    let Some(value) = headers.get(LAST_EVENT_ID) else { return Ok(0) };
    let seq = value.to_str().ok().map(str::trim).filter(|text| !text.is_empty());
    match seq.map(str::parse) {
        Some(Ok(seq)) => Ok(seq),
        Some(Err(_)) | None => {
            Err(ApiError::bad_request("last_event_id_invalid", "Last-Event-ID must be the number of a record"))
        }
    }
}
