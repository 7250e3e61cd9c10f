//! `GET /api/sagas/{id}/export` and `GET /api/exports`: history in the form in which it leaves the journal.

use axum::{
    extract::State,
    http::header,
    response::{IntoResponse as _, Response},
};
use contract::{Page, SagaId, limits::PAGE_SIZE_MAX, orchestrator_api::RetiredWeek};
use kit::http::{ApiError, Json, Path};

use super::{Api, problems};

/// One saga with its journal, as a line of an export.
pub(super) async fn one(State(api): State<Api>, Path(id): Path<SagaId>) -> Result<Response, ApiError> {
    let line = api.shared.journal.export(id).await.map_err(|error| problems::journal(&error))?;
    let line = line.ok_or_else(|| problems::no_saga(id))?;
    Ok(([(header::CONTENT_TYPE, "application/json")], line).into_response())
}

/// The weeks that left the journal in the last four years, newest first, on one page.
pub(super) async fn list(State(api): State<Api>) -> Result<Json<Page<RetiredWeek>>, ApiError> {
    let weeks = api.shared.journal.retired(PAGE_SIZE_MAX).await.map_err(|error| problems::journal(&error))?;
    Ok(Json(Page::only(weeks)))
}
