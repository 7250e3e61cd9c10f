//! `GET /api/sagas`: the listing in one of its orders, filtered by indexed columns, and by holds.

use axum::extract::State;
use chrono::{DateTime, Utc};
use contract::{
    Attributes, Page, PageToken, SagaId, StepName,
    orchestrator_api::{SAGA_IDS_MAX, SagaOrder, SagaSummary},
    page::page_size,
    saga::SagaStatus,
};
use journal::{Filter, Listed, Order, Place};
use kit::http::{ApiError, Json, Query, page_token};
use serde::Deserialize;

use super::{Api, problems};
use crate::{starts::fields::BUSINESS_KEY_BYTES_MAX, view};

/// The parameters of a listing.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    /// One status, or several with commas between.
    status: Option<String>,
    name: Option<String>,
    version: Option<u32>,
    business_key: Option<String>,
    owner: Option<String>,
    /// A step and a code, as in the `error` column.
    error: Option<String>,
    step: Option<StepName>,
    /// Only those that are paused.
    #[serde(default)]
    paused: bool,
    /// Only the children of this saga.
    parent: Option<SagaId>,
    /// One id, or several with commas between.
    ids: Option<String>,
    /// Search attributes, with commas between: `departs_on:2026-12-24`.
    attributes: Option<String>,
    /// A saga's id, or a business key.
    q: Option<String>,
    created_after: Option<DateTime<Utc>>,
    created_before: Option<DateTime<Utc>>,
    finished_after: Option<DateTime<Utc>>,
    finished_before: Option<DateTime<Utc>>,
    holds_before: Option<DateTime<Utc>>,
    #[serde(default)]
    sort: SagaOrder,
    /// Only sagas older than this one: for a caller that pages by itself.
    before: Option<SagaId>,
    /// Only sagas newer than this one.
    after: Option<SagaId>,
    page_size: Option<u32>,
    page_token: Option<PageToken>,
}

impl Asked {
    /// The saga that is asked for by its id.
    pub(super) fn one(&self) -> Option<SagaId> {
        self.q.as_deref().and_then(|q| q.trim().parse().ok())
    }
}

/// One page of the listing; `q` with a saga's id finds that saga alone.
pub(super) async fn list(
    State(api): State<Api>,
    Query(asked): Query<Asked>,
) -> Result<Json<Page<SagaSummary>>, ApiError> {
    let limit = page_size(asked.page_size);
    let token = asked.page_token.clone();
    let (before, after) = (asked.before, asked.after);
    let one = asked.one();
    let mut filter = filter(asked)?;
    let described = format!("{filter:?}");
    (filter.before, filter.after) = (before, after);
    if let Some(token) = token {
        let (id, at): (SagaId, Option<DateTime<Utc>>) = page_token::read(&token, &described)?;
        match filter.order {
            Order::Newest => filter.before = Some(id),
            Order::Oldest => filter.after = Some(id),
            Order::Ended | Order::HoldsUntil => filter.behind = at.map(|at| (at, id)),
        }
    }
    if let Some(id) = one {
        // An id names its saga by itself: the other filters would only hide it.
        let found = api.shared.journal.get(id).await.map_err(|error| problems::journal(&error))?;
        let items = found.iter().map(|stored| view::saga(&api.shared.catalog, stored, Vec::new()).summary).collect();
        return Ok(Json(Page::only(items)));
    }
    let listing = api.shared.journal.list(&filter, limit).await.map_err(|error| problems::journal(&error))?;
    let next = listing.next.map(|Place { id, holds_until, finished_at }| match filter.order {
        Order::Newest | Order::Oldest => (id, None),
        Order::Ended => (id, finished_at),
        Order::HoldsUntil => (id, holds_until),
    });
    let next_page_token = next.map(|last| page_token::write(&described, &last));
    let items = listing.sagas.iter().map(|Listed { row, holds_until }| view::summary(row, *holds_until));
    Ok(Json(Page { items: items.collect(), next_page_token }))
}

/// The conditions that are asked for, without a page's place.
pub(super) fn filter(asked: Asked) -> Result<Filter, ApiError> {
    let statuses = match asked.status.as_deref() {
        None | Some("") => Vec::new(),
        Some(words) => words.split(',').map(status).collect::<Result<_, _>>()?,
    };
    let ids = match asked.ids.as_deref() {
        None | Some("") => Vec::new(),
        Some(words) => words
            .split(',')
            .map(|word| word.trim().parse())
            .collect::<Result<Vec<SagaId>, _>>()
            .map_err(|error| ApiError::bad_request("query_invalid", error.to_string()))?,
    };
    let attributes: Attributes = match asked.attributes.as_deref().unwrap_or_default().parse() {
        Ok(attributes) => attributes,
        Err(error) => return Err(ApiError::bad_request("query_invalid", format!("`attributes`: {error}"))),
    };
    if ids.len() > SAGA_IDS_MAX {
        return Err(ApiError::bad_request("query_invalid", format!("`ids` are more than {SAGA_IDS_MAX}")));
    }
    for (name, value) in [
        ("name", &asked.name),
        ("business_key", &asked.business_key),
        ("owner", &asked.owner),
        ("error", &asked.error),
        ("q", &asked.q),
    ] {
        if value.as_ref().is_some_and(|value| value.len() > BUSINESS_KEY_BYTES_MAX || value.contains('\0')) {
            let detail = format!("`{name}` is longer than {BUSINESS_KEY_BYTES_MAX} bytes or has U+0000");
            return Err(ApiError::bad_request("query_invalid", detail));
        }
    }
    let q = asked.q.map(|q| q.trim().to_owned()).filter(|q| !q.is_empty());
    let business_key = asked.business_key.filter(|text| !text.is_empty());
    Ok(Filter {
        statuses,
        name: asked.name.filter(|text| !text.is_empty()),
        version: asked.version,
        business_key: business_key.or(q),
        owner: asked.owner.filter(|text| !text.is_empty()),
        error: asked.error.filter(|text| !text.is_empty()),
        step: asked.step,
        paused: asked.paused,
        parent: asked.parent,
        ids,
        attributes,
        created_after: asked.created_after,
        created_before: asked.created_before,
        finished_after: asked.finished_after,
        finished_before: asked.finished_before,
        holds_before: asked.holds_before,
        order: match asked.sort {
            SagaOrder::Newest => Order::Newest,
            SagaOrder::Oldest => Order::Oldest,
            SagaOrder::Ended => Order::Ended,
            SagaOrder::HoldsUntil => Order::HoldsUntil,
        },
        ..Filter::default()
    })
}

fn status(word: &str) -> Result<SagaStatus, ApiError> {
    SagaStatus::ALL.into_iter().find(|status| status.as_str() == word.trim()).ok_or_else(|| {
        let known: Vec<_> = SagaStatus::ALL.iter().map(|status| status.as_str()).collect();
        let word: String = word.chars().take(40).collect();
        ApiError::bad_request("status_unknown", format!("`{word}` is no status; there are {}", known.join(", ")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_statuses_are_read_and_a_wrong_one_is_named_with_the_right_ones() {
        let asked = |words: &str| Asked { status: Some(words.to_owned()), ..Asked::default() };
        let both = filter(asked("running, needs_attention")).unwrap();
        assert_eq!(both.statuses, [SagaStatus::Running, SagaStatus::NeedsAttention]);
        assert_eq!(filter(asked("runing")).unwrap_err().code(), "status_unknown");
        assert!(filter(asked("")).unwrap().statuses.is_empty());
    }
}
