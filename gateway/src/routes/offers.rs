//! Searches: the query is read for its shape here, so that a wrong one costs no domain anything, and answered there.

use axum::{
    extract::{RawQuery, State},
    http::StatusCode,
};
use contract::{
    Page,
    accommodation::{StayOffer, StaySearch},
    flights::{FlightOffer, FlightSearch},
};
use kit::http::{ApiError, Json, Query};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    door::Door,
    guard::Hop,
    upstream::{Call, Upstream},
};

/// `GET /v1/flights/offers`.
pub(crate) async fn flights(
    State(door): State<Door>,
    hop: Hop,
    _: Query<FlightSearch>,
    RawQuery(query): RawQuery,
) -> Result<Json<Page<FlightOffer>>, ApiError> {
    search(&door.flights, &hop, "/internal/flights/offers", query).await
}

/// `GET /v1/stays/offers`.
pub(crate) async fn stays(
    State(door): State<Door>,
    hop: Hop,
    _: Query<StaySearch>,
    RawQuery(query): RawQuery,
) -> Result<Json<Page<StayOffer>>, ApiError> {
    search(&door.accommodation, &hop, "/internal/accommodation/offers", query).await
}

async fn search<T: Serialize + DeserializeOwned>(
    domain: &Upstream,
    hop: &Hop,
    path: &str,
    query: Option<String>,
) -> Result<Json<Page<T>>, ApiError> {
    let answer = domain.call(hop, Call::get(format!("{path}?{}", query.unwrap_or_default()))).await?;
    match answer.status {
        StatusCode::OK => Ok(Json(answer.json()?)),
        StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND | StatusCode::UNPROCESSABLE_ENTITY => Err(answer.problem()),
        _ => Err(answer.unexpected().into()),
    }
}
