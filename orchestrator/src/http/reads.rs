//! `GET /api/sagas/{id}`, its journal and what is personal in it, read straight from the journal by whichever orchestrator is asked.

use std::{collections::HashSet, sync::Arc};

use axum::{extract::State, http::HeaderMap};
use contract::{
    Page, PageToken, SagaId,
    orchestrator_api::{DeadLetterView, RecordView, SagaView},
    page::page_size,
};
use journal::{Door, Record, Stored};
use kit::http::{ApiError, Json, Path, Query, page_token};
use machine::Catalog;
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
    pub(super) order: RecordOrder,
    /// Only records before this one.
    pub(super) before: Option<u64>,
    /// Only entries of this kind, and records that have one.
    pub(super) entry: Option<String>,
    pub(super) page_size: Option<u32>,
    pub(super) page_token: Option<PageToken>,
}

/// The orders of a journal's records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum RecordOrder {
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
    let stored = stored(&api.shared, id).await?;
    records(&api.shared.catalog, &stored, &asked).map(Json)
}

/// The part of a journal that is asked for. Where a saga stood is the sum of all its records, so all are replayed; only those
/// that are shown are told.
pub(super) fn records(catalog: &Arc<Catalog>, stored: &Stored, asked: &Asked) -> Result<Page<RecordView>, ApiError> {
    let Asked { order, before, entry, .. } = asked;
    let listing = format!("journal of {} {order:?} {before:?} {entry:?}", stored.row.id);
    let last: Option<u64> = asked.page_token.as_ref().map(|token| page_token::read(token, &listing)).transpose()?;
    let before = before.unwrap_or(u64::MAX);
    let (after, before) = match order {
        RecordOrder::Oldest => (last.unwrap_or_default(), before),
        RecordOrder::Newest => (0, last.unwrap_or(before)),
    };
    let size = page_size(asked.page_size) as usize;
    let kind = entry.as_deref();
    let found = stored.records.iter().filter(|record| record.seq > after && record.seq < before);
    let found = found.filter(|record| kind.is_none_or(|kind| has(record, kind))).map(|record| record.seq);
    let shown: HashSet<u64> = match order {
        RecordOrder::Oldest => found.take(size + 1).collect(),
        RecordOrder::Newest => found.rev().take(size + 1).collect(),
    };
    let mut replay = Replay::new(Arc::clone(catalog), &stored.row);
    let views = stored.records.iter().filter_map(|record| {
        replay.pass(record);
        let view = shown.contains(&record.seq).then(|| replay.told(record))?;
        Some(only(kind, view))
    });
    let mut views: Vec<_> = views.collect();
    if *order == RecordOrder::Newest {
        views.reverse();
    }
    Ok(Page::cut(views, size, |last: &RecordView| page_token::write(&listing, &last.seq)))
}

/// True when an entry of the record is of that kind.
fn has(record: &Record, kind: &str) -> bool {
    record.entries.iter().any(|entry| serde_json::to_value(entry).is_ok_and(|entry| is(&entry, kind)))
}

fn is(entry: &Value, kind: &str) -> bool {
    entry.get("entry").and_then(Value::as_str) == Some(kind)
}

/// The record with its entries of that kind alone.
fn only(kind: Option<&str>, mut view: RecordView) -> RecordView {
    if let Some(kind) = kind {
        view.entries.retain(|entry| is(entry, kind));
    }
    view
}

/// A saga with its dead letters.
pub(super) async fn saga_view(shared: &Shared, door: Door, id: SagaId) -> Result<SagaView, ApiError> {
    let stored = shared.journal.read(door, id, 0).await.map_err(|error| problems::journal(&error))?;
    let stored = stored.ok_or_else(|| problems::no_saga(id))?;
    let letters = dead_letters(shared, door, id).await?;
    Ok(view::saga(&shared.catalog, &stored, letters))
}

/// The dead letters that are shown with a saga.
pub(super) async fn dead_letters(shared: &Shared, door: Door, id: SagaId) -> Result<Vec<DeadLetterView>, ApiError> {
    let letters = shared.journal.dead_letters(door, Some(id), None, DEAD_LETTERS_SHOWN_MAX).await;
    letters.map_err(|error| problems::journal(&error))
}

/// A saga as the journal holds it, or the problem to answer with.
pub(super) async fn stored(shared: &Shared, id: SagaId) -> Result<Stored, ApiError> {
    let stored = shared.journal.get(id).await.map_err(|error| problems::journal(&error))?;
    stored.ok_or_else(|| problems::no_saga(id))
}
