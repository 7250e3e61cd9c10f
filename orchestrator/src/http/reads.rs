//! `GET /api/sagas/{id}`, its journal and what is personal in it, read straight from the journal by whichever orchestrator is asked.

use std::{collections::VecDeque, sync::Arc};

use axum::{extract::State, http::HeaderMap};
use contract::{
    Page, PageToken, SagaId,
    orchestrator_api::{RecordView, SagaView},
    page::page_size,
};
use journal::{Door, Stored};
use kit::http::{ApiError, Json, Path, Query, page_token};
use serde::Deserialize;
use serde_json::Value;

use super::{Api, operator, problems};
use crate::{
    shared::Shared,
    view::{self, Replay},
};

/// Dead letters shown with a saga. More than a handful means that every attempt dies the same way.
const DEAD_LETTERS_SHOWN_MAX: u32 = 50;

/// A saga as it stands.
pub(super) async fn show(State(api): State<Api>, Path(id): Path<SagaId>) -> Result<Json<SagaView>, ApiError> {
    saga_view(&api.shared, Door::Reads, id).await.map(Json)
}

/// The body of a reveal: the operator's reason.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Reveal {
    reason: String,
}

/// A saga as it stands, with what is personal in its input and its replies. The audit log has the request.
pub(super) async fn reveal(
    State(api): State<Api>,
    Path(id): Path<SagaId>,
    headers: HeaderMap,
    Json(Reveal { reason }): Json<Reveal>,
) -> Result<Json<SagaView>, ApiError> {
    operator::read(&headers, &reason)?;
    saga_view(&api.shared, Door::Reads, id).await.map(Json)
}

/// The part of a journal that is asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    #[serde(default)]
    order: RecordOrder,
    /// Only records before this one.
    before: Option<u64>,
    /// Only entries of this kind, and records that have one.
    entry: Option<String>,
    page_size: Option<u32>,
    page_token: Option<PageToken>,
}

/// The orders of a journal's records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RecordOrder {
    #[default]
    Oldest,
    Newest,
}

/// The records of a saga, and where it stood after each.
pub(super) async fn journal(
    State(api): State<Api>,
    Path(id): Path<SagaId>,
    Query(asked): Query<Asked>,
) -> Result<Json<Page<RecordView>>, ApiError> {
    let Asked { order, before, entry, .. } = &asked;
    let listing = format!("journal of {id} {order:?} {before:?} {entry:?}");
    let last: Option<u64> = asked.page_token.as_ref().map(|token| page_token::read(token, &listing)).transpose()?;
    let before = before.unwrap_or(u64::MAX);
    let (after, before) = match order {
        RecordOrder::Oldest => (last.unwrap_or_default(), before),
        RecordOrder::Newest => (0, last.unwrap_or(before)),
    };
    let size = page_size(asked.page_size) as usize;
    // Where a saga stood is the sum of all its records, so all are replayed, whichever are shown.
    let stored = stored(&api.shared, id).await?;
    let mut replay = Replay::new(Arc::clone(&api.shared.catalog), &stored.row);
    let views = stored.records.iter().map(|record| replay.record(record));
    let views =
        views.filter(|view| view.seq > after && view.seq < before).filter_map(|view| only(entry.as_deref(), view));
    let found = match order {
        RecordOrder::Oldest => views.take(size + 1).collect(),
        RecordOrder::Newest => {
            let mut newest = VecDeque::with_capacity(size + 1);
            for view in views {
                newest.truncate(size);
                newest.push_front(view);
            }
            newest.into()
        }
    };
    Ok(Json(Page::cut(found, size, |last: &RecordView| page_token::write(&listing, &last.seq))))
}

/// The record with its entries of that kind alone; none without any.
fn only(kind: Option<&str>, mut view: RecordView) -> Option<RecordView> {
    let Some(kind) = kind else { return Some(view) };
    view.entries.retain(|entry| entry.get("entry").and_then(Value::as_str) == Some(kind));
    (!view.entries.is_empty()).then_some(view)
}

/// A saga with its dead letters.
pub(super) async fn saga_view(shared: &Shared, door: Door, id: SagaId) -> Result<SagaView, ApiError> {
    let stored = shared.journal.read(door, id, 0).await.map_err(|error| problems::journal(&error))?;
    let stored = stored.ok_or_else(|| problems::no_saga(id))?;
    let letters = shared.journal.dead_letters(door, Some(id), None, DEAD_LETTERS_SHOWN_MAX).await;
    let letters = letters.map_err(|error| problems::journal(&error))?;
    Ok(view::saga(&shared.catalog, &stored, letters))
}

/// A saga as the journal holds it, or the problem to answer with.
pub(super) async fn stored(shared: &Shared, id: SagaId) -> Result<Stored, ApiError> {
    let stored = shared.journal.get(id).await.map_err(|error| problems::journal(&error))?;
    stored.ok_or_else(|| problems::no_saga(id))
}
