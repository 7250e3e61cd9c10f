//! The reads, for the gateway: a search makes offers, and an offer is read again by its id.

mod offer;
mod search;

use axum::{Router, extract::State, routing::get};
use contract::{
    Page,
    flights::{FlightOffer, FlightSearch},
    offer::FlightOffers,
    problem::FieldError,
};
use kit::http::{ApiError, Json, Query};
use worker_runtime::{OfferQuery, OfferReads};

pub use offer::find_offer;
pub use search::{SearchError, search};

/// The routes, to be served under `/internal/flights`.
pub fn router(reads: OfferReads) -> Router {
    Router::new().route("/offers", get(search_offers)).route("/offer", get(read_offer)).with_state(reads)
}

async fn search_offers(
    State(reads): State<OfferReads>,
    Query(wanted): Query<FlightSearch>,
) -> Result<Json<Page<FlightOffer>>, ApiError> {
    Ok(Json(search(&reads, &wanted).await?))
}

async fn read_offer(
    State(reads): State<OfferReads>,
    Query(asked): Query<OfferQuery<FlightOffers>>,
) -> Result<Json<FlightOffer>, ApiError> {
    Ok(Json(find_offer(&reads, asked.offer_id).await?))
}

impl From<SearchError> for ApiError {
    fn from(error: SearchError) -> Self {
        let detail = error.to_string();
        let (code, field) = match error {
            SearchError::UnknownAirport { field, .. } => ("airport_unknown", field),
            SearchError::SamePlace => ("same_place", "to"),
            SearchError::PastDate { .. } => ("date_in_past", "date"),
            SearchError::FarDate(_) => ("date_too_far", "date"),
            SearchError::Passengers(_) => ("passengers_out_of_range", "passengers"),
            SearchError::PageToken(error) => return error.into(),
            SearchError::Failed(error) => return error.into(),
        };
        Self::unprocessable(code, detail.clone(), vec![FieldError { detail, pointer: format!("#/{field}") }])
    }
}
