//! `GET /api/audit` and `GET /api/audit/verification`: what operators did, and the proof that it is all there.

use axum::extract::State;
use contract::{
    Page, PageToken,
    orchestrator_api::{AUDIT_HASH_NONE, AuditBreak, AuditHead, AuditRecord, AuditVerification, find_break},
    page::page_size,
};
use journal::AuditFilter;
use kit::http::{ApiError, Json, Query, page_token};
use serde::Deserialize;

use super::{Api, problems};

/// The rows of one verification: a fraction of a second of hashing, and a few hundred kilobytes.
const ROWS_MAX: u32 = 1_000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    actor: Option<String>,
    target: Option<String>,
    act: Option<String>,
    page_size: Option<u32>,
    page_token: Option<PageToken>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Part {
    /// The row after which to begin; the first row is the first when absent.
    after: Option<u64>,
}

/// The rows, newest first.
pub(super) async fn list(
    State(api): State<Api>,
    Query(Asked { actor, target, act, page_size: asked, page_token: token }): Query<Asked>,
) -> Result<Json<Page<AuditRecord>>, ApiError> {
    let texts = [&actor, &target, &act];
    if texts.into_iter().flatten().any(|text| text.contains('\0')) {
        return Err(ApiError::bad_request("query_invalid", "a filter has U+0000"));
    }
    let (filter, size) = (AuditFilter { actor, target, act }, page_size(asked));
    let listing = format!("audit log {filter:?}");
    let before = token.map(|token| page_token::read(&token, &listing)).transpose()?;
    let rows = api.shared.journal.audit_list(&filter, before, size + 1).await;
    let rows = rows.map_err(|error| problems::journal(&error))?;
    Ok(Json(Page::cut(rows, size as usize, |last| page_token::write(&listing, &last.number))))
}

/// Checks the chain after a row, as far as one request goes.
pub(super) async fn verify(
    State(api): State<Api>,
    Query(Part { after }): Query<Part>,
) -> Result<Json<AuditVerification>, ApiError> {
    let journal = &api.shared.journal;
    let after = after.unwrap_or_default();
    // The head first: what is appended meanwhile is past it and breaks nothing.
    let head = journal.audit_head().await.map_err(|error| problems::journal(&error))?;
    let rows = journal.audit_from(after, ROWS_MAX + 1).await.map_err(|error| problems::journal(&error))?;
    let start = rows.first().filter(|row| row.number == after);
    let (hash, rows) = match start {
        Some(row) => (row.hash.clone(), &rows[1..]),
        None => (AUDIT_HASH_NONE.to_owned(), &rows[..]),
    };
    let shown = &rows[..rows.len().min(ROWS_MAX as usize)];
    let last = shown.last().map_or(after, |row| row.number);
    let broken = if start.is_none() && after > 0 {
        Some(AuditBreak { number: after, detail: "the row is missing".to_owned() })
    } else {
        find_break(&AuditHead { number: after, hash }, shown, &head, shown.len() < ROWS_MAX as usize)
    };
    let begins_with = start.map(|row| row.hash.clone());
    let more = broken.is_none() && shown.len() == ROWS_MAX as usize;
    let next_after = more.then_some(last);
    Ok(Json(AuditVerification { begins_with, checked: shown.len() as u64, head, broken, next_after }))
}
