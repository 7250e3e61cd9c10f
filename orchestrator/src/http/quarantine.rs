//! `GET /api/quarantine`, and releasing a saga that is left alone: its lane loads it again, and hears what was kept for it.

use axum::{extract::State, http::HeaderMap};
use contract::{
    Page, PageToken, SagaId,
    orchestrator_api::{QuarantinedSaga, SagaView},
    page::page_size,
};
use journal::{Door, Quarantined};
use kit::http::{ApiError, Json, Path, Query, page_token};
use serde::Deserialize;

use super::{Api, actions, operator, problems, reads};
use crate::{
    messages::{
        acts,
        dead_letters::{self, RedriveError},
    },
    shared::Shared,
};

/// The kept messages that a release sends again: the newest page of them, others stay among the dead letters.
const KEPT_MAX: u32 = 200;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    page_size: Option<u32>,
    page_token: Option<PageToken>,
}

/// The body of a release: the operator's reason.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Release {
    reason: String,
}

/// The sagas that are left alone, oldest first.
pub(super) async fn list(
    State(api): State<Api>,
    Query(Asked { page_size: asked, page_token: token }): Query<Asked>,
) -> Result<Json<Page<QuarantinedSaga>>, ApiError> {
    let limit = page_size(asked);
    let after = token.map(|token| page_token::read(&token, "quarantine")).transpose()?;
    // One more than asked for tells whether there is another page.
    let sagas = api.shared.journal.quarantined(after, limit + 1).await.map_err(|error| problems::journal(&error))?;
    let page = Page::cut(sagas, limit as usize, |last| page_token::write("quarantine", &last.saga_id));
    let shown = |Quarantined { saga_id, code, detail, since }| QuarantinedSaga { saga_id, code, detail, since };
    Ok(Json(page.map(shown)))
}

/// Releases a saga, and answers with it as it stands; a conflict when it still cannot go on.
pub(super) async fn release(
    State(api): State<Api>,
    Path(id): Path<SagaId>,
    headers: HeaderMap,
    Json(Release { reason }): Json<Release>,
) -> Result<Json<SagaView>, ApiError> {
    let operator = operator::read(&headers, &reason)?;
    let (actor, role) = (operator.actor.as_str(), operator.role.as_str());
    tracing::info!(saga_id = %id, actor, role, reason = operator.reason, "a saga that is left alone is released");
    let shared = &api.shared;
    actions::told(id, acts::release(shared, id).await)?;
    hear_what_was_kept(shared, id).await;
    reads::saga_view(shared, Door::Acts, id).await.map(Json)
}

/// Sends the messages again that the saga would have heard. One that cannot be sent stays among the dead letters.
async fn hear_what_was_kept(shared: &Shared, id: SagaId) {
    let queue = shared.queue_of(id);
    let letters = shared.journal.dead_letters(Door::Acts, Some(id), None, KEPT_MAX).await.unwrap_or_default();
    for letter in letters.iter().rev().filter(|letter| letter.redriven_at.is_none() && letter.queue == queue.as_str()) {
        if let Err(error) = send_again(shared, letter.id).await {
            tracing::warn!(saga_id = %id, letter = letter.id, %error, "a kept message could not be sent again");
        }
    }
}

async fn send_again(shared: &Shared, letter: i64) -> Result<(), RedriveError> {
    let kept = dead_letters::find(shared, letter).await?;
    dead_letters::publish_again(shared, kept.letter).await?;
    dead_letters::mark(shared, letter).await.map(drop)
}
