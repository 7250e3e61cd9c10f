//! `GET /api/sagas/{id}/difference`: what some of a saga's records changed in its document.

use std::sync::Arc;

use axum::extract::State;
use contract::{SagaId, orchestrator_api::JournalDifference};
use kit::http::{ApiError, Json, Path, Query};
use serde::Deserialize;
use serde_json::Value;

use super::{Api, reads};
use crate::view::Replay;

/// The records that are compared.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    /// The record after which the first document stood; 0 for before the first record.
    from: u64,
    /// The record after which the second document stood.
    to: u64,
}

/// The difference of the documents after two records, whichever of them came first.
pub(super) async fn show(
    State(api): State<Api>,
    Path(id): Path<SagaId>,
    Query(Asked { from, to }): Query<Asked>,
) -> Result<Json<JournalDifference>, ApiError> {
    let stored = reads::stored(&api.shared, id).await?;
    let head = stored.records.last().map_or(0, |record| record.seq);
    if let Some(unknown) = [from, to].into_iter().find(|seq| *seq > head) {
        let detail = format!("there is no record {unknown} of {id}; the last one is {head}");
        return Err(ApiError::not_found("record_unknown", detail));
    }
    let mut replay = Replay::new(Arc::clone(&api.shared.catalog), &stored.row);
    let (mut before, mut after) = (Value::Null, Value::Null);
    for record in &stored.records {
        replay.pass(record);
        for (seq, document) in [(from, &mut before), (to, &mut after)] {
            if record.seq == seq {
                *document = replay.document();
            } else if seq == 0 && record.seq == 1 {
                *document = replay.document_unbegun();
            }
        }
    }
    Ok(Json(JournalDifference { from, to, changes: machine::differences(&before, &after) }))
}
