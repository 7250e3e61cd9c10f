//! The domain's reads, for the gateway.

use std::sync::Arc;

use axum::{Router, extract::State, http::StatusCode, routing::get};
use contract::{
    Page, StayOfferId,
    accommodation::{StayOffer, StaySearch},
    problem::FieldError,
};
use kit::{
    clock::Clock,
    http::{ApiError, Json, Path, Query},
};
use sqlx::PgPool;

use crate::{
    offer::{OfferError, find_offer},
    search::{Clockwork, SearchError, search},
    settings::Settings,
};

/// What the routes stand on.
#[derive(Clone)]
pub struct Reads {
    /// The domain's database.
    pub pool: PgPool,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// How long offers last.
    pub settings: Settings,
}

/// The routes, to be served under `/internal/accommodation`.
pub fn router(reads: Reads) -> Router {
    Router::new().route("/offers", get(search_offers)).route("/offers/{offer_id}", get(read_offer)).with_state(reads)
}

async fn search_offers(
    State(reads): State<Reads>,
    Query(wanted): Query<StaySearch>,
) -> Result<Json<Page<StayOffer>>, ApiError> {
    let clockwork = Clockwork { now: reads.clock.now(), offer_for: reads.settings.offer_for() };
    Ok(Json(search(&reads.pool, &wanted, clockwork).await?))
}

async fn read_offer(
    State(reads): State<Reads>,
    Path(offer_id): Path<StayOfferId>,
) -> Result<Json<StayOffer>, ApiError> {
    Ok(Json(find_offer(&reads.pool, offer_id, reads.clock.now()).await?))
}

impl From<OfferError> for ApiError {
    fn from(error: OfferError) -> Self {
        let detail = error.to_string();
        match error {
            OfferError::Unknown(_) => Self::not_found("offer_unknown", detail),
            OfferError::Expired(..) => {
                Self::new(StatusCode::GONE, "offer_expired", "The offer's time is over").detail(detail)
            }
            OfferError::Failed(error) => error.into(),
        }
    }
}

impl From<SearchError> for ApiError {
    fn from(error: SearchError) -> Self {
        let detail = error.to_string();
        let (code, field) = match error {
            SearchError::Place => ("place_missing", "place"),
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
