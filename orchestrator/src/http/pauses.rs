//! `/api/pauses`: the pauses of domains, definitions and steps. These routes begin, end and show them; the lanes apply them.

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use contract::{
    Page,
    orchestrator_api::{PAUSES_MAX, Pause, PauseRequest, PauseScope, PauseView},
    saga::PauseClock,
};
use futures::future::join_all;
use journal::PauseBegun;
use kit::http::{ApiError, Json, Path};
use machine::Operator;
use serde::Deserialize;

use super::{Api, operator, problems};
use crate::{messages::questions, shared::Shared};

/// The body of the end of a pause.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Why {
    reason: String,
}

/// The pauses in force, each with what the lanes know of it.
pub(super) async fn list(State(api): State<Api>) -> Result<Json<Page<PauseView>>, ApiError> {
    let pauses = api.shared.journal.pauses().await.map_err(|error| problems::journal(&error))?;
    let views = pauses.into_iter().map(|pause| view(&api.shared, pause));
    Ok(Json(Page::only(join_all(views).await)))
}

async fn view(shared: &Shared, pause: Pause) -> PauseView {
    let asked =
        (0..shared.shards).map(async |shard| (shard, questions::count_paused(shared, shard, &pause.scope).await));
    let (mut under_way, mut held_sagas, mut silent_shards) = (0, 0, Vec::new());
    for (shard, count) in join_all(asked).await {
        match count {
            Some(count) if count.known => {
                under_way += count.under_way;
                held_sagas += count.held_sagas;
            }
            Some(_) | None => silent_shards.push(shard),
        }
    }
    let quiescent = under_way == 0 && silent_shards.is_empty();
    PauseView { pause, clock: PauseClock::Freeze, under_way, held_sagas, silent_shards, quiescent }
}

/// Begins a pause. One that is in force already is answered, and not begun anew.
pub(super) async fn begin(
    State(api): State<Api>,
    headers: HeaderMap,
    Json(PauseRequest { scope, reason }): Json<PauseRequest>,
) -> Result<Response, ApiError> {
    let Operator { actor, role, reason } = operator::read(&headers, &reason)?;
    check(&api, &scope)?;
    let pause = Pause { scope, actor, role, reason, since: api.shared.clock.now() };
    let begun = api.shared.journal.begin_pause(&pause).await.map_err(|error| problems::journal(&error))?;
    let (status, pause) = match begun {
        PauseBegun::Begun => {
            tracing::info!(scope = %pause.scope, actor = pause.actor, "a pause begins");
            (StatusCode::CREATED, pause)
        }
        PauseBegun::Known(known) => (StatusCode::OK, known),
        PauseBegun::TooMany => {
            return Err(ApiError::conflict("pauses_exhausted", format!("{PAUSES_MAX} pauses are in force")));
        }
    };
    Ok((status, [(header::LOCATION, format!("/api/pauses/{}", pause.scope))], Json(pause)).into_response())
}

/// Ends a pause: what it held back leaves.
pub(super) async fn end(
    State(api): State<Api>,
    Path(scope): Path<PauseScope>,
    headers: HeaderMap,
    Json(Why { reason }): Json<Why>,
) -> Result<Json<Pause>, ApiError> {
    operator::read(&headers, &reason)?;
    let ended = api.shared.journal.end_pause(&scope).await.map_err(|error| problems::journal(&error))?;
    tracing::info!(%scope, "a pause ends");
    ended.map(Json).ok_or_else(|| ApiError::not_found("pause_unknown", format!("there is no pause of {scope}")))
}

/// A step that the definition does not have is a mistake. A definition that this program does not know may be another's.
fn check(api: &Api, scope: &PauseScope) -> Result<(), ApiError> {
    let PauseScope::Step { name, version, step } = scope else { return Ok(()) };
    let Some(definition) = api.shared.catalog.get(name, *version) else { return Ok(()) };
    if definition.step(step).is_some() {
        return Ok(());
    }
    Err(ApiError::unprocessable("step_unknown", format!("`{name}` version {version} has no step `{step}`"), Vec::new()))
}
