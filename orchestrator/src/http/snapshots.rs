//! `GET /api/sagas/{id}/snapshot`: what a page shows of a saga, of one moment and from one reading of its journal.

use axum::extract::State;
use contract::{SagaId, orchestrator_api::SagaSnapshot};
use journal::Door;
use kit::http::{ApiError, Json, Path, Query};
use serde::Deserialize;

use super::{
    Api, problems,
    reads::{self, RecordOrder},
};
use crate::{explain, timeline, view};

/// The parameters of a snapshot.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    /// True for the last records too.
    #[serde(default)]
    records: bool,
    /// Of the records, only those before this one.
    before: Option<u64>,
    /// Of the records, only entries of this kind.
    entry: Option<String>,
    page_size: Option<u32>,
}

/// The saga, why it is not moving, and the time that it spent.
pub(super) async fn show(
    State(api): State<Api>,
    Path(id): Path<SagaId>,
    Query(Asked { records, before, entry, page_size }): Query<Asked>,
) -> Result<Json<SagaSnapshot>, ApiError> {
    let shared = &api.shared;
    let stored = reads::stored(shared, id).await?;
    let explained = async { explain::explain_read(shared, stored).await.map_err(|error| problems::journal(&error)) };
    let letters = reads::dead_letters(shared, Door::Reads, id);
    let ((explanation, stored), letters) = futures::try_join!(explained, letters)?;
    let newest = reads::Asked { order: RecordOrder::Newest, before, entry, page_size, page_token: None };
    Ok(Json(SagaSnapshot {
        saga: view::saga(&shared.catalog, &stored, letters),
        explanation,
        timeline: timeline::timeline(&stored),
        journal: records.then(|| reads::records(&shared.catalog, &stored, &newest)).transpose()?,
    }))
}
