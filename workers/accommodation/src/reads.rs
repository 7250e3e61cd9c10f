//! The reads, for the gateway: a search makes offers, and an offer is read again by its id.

mod offer;
mod search;

use axum::{Router, extract::State, routing::get};
use contract::{
    Page,
    accommodation::{StayOffer, StaySearch},
    offer::StayOffers,
    problem::FieldError,
};
use kit::http::{ApiError, Json, Query};
use worker_runtime::{OfferQuery, OfferReads};

pub use offer::find_offer;
pub use search::{SearchError, search};

/// The routes, to be served under `/internal/accommodation`.
pub fn router(reads: OfferReads) -> Router {
    Router::new().route("/offers", get(search_offers)).route("/offer", get(read_offer)).with_state(reads)
}

async fn search_offers(
    State(reads): State<OfferReads>,
    Query(wanted): Query<StaySearch>,
) -> Result<Json<Page<StayOffer>>, ApiError> {
    Ok(Json(search(&reads, &wanted).await?))
}

async fn read_offer(
    State(reads): State<OfferReads>,
    Query(asked): Query<OfferQuery<StayOffers>>,
) -> Result<Json<StayOffer>, ApiError> {
    Ok(Json(find_offer(&reads, asked.offer_id).await?))
}

impl From<SearchError> for ApiError {
    fn from(error: SearchError) -> Self {
        let detail = error.to_string();
        let (code, field) = match error {
            SearchError::Place(_) => ("place_invalid", "place"),
            SearchError::PastDate(_) => ("date_in_past", "check_in"),
            SearchError::NoNights { .. } => ("stay_without_nights", "check_out"),
            SearchError::TooLong(_) => ("stay_too_long", "check_out"),
            SearchError::FarDate(_) => ("date_too_far", "check_out"),
            SearchError::Guests(_) => ("guests_out_of_range", "guests"),
            SearchError::PageToken(error) => return error.into(),
            SearchError::Failed(error) => return error.into(),
        };
        Self::unprocessable(code, detail.clone(), vec![FieldError { detail, pointer: format!("#/{field}") }])
    }
}
