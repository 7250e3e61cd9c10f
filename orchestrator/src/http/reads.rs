//! `GET /api/sagas/{id}` and its journal, read straight from the journal by whichever orchestrator is asked.

use std::sync::Arc;

use axum::extract::State;
use contract::{
    Page, SagaId,
    orchestrator_api::{RecordView, SagaView},
};
use journal::Stored;
use kit::http::{ApiError, Json, Path};

use super::{Api, problems};
use crate::{
    shared::Shared,
    view::{self, Replay},
};

/// Dead letters shown with a saga. More than a handful means that every attempt dies the same way.
const DEAD_LETTERS_SHOWN_MAX: u32 = 50;

/// A saga as it stands.
pub(super) async fn show(State(api): State<Api>, Path(id): Path<SagaId>) -> Result<Json<SagaView>, ApiError> {
    saga_view(&api.shared, id).await.map(Json)
}

/// Every record of a saga, and where it stood after each.
pub(super) async fn journal(
    State(api): State<Api>,
    Path(id): Path<SagaId>,
) -> Result<Json<Page<RecordView>>, ApiError> {
    let stored = stored(&api.shared, id).await?;
    let mut replay = Replay::new(Arc::clone(&api.shared.catalog), &stored.row);
    let items = stored.records.iter().map(|record| replay.record(record)).collect();
    Ok(Json(Page::only(items)))
}

/// A saga with its dead letters.
pub(super) async fn saga_view(shared: &Shared, id: SagaId) -> Result<SagaView, ApiError> {
    let stored = stored(shared, id).await?;
    let letters = shared.journal.dead_letters(Some(id), DEAD_LETTERS_SHOWN_MAX).await;
    let letters = letters.map_err(|error| problems::journal(&error))?;
    Ok(view::saga(&shared.catalog, &stored, letters))
}

/// A saga as the journal holds it, or the problem to answer with.
pub(super) async fn stored(shared: &Shared, id: SagaId) -> Result<Stored, ApiError> {
    let stored = shared.journal.get(id).await.map_err(|error| problems::journal(&error))?;
    stored.ok_or_else(|| problems::no_saga(id))
}
