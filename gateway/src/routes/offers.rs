//! Searches: the query is read for its shape here, so that a wrong one costs no domain anything, and answered there.

use axum::{
    extract::{RawQuery, State},
    http::StatusCode,
    routing::on,
};
use contract::{
    Page, Route,
    accommodation::{StayOffer, StaySearch},
    flights::{FlightOffer, FlightSearch},
};
use kit::http::{ApiError, Json, Query};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    access::Access,
    app::App,
    endpoint::{Endpoint, Limit, NO_BODY_BYTES_MAX, Verb},
    hop::Hop,
    upstream::{Call, Part, Upstream},
};

pub(crate) const FLIGHTS: Endpoint = Endpoint {
    verb: Verb::Get,
    path: "/v1/flights/offers",
    access: Access::Public,
    limit: Limit::Read,
    body_bytes_max: NO_BODY_BYTES_MAX,
    part: Part::Domain(Route::Flights),
    about: "searches flights",
    handler: |methods| on(methods, flights),
};

pub(crate) const STAYS: Endpoint = Endpoint {
    verb: Verb::Get,
    path: "/v1/stays/offers",
    access: Access::Public,
    limit: Limit::Read,
    body_bytes_max: NO_BODY_BYTES_MAX,
    part: Part::Domain(Route::Accommodation),
    about: "searches stays",
    handler: |methods| on(methods, stays),
};

async fn flights(
    State(app): State<App>,
    hop: Hop,
    _: Query<FlightSearch>,
    RawQuery(query): RawQuery,
) -> Result<Json<Page<FlightOffer>>, ApiError> {
    search(app.domain(Route::Flights), &hop, "/internal/flights/offers", query).await
}

async fn stays(
    State(app): State<App>,
    hop: Hop,
    _: Query<StaySearch>,
    RawQuery(query): RawQuery,
) -> Result<Json<Page<StayOffer>>, ApiError> {
    search(app.domain(Route::Accommodation), &hop, "/internal/accommodation/offers", query).await
}

async fn search<T: Serialize + DeserializeOwned>(
    domain: &Upstream,
    hop: &Hop,
    path: &str,
    query: Option<String>,
) -> Result<Json<Page<T>>, ApiError> {
    let response = domain.call(hop, Call::get(format!("{path}?{}", query.unwrap_or_default()))).await?;
    match response.status {
        StatusCode::OK => Ok(Json(response.json()?)),
        StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND | StatusCode::UNPROCESSABLE_ENTITY => Err(response.problem()),
        _ => Err(response.unexpected().into()),
    }
}
