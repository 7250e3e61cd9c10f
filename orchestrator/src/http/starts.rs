//! `POST /api/sagas` and `GET /api/starts`.

use std::time::Duration;

use axum::{
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use contract::{
    SagaId, card_number,
    orchestrator_api::{HEADER_ACTOR, SagaStarted, StartSaga},
    saga::SagaStatus,
};
use kit::http::{ApiError, Json, Query};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::{Api, problems};
use crate::{
    starts::start_saga::start_saga,
    watching::rest::{self, WAIT_MAX},
};

/// RFC 7240: how long the caller would wait for the saga's end.
const PREFER: HeaderName = HeaderName::from_static("prefer");
/// RFC 7240: that it was waited for.
const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// The answer to a start; with a status when the caller asked to wait for the end.
#[derive(Debug, Serialize)]
struct Started {
    #[serde(flatten)]
    started: SagaStarted,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<SagaStatus>,
}

/// Answers once the start is durable: 201 for a new saga, 200 for one that the same request had started before. With
/// `Prefer: wait=<seconds>` it answers when the saga has come to rest, or when the time is over, and says where the
/// saga stands.
pub(super) async fn start(
    State(api): State<Api>,
    headers: HeaderMap,
    Json(start): Json<StartSaga>,
) -> Result<Response, ApiError> {
    let begun = Instant::now();
    // What an operator writes has come through no other door; what a client writes has been read by the gateway.
    if headers.contains_key(HEADER_ACTOR) {
        refuse_card_number(&start)?;
    }
    let longest = preferred_wait(&headers);
    let (started, waiting) =
        start_saga(&api.shared, start, longest.is_some()).await.map_err(|refused| problems::start(&refused))?;
    let http_status = if started.created { StatusCode::CREATED } else { StatusCode::OK };
    let location = format!("/api/sagas/{}", started.saga_id);
    let status = match (longest, waiting) {
        (Some(longest), Some(waiting)) => {
            rest::wait_for_rest(&api.shared, waiting, started.created, begun + longest, &api.stop).await
        }
        (_, None) | (None, _) => None,
    };
    let mut response = (http_status, [(header::LOCATION, location)], Json(Started { started, status })).into_response();
    if status.is_some() {
        response.headers_mut().insert(PREFERENCE_APPLIED, HeaderValue::from_static("wait"));
    }
    Ok(response)
}

/// All text of a start is stored.
fn refuse_card_number(start: &StartSaga) -> Result<(), ApiError> {
    let texts = [
        ("#/business_key", Some(start.business_key.as_str())),
        ("#/owner", start.owner.as_deref()),
        ("#/idempotency/key", start.idempotency.as_ref().map(|key| key.key.as_str())),
    ];
    let in_text = texts.into_iter().find(|(_, text)| text.is_some_and(card_number::appears_in));
    let place = in_text.map(|(place, _)| place.to_owned()).or_else(|| card_number::place_in(&start.input, "#/input"));
    place.map_or(Ok(()), |place| Err(ApiError::card_number_refused(vec![place])))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WhichStart {
    name: String,
    key: String,
}

/// The start made under a key.
#[derive(Debug, Serialize)]
pub(super) struct FoundStart {
    saga_id: SagaId,
    business_key: String,
    fingerprint: String,
}

/// Looks a start up by its idempotency key, so that a caller can answer a repetition without starting anything.
pub(super) async fn find(
    State(api): State<Api>,
    Query(WhichStart { name, key }): Query<WhichStart>,
) -> Result<Json<FoundStart>, ApiError> {
    if name.contains('\0') || key.contains('\0') {
        return Err(ApiError::bad_request("query_invalid", "the name or the key has the character U+0000"));
    }
    let found = api.shared.journal.find_start(&name, &key).await.map_err(|error| problems::journal(&error))?;
    let found = found.ok_or_else(|| ApiError::not_found("start_unknown", "no start was made under this key"))?;
    let journal::ExistingStart { saga_id, business_key, fingerprint } = found;
    Ok(Json(FoundStart { saga_id, business_key, fingerprint }))
}

/// A preference that cannot be read is ignored, as the RFC says; one that is too long is cut.
fn preferred_wait(headers: &HeaderMap) -> Option<Duration> {
    let values = headers.get_all(PREFER).iter().filter_map(|value| value.to_str().ok());
    let mut preferences = values.flat_map(|value| value.split(',')).map(str::trim);
    let seconds = preferences.find_map(|one| one.strip_prefix("wait=")?.trim().parse::<u64>().ok())?;
    Some(Duration::from_secs(seconds).min(WAIT_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_to_wait_is_read_among_others_and_bounded() {
        let wait = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(PREFER, value.parse().unwrap());
            preferred_wait(&headers)
        };
        assert_eq!(wait("wait=5"), Some(Duration::from_secs(5)));
        assert_eq!(wait("respond-async, wait=5"), Some(Duration::from_secs(5)));
        assert_eq!(wait("wait=99999"), Some(WAIT_MAX));
        assert_eq!(wait("wait=soon"), None);
        assert_eq!(preferred_wait(&HeaderMap::new()), None);
    }
}
