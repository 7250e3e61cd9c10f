//! `GET /api/dead-letters` and sending one again.

use axum::{extract::State, http::HeaderMap};
use chrono::{DateTime, SecondsFormat, Utc};
use contract::{Page, PageToken, SagaId, orchestrator_api::DeadLetterView, page::page_size, saga::Action};
use journal::{Door, KeptDeadLetter};
use kit::http::{ApiError, Json, Path, Query, page_token};
use serde::Deserialize;

use super::{Api, actions, operator, problems};
use crate::messages::{
    acts::AskedAct,
    dead_letters::{self, RedriveError},
};

/// The pause asked of a caller, in seconds, while the broker does not take messages.
const BROKER_RETRY_AFTER: u32 = 5;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    saga_id: Option<SagaId>,
    page_size: Option<u32>,
    page_token: Option<PageToken>,
}

/// The body of a redrive: the operator's reason.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Redrive {
    reason: String,
}

/// The letters of all sagas or of one, newest first.
pub(super) async fn list(
    State(api): State<Api>,
    Query(asked): Query<Asked>,
) -> Result<Json<Page<DeadLetterView>>, ApiError> {
    let listing = format!("dead letters of {:?}", asked.saga_id);
    let before = asked.page_token.map(|token| page_token::read(&token, &listing)).transpose()?;
    let size = page_size(asked.page_size);
    let letters = api.shared.journal.dead_letters(Door::Reads, asked.saga_id, before, size + 1).await;
    let letters = letters.map_err(|error| problems::journal(&error))?;
    Ok(Json(Page::cut(letters, size as usize, |last| page_token::write(&listing, &last.id))))
}

/// Sends a letter again, once. For a command that is a retry of its step, journaled like any other.
pub(super) async fn redrive(
    State(api): State<Api>,
    Path(id): Path<i64>,
    headers: HeaderMap,
    Json(Redrive { reason }): Json<Redrive>,
) -> Result<Json<DeadLetterView>, ApiError> {
    let operator = operator::read(&headers, &reason)?;
    let (actor, role) = (operator.actor.as_str(), operator.role.as_str());
    tracing::info!(letter = id, actor, role, reason = operator.reason, "a dead letter is sent again");
    let KeptDeadLetter { letter, view } =
        dead_letters::find(&api.shared, id).await.map_err(|error| failed(id, &error))?;
    if let Some(at) = view.redriven_at {
        let detail = format!("the letter was sent again at {}; had it died once more, it would be a new one", time(at));
        return Err(ApiError::conflict("dead_letter_redriven", detail));
    }
    match dead_letters::step_of(&letter) {
        Some((saga_id, step)) => {
            let action = Action::Retry { step: Some(step) };
            let retry = AskedAct { saga_id, action, operator, request_id: None, if_head: None };
            actions::carry_out(&api, retry).await?;
        }
        None => dead_letters::publish_again(&api.shared, letter).await.map_err(|error| failed(id, &error))?,
    }
    dead_letters::mark(&api.shared, id).await.map(Json).map_err(|error| {
        tracing::warn!(letter = id, error = kit::settings::error_chain(&error), "a redrive could not be noted");
        // It is done: this must not look like a call that changed nothing.
        let detail = "the letter was sent again, which could not be noted";
        ApiError::unavailable("journal_unavailable", detail, BROKER_RETRY_AFTER)
    })
}

fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn failed(id: i64, error: &RedriveError) -> ApiError {
    match error {
        RedriveError::Unknown(_) => ApiError::not_found("dead_letter_unknown", error.to_string()),
        RedriveError::NoExchange => ApiError::conflict("dead_letter_exchange_unknown", error.to_string()),
        RedriveError::Journal(error) => problems::journal(error),
        RedriveError::Publish(error) => {
            tracing::warn!(letter = id, %error, "a dead letter could not be sent again");
            ApiError::unavailable("broker_unavailable", "the broker does not take the letter", BROKER_RETRY_AFTER)
        }
    }
}
