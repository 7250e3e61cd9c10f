//! `GET /v1/operations/{operation_id}/events`: the saga's records as they are committed, each as the operation's
//! public document. A client that lost its connection sends the last event's id and misses nothing.

use std::{convert::Infallible, time::Duration};

use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{
        IntoResponse as _, Response,
        sse::{Event, KeepAlive, Sse},
    },
    routing::on,
};
use contract::{SagaId, orchestrator_api::RecordView};
use eventsource_stream::Eventsource as _;
use futures::{Stream, StreamExt as _, stream};
use kit::http::{ApiError, Path};

use super::operations::operation_unknown;
use crate::{
    access::{Access, Caller},
    app::App,
    endpoint::{Endpoint, Limit, NO_BODY_BYTES_MAX, Verb},
    hop::Hop,
    streams::{LAST_EVENT_ID, until_ended},
    upstream::{Call, Part},
    views::Operation,
};

pub(crate) const FOLLOW: Endpoint = Endpoint {
    verb: Verb::Get,
    path: "/v1/operations/{operation_id}/events",
    access: Access::Client,
    limit: Limit::Stream,
    body_bytes_max: NO_BODY_BYTES_MAX,
    part: Part::Orchestrator,
    about: "follows an order live (server-sent events)",
    handler: |methods| on(methods, follow),
};

/// How often a silent stream gives a sign of life: below the minute after which middle boxes forget connections.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// How soon a reader that lost the stream should come back.
const COME_BACK: Duration = Duration::from_secs(1);

async fn follow(
    State(app): State<App>,
    caller: Caller,
    hop: Hop,
    headers: HeaderMap,
    Path(id): Path<SagaId>,
) -> Result<Response, ApiError> {
    let place = app.streams.take()?;
    let last: Option<u64> = headers.get(LAST_EVENT_ID).and_then(|value| value.to_str().ok()?.trim().parse().ok());
    let mut call = Call::get(format!("/api/sagas/{id}/events?owner={}", caller.user_id));
    call.headers.insert(header::ACCEPT, HeaderValue::from_static("text/event-stream"));
    if let Some(last) = last {
        call.headers.insert(LAST_EVENT_ID, HeaderValue::from(last));
    }
    let response = app.orchestrator.open(&hop, call).await?;
    match response.status() {
        StatusCode::OK => {}
        // A reader that has seen the end is told to stop.
        StatusCode::NO_CONTENT => return Ok(StatusCode::NO_CONTENT.into_response()),
        StatusCode::NOT_FOUND => return Err(operation_unknown(id)),
        status => {
            tracing::error!(%status, "the orchestrator did not open a stream");
            return Err(ApiError::unavailable(
                "service_unavailable",
                "the orchestrator service does not stream right now",
                1,
            ));
        }
    }
    let events = told(response.bytes_stream().eventsource(), id);
    let first = stream::once(async { Ok(Event::default().retry(COME_BACK)) });
    let ended = until_ended(&app.stopping);
    let events = first.chain(events).take_until(ended).map(move |event| {
        // The place is free again when the stream is dropped.
        let _held = &place;
        event
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response())
}

/// Turns the orchestrator's events into the client's. Anything that breaks ends the stream: the reader comes back.
fn told<E: std::fmt::Display>(
    events: impl Stream<Item = Result<eventsource_stream::Event, E>> + Unpin,
    id: SagaId,
) -> impl Stream<Item = Result<Event, Infallible>> {
    stream::unfold(Some(events), move |state| async move {
        let mut events = state?;
        loop {
            match events.next().await? {
                Ok(event) => match tell(id, &event) {
                    Told::Event(event) => return Some((Ok(event), Some(events))),
                    Told::End(event) => return Some((Ok(event), None)),
                    Told::Nothing => {}
                    Told::Broken => return None,
                },
                Err(error) => {
                    tracing::debug!(saga_id = %id, %error, "a stream of events broke off");
                    return None;
                }
            }
        }
    })
}

enum Told {
    Event(Event),
    End(Event),
    Nothing,
    Broken,
}

fn tell(id: SagaId, event: &eventsource_stream::Event) -> Told {
    match event.event.as_str() {
        "record" => tell_record(id, event),
        "end" => Told::End(Event::default().event("end").data("{}")),
        _ => Told::Nothing,
    }
}

fn tell_record(id: SagaId, event: &eventsource_stream::Event) -> Told {
    let record: RecordView = match serde_json::from_str(&event.data) {
        Ok(record) => record,
        Err(error) => {
            tracing::error!(saga_id = %id, %error, "the orchestrator sent a record that does not read");
            return Told::Broken;
        }
    };
    let operation = Operation::new(id, record.status, &record.steps, record.cause.as_ref());
    let event = Event::default().id(record.seq.to_string()).event("operation");
    event.json_data(&operation).map_or(Told::Broken, Told::Event)
}
