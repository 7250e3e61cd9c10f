//! `POST /api/sagas/{id}/signals/{name}`: a signal from outside, and its effect on the saga. A signal that comes again
//! under the same id is answered as the first time; one whose id is for one saga is refused by the others.

use axum::{extract::State, http::HeaderMap};
use contract::{
    SagaId, SignalId, SignalName, card_number,
    orchestrator_api::{HEADER_ACTOR, SignalEffect, SignalRequest},
    problem::FieldError,
};
use journal::{Door, ExistingStart};
use kit::http::{ApiError, Json, Path};
use machine::{Signal, codes::REFUSED_SIGNAL_MISMATCH};

use super::{Api, actions, problems};
use crate::{
    messages::{acts, wire::ActEnd},
    saga_instance::replay,
    shared::Shared,
};

/// The pause asked of a sender when the effect of its signal cannot be read, in seconds.
const NO_EFFECT_RETRY_AFTER: u32 = 1;

/// Tells the saga, and answers what became of it.
pub(super) async fn signal(
    State(api): State<Api>,
    Path((saga_id, name)): Path<(SagaId, SignalName)>,
    headers: HeaderMap,
    Json(request): Json<SignalRequest>,
) -> Result<Json<SignalEffect>, ApiError> {
    let SignalRequest { id, payload, only_here } = request;
    if let Some(place) = card_number::place_in(&payload, "#/payload") {
        return Err(ApiError::card_number_refused(vec![place]));
    }
    if only_here {
        claim(&api.shared, saga_id, &name, &id).await?;
    }
    let actor = headers.get(HEADER_ACTOR).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let signal = Signal { id, name, payload: payload.into(), actor };
    let why = match acts::signal(&api.shared, saga_id, signal.clone()).await {
        Ok(ActEnd::Refused { code, message }) if code == REFUSED_SIGNAL_MISMATCH => {
            let error = FieldError { detail: message.clone(), pointer: "#/payload".to_owned() };
            return Err(ApiError::unprocessable(code, message, vec![error]));
        }
        Ok(ActEnd::Unchanged { why }) => why,
        Ok(ActEnd::Kept) => return Ok(Json(SignalEffect::Kept {})),
        end => {
            actions::told(saga_id, end)?;
            String::new()
        }
    };
    effect(&api.shared, saga_id, &signal, why).await.map(Json)
}

/// Makes the id this saga's, among the signals of that name.
async fn claim(shared: &Shared, saga_id: SagaId, name: &SignalName, id: &SignalId) -> Result<(), ApiError> {
    let claim = ExistingStart { saga_id, business_key: String::new(), fingerprint: String::new() };
    let claimed = shared.journal.claim_key(&format!("signal {name}"), id.as_str(), &claim).await;
    if claimed.map_err(|error| problems::journal(&error))?.saga_id == saga_id {
        return Ok(());
    }
    let detail = format!("another saga was signaled `{name}` under this id");
    Err(ApiError::unprocessable("idempotency_key_reused", detail, Vec::new()))
}

/// The effect of a signal that was heard, as the journal has it: the same for each repetition.
async fn effect(shared: &Shared, saga_id: SagaId, signal: &Signal, why: String) -> Result<SignalEffect, ApiError> {
    let stored = shared.journal.read(Door::Acts, saga_id, 0).await.map_err(|error| problems::journal(&error))?;
    let stored = stored.ok_or_else(|| problems::no_saga(saga_id))?;
    let state = replay(&stored)
        .map_err(|parked| ApiError::unavailable("journal_unavailable", parked.to_string(), NO_EFFECT_RETRY_AFTER))?;
    let heard = state.signals.into_iter().find(|heard| heard.id == signal.id);
    Ok(match heard {
        Some(heard) => heard.taken_by.map_or(SignalEffect::Kept {}, |step| SignalEffect::Woke { step }),
        None => SignalEffect::None { why },
    })
}
