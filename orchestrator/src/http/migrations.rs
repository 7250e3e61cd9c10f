//! `GET /api/migrations`: which running sagas another version of their definition could take over, and what is in the way of
//! the others. It only reads.

use axum::extract::State;
use contract::{
    Page, PageToken, SagaId,
    orchestrator_api::{MigrationView, PLANS_MAX},
    page::page_size,
    saga::SagaStatus,
};
use journal::{Filter, JournalError, Listed, SagaRow};
use kit::http::{ApiError, Json, Query, page_token};
use machine::Definition;
use serde::Deserialize;

use super::{Api, problems};
use crate::{
    saga_instance::{Parked, SagaInstance},
    view,
};

/// The parameters of a dry run.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    name: String,
    /// The version that is to take them over.
    to: u32,
    page_size: Option<u32>,
    page_token: Option<PageToken>,
}

/// One page of the sagas that have not ended and are of another version.
pub(super) async fn list(
    State(api): State<Api>,
    Query(asked): Query<Asked>,
) -> Result<Json<Page<MigrationView>>, ApiError> {
    let Asked { name, to, .. } = &asked;
    let Some(definition) = api.shared.catalog.get(name, *to) else {
        return Err(ApiError::not_found("definition_unknown", format!("there is no `{name}` version {to} here")));
    };
    let described = format!("{name} {to}");
    let before = asked.page_token.as_ref().map(|token| page_token::read::<SagaId>(token, &described)).transpose()?;
    let statuses = SagaStatus::ALL.into_iter().filter(|status| !status.is_final()).collect();
    let filter = Filter { statuses, name: Some(name.clone()), before, ..Filter::default() };
    // Each is read with its whole journal.
    let limit = page_size(asked.page_size).min(u32::try_from(PLANS_MAX).unwrap_or(u32::MAX));
    let listing = api.shared.journal.list(&filter, limit).await.map_err(|error| problems::journal(&error))?;
    let mut items = Vec::new();
    for Listed { row, holds_until } in listing.sagas.iter().filter(|listed| listed.row.version != *to) {
        let obstacles = obstacles(&api, definition, row).await?;
        items.extend(obstacles.map(|obstacles| MigrationView { summary: view::summary(row, *holds_until), obstacles }));
    }
    let next_page_token = listing.next.map(|last| page_token::write(&described, &last.id));
    Ok(Json(Page { items, next_page_token }))
}

/// The obstacles to one saga's migration, in words; none for a saga that is gone.
async fn obstacles(api: &Api, to: &Definition, row: &SagaRow) -> Result<Option<Vec<String>>, ApiError> {
    let stored = match api.shared.journal.get(row.id).await {
        Ok(Some(stored)) => Ok(stored),
        Ok(None) => return Ok(None),
        Err(
            error @ (JournalError::BrokenRow { .. } | JournalError::Damaged { .. } | JournalError::NewerReader { .. }),
        ) => Err(Parked::broken(&error)),
        Err(error) => return Err(problems::journal(&error)),
    };
    let found = stored.and_then(|stored| SagaInstance::restore(&api.shared.catalog, &stored)).and_then(|saga| {
        let found = || machine::obstacles(&saga.definition, to, &saga.state);
        machine::catch_panic(found).map_err(Parked::MachineFailed)
    });
    Ok(Some(match found {
        Ok(found) => found.iter().map(ToString::to_string).collect(),
        Err(parked) => vec![parked.to_string()],
    }))
}
