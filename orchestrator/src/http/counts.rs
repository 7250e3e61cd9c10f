//! `GET /api/counts`: how many sagas a listing would show, by definition, status and age.

use axum::extract::State;
use contract::orchestrator_api::SagaCounts;
use journal::Filter;
use kit::http::{ApiError, Json, Query};

use super::{Api, lists, problems};

/// The counts of the listing with the same parameters; those of its pages change nothing.
pub(super) async fn show(
    State(api): State<Api>,
    Query(asked): Query<lists::Asked>,
) -> Result<Json<SagaCounts>, ApiError> {
    let filter = match asked.one() {
        Some(id) => Filter { ids: vec![id], ..Filter::default() },
        None => lists::filter(asked)?,
    };
    let counts = api.shared.journal.count(&filter, api.shared.clock.now()).await;
    counts.map(Json).map_err(|error| problems::journal(&error))
}
