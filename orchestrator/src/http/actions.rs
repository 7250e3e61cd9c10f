//! `POST /api/sagas/{id}/actions`: an operator's act, carried to the saga's lane over its shard's queue, wherever the
//! lane runs; its verdict comes back on this orchestrator's own queue.

use std::time::Duration;

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
};
use contract::{
    SagaId, card_number,
    orchestrator_api::{ActionRequest, SagaView},
    problem::FieldError,
    saga::Action,
};
use journal::Door;
use kit::http::{ApiError, Json, Path};
use machine::codes::REFUSED_REPLY_MISMATCH;

use super::{Api, operator, problems, reads};
use crate::messages::wire::{self, Act, ActEnd, RequestId};

/// How long the verdict is awaited: longer than a takeover takes.
const ANSWER_WAIT: Duration = Duration::from_secs(15);

/// The pause asked of a caller when no verdict came, in seconds.
const NO_ANSWER_RETRY_AFTER: u32 = 5;

/// Acts, and answers with the saga as it stands after the act was committed.
pub(super) async fn act(
    State(api): State<Api>,
    Path(id): Path<SagaId>,
    headers: HeaderMap,
    Json(request): Json<ActionRequest>,
) -> Result<Json<SagaView>, ApiError> {
    let operator = operator::read(&headers, &request.reason)?;
    refuse_card_number(&request.action)?;
    let action = request.action.as_str();
    tracing::info!(saga_id = %id, action, actor = operator.actor, role = operator.role, "an operator acts");
    let request_id = RequestId::new();
    let pending = api.shared.pending_requests.open(request_id);
    let answer_to = api.shared.own_queue.as_str().to_owned();
    let act = Act { request_id, answer_to, saga_id: id, action: request.action, operator };
    let message = wire::act(&api.shared.queue_of(id), &act);
    for result in api.shared.broker.publish(vec![message]).await {
        result.map_err(|error| {
            tracing::warn!(saga_id = %id, %error, "an operator's act could not be sent");
            let detail = "the broker does not take the action; it may still take effect when the broker had it";
            ApiError::unavailable("broker_unavailable", detail, NO_ANSWER_RETRY_AFTER)
        })?;
    }
    match pending.wait(ANSWER_WAIT).await {
        Some(end) => verdict(id, end)?,
        None => return Err(no_answer()),
    }
    // The act is committed: no failure of a read may look like one that changed nothing.
    reads::saga_view(&api.shared, Door::Acts, id).await.map(Json).map_err(|error| {
        let detail = format!("the action took effect, and how the saga stands now cannot be read: {}", error.code());
        ApiError::unavailable("journal_unavailable", detail, NO_ANSWER_RETRY_AFTER)
    })
}

/// A reply that an operator writes is journaled.
fn refuse_card_number(action: &Action) -> Result<(), ApiError> {
    let place = match action {
        Action::Skip { reply, .. } => card_number::place_in(reply, "#/reply"),
        Action::Retry { .. } | Action::Cancel {} | Action::Abandon {} => None,
    };
    place.map_or(Ok(()), |place| Err(ApiError::card_number_refused(vec![place])))
}

fn verdict(id: SagaId, end: ActEnd) -> Result<(), ApiError> {
    match end {
        ActEnd::Accepted | ActEnd::Unchanged { .. } => Ok(()),
        ActEnd::Refused { code, message } if code == REFUSED_REPLY_MISMATCH => {
            let error = FieldError { detail: message.clone(), pointer: "#/reply".to_owned() };
            Err(ApiError::unprocessable(code, message, vec![error]))
        }
        ActEnd::Refused { code, message } => Err(ApiError::conflict(code, message)),
        ActEnd::NoSuchSaga => Err(problems::no_saga(id)),
        ActEnd::Parked { code, detail } => Err(ApiError::conflict(code, detail)),
    }
}

fn no_answer() -> ApiError {
    let title = "No verdict came in time";
    ApiError::new(StatusCode::GATEWAY_TIMEOUT, "verdict_missing", title)
        .detail("the action waits in the saga's queue and may still take effect; look at the saga before repeating it")
        .retry_after(NO_ANSWER_RETRY_AFTER)
}
